//! Where client connections enter.

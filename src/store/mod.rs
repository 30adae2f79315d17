//! Where records end up.

//! The journal of accesses.

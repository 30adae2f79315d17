//! Where the pieces meet.

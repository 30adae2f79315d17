//! Where the pieces meet.

pub mod answer;

//! Questions asked of the log.
//!
//! [`Filters`] are what somebody wrote; read, they are a [`crate::store::Filter`]. Before a question goes to a store it stands in
//! the [`trail`]: nothing is shown that is not written down there first. What a school may no longer keep goes on its day ([`retention`]), and stands in the trail as well. What leaves the house goes as a [`package`] that verifies by itself. This module prints nothing and knows no
//! journal; what has not reached the store yet is told to it as [`Pending`].
//!
//! Type to read first: [`Filters`].

pub mod csv;
mod filters;
pub mod missing;
pub mod package;
mod pending;
pub mod purge;
pub mod retention;
pub mod trail;
pub mod when;

pub use filters::{BadFilter, Filters, Who};
pub use pending::Pending;

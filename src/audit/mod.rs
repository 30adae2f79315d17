//! Questions asked of the log.
//!
//! [`Filters`] are what somebody wrote; read, they are a [`crate::store::Filter`]. Before a question goes to a store it stands in
//! the [`trail`]: nothing is shown that is not written down there first. This module prints nothing and knows no
//! journal; what has not reached the store yet is told to it as [`Pending`].
//!
//! Type to read first: [`Filters`].

mod filters;
mod pending;
pub mod trail;
pub mod when;

pub use filters::{BadFilter, Filters, Who};
pub use pending::Pending;

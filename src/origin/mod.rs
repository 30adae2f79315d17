//! Towards origins: resolve, guard, dial.
//!
//! [`Resolver`] turns a name into addresses, [`Guard`] says which addresses are nobody's business to reach through us
//! (ourselves first of all), and [`dial`] opens a connection, which takes a `DialPermit` that only policy can make.
//! Origin connections belong to one client connection; nothing here pools them. Every error knows its side.
//!
//! Type to read first: [`OriginStream`].

mod dial;
mod guard;
mod resolve;

pub use dial::{DialError, OriginStream, dial};
pub use guard::{Guard, Guarded};
pub use resolve::{ResolveError, Resolver, ResolverError};

//! Towards origins: resolve, guard, dial.
//!
//! [`Resolver`] turns a name into addresses, [`Guard`] says which addresses are nobody's business to reach through us
//! (ourselves first of all), and [`dial()`] opens a connection, which takes a `DialPermit` that only policy can make.
//! Where the school's network demands it, [`Parent`] is the proxy in between. Origin connections belong to one client
//! connection; nothing here pools them. Every error knows its [`Side`].
//!
//! Type to read first: [`OriginStream`].

mod ask;
mod datagrams;
mod dial;
mod guard;
mod memory;
mod moment;
mod order;
mod own;
mod parent;
mod resolve;
mod source;
mod special;

pub use ask::{AskError, NameServers, Query};
pub use datagrams::{OriginDatagrams, dial_datagrams};
pub use dial::{DialError, OriginStream, dial};
pub use guard::{Guard, Guarded};
pub use memory::Memory;
pub use parent::{CredentialsError, Parent, TunnelError};
pub use resolve::{ResolveError, Resolver, ResolverError, system_servers};
pub use source::can_bear_others_addresses;
pub use special::is_public;

/// Whose fault an error is: it decides status code and log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The origin, its name or its network.
    Origin,
    /// What we depend on: the name servers.
    Dependency,
    /// This machine.
    Ours,
}

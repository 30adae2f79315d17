//! The vocabulary of the gateway: who tries to reach what, what was answered and how it ended.
//!
//! These are words without I/O: every other layer speaks them and none of them knows a socket, a file
//! or a clock. Names are validated here, once, at the border ([`HostName`], [`Host`]); what is kept about an
//! access is [`AccessRecord`] and [`ConnectionRecord`], and their canonical encoding ([`encoding`]) is the
//! one that the journal, the stores and the exports share.
//!
//! Type to read first: [`Access`].

mod client;
pub mod encoding;
mod gap;
mod host;
mod ids;
mod outcome;
pub mod proof;
mod reason;
mod record;
mod target;
pub(crate) mod text_enum;
mod time;

pub use client::{Client, GroupName, IdentitySource, IdentityStrength, PersonName, Pseudonym};
pub use gap::{Gap, GapRow};
pub use host::{Host, HostError, HostName};
pub use ids::{CollegeCode, GatewayName, IdError, Reference, RowKey};
pub use outcome::{Ending, Outcome};
pub use reason::{ActionTaken, CategoryName, EntryRef, ListName, Reason, RuleName, RulesVersion};
pub use record::{AccessRecord, AccessRow, ConnectionRecord, ConnectionRow, Flags, Row, Stream};
pub use target::{Access, Carrier, Ech, HostSource, Protocol, Scheme, Target, Visit};
pub use time::Timestamp;

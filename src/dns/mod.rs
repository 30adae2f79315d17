//! The words of DNS: read a question, rewrite an answer, remember the answers given. Asks nobody itself.
//!
//! A question becomes a [`Question`] (what a client wrote) and a [`Key`] (what the answer depends on). What an upstream
//! server said becomes a [`Stored`]: freed of what would blind the gateway (`ech`), of addresses that must not come from
//! outside, ready to be sent to anybody who asks the same. [`Cache`] keeps them, [`Given`] knows which client was told
//! which address under which name, [`EchKeys`] which keys of encrypted ClientHellos were offered. Nothing here opens a
//! socket or knows a rule.
//!
//! Our own loops on `hickory-proto` rather than `hickory-server`: an answer from the cache is a copy of bytes with the
//! times to live counted down (no message is taken apart for it), each client's answer depends on its groups, and the
//! limits count before anything is parsed.
//!
//! Type to read first: [`Question`].

mod cache;
mod compose;
mod ech;
mod given;
mod layout;
mod question;
mod rewrite;
mod safe_search;
mod special;
mod stored;

#[cfg(test)]
mod tests;

pub use cache::Cache;
pub use compose::alias;
pub use ech::{EchConfig, EchKeys, ech_configs};
pub use given::Given;
pub use question::{Asked, Fault, Key, Question, Variant, spelt_at_random};
pub use rewrite::{Broken, Rewriting, rewrite};
pub use safe_search::SafeNames;
pub use special::{Special, special};
pub use stored::{Rcode, Stored, Transport, say};

/// What a datagram of ours holds at most: no network on the way cuts it (DNS flag day 2020).
pub const DATAGRAM_MAX: usize = 1232;

/// Record types that something here looks at (IANA "Resource Record (RR) TYPEs").
pub mod kind {
    pub const A: u16 = 1;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const AAAA: u16 = 28;
    pub const OPT: u16 = 41;
    pub const RRSIG: u16 = 46;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    /// Transfers, mail boxes of 1983, "everything": asked of the servers that have them, never of a forwarder.
    pub const META_FIRST: u16 = 128;
    pub const META_LAST: u16 = 255;
}

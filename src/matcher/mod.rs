//! Immutable sets of hosts, URLs, patterns and addresses, and the look-ups in them.
//!
//! Everything here is pure: bytes in, set of lists out. It knows no file, no policy and no category; the tables are
//! views on bytes that somebody else ([`crate::lists::Image`]) has mapped and checked, and reading them never
//! panics or goes out of bounds, whatever the bytes are.
//!
//! Type to read first: [`Candidate`], the target prepared once for all look-ups; then [`ListMatches`], the answer.

mod candidate;
mod matches;
mod url;

pub use candidate::Candidate;
pub use matches::{ListId, ListMatches, MAX_LISTS};

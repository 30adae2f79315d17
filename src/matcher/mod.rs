//! Immutable sets of hosts, URLs, patterns and addresses, and the look-ups in them.
//!
//! Everything here is pure: bytes in, set of lists out. It knows no file, no policy and no category; the tables are
//! views on bytes that somebody else ([`crate::lists::Image`]) has mapped and checked, and reading them never
//! panics or goes out of bounds, whatever the bytes are.
//!
//! | what is listed | where | how it is found |
//! |---|---|---|
//! | host names | [`names`] | lines of fingerprints, walked label by label from the right; exact check on a hit |
//! | URL prefixes | [`urls`] | only where the names' table says that the host has any |
//! | expressions | [`patterns`] | their required literals by [`grams`]; a regex runs where they hit |
//! | rules of ad blockers | [`rules`] | by the host, by a run of their letters ([`grams`]), by the page that asks |
//! | addresses and networks | [`addresses`] | binary search, once per prefix length in use |
//!
//! Type to read first: [`Candidate`], the target prepared once for all look-ups; then [`ListMatches`], the answer.

pub mod addresses;
mod candidate;
pub mod grams;
mod matches;
pub mod names;
pub mod patterns;
mod rarity;
pub mod rules;
mod url;
pub mod urls;

pub use candidate::Candidate;
pub use matches::{ListId, ListMatches, MAX_LISTS};
pub use url::{canonical_path, entry_path, site_of};

/// The number of a set of lists in an image; 0 is the empty set.
pub type SetNumber = u16;

/// Reads a little-endian `u32` at a byte offset; `None` beyond the end.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads a little-endian `u16` at a byte offset; `None` beyond the end.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

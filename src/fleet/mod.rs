//! Lists from elsewhere: fetched, checked, handed to `lists`.
//!
//! [`Updater::update`] is the story of one source, in order: ask each mirror ([`fetch`]), compare its sum ([`sums`]),
//! unpack it aside ([`unpack`]), count it with the parsers of `lists`, judge what changed ([`sanity`]), put it in place by
//! one rename ([`place`]). Whatever goes wrong on the way, the list that was there stays and goes on working.
//! [`install`] then compiles the image and tells a running gateway. Nothing here is on the path of a packet.
//!
//! Type to read first: [`Updater`].

pub mod fetch;
pub mod install;
mod place;
mod proxy;
mod receipt;
mod redirect;
mod sanity;
mod sums;
mod tls;
pub mod unpack;
mod update;

pub use fetch::{FetchLimits, Fetcher, Progress};
pub use place::{Lock, LockError, Place};
pub use receipt::{Receipt, Validators};
pub use tls::TrustError;
pub use update::{Ending, Report, Step, Updater};

use std::io;
use std::path::{Path, PathBuf};

use crate::lists::Source;

/// Why a mirror's list was not taken. What was in place stays.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The network or the other end: the next mirror or the next night may do better.
    #[error(transparent)]
    Unreachable(fetch::FetchError),
    /// It came, and it is not what it should be.
    #[error("{0}")]
    Unfit(String),
    /// Our own disk.
    #[error("{}: {error}", path.display())]
    Disk { path: PathBuf, error: io::Error },
}

impl UpdateError {
    fn disk(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> UpdateError {
        let path = path.into();
        move |error| UpdateError::Disk { path, error }
    }
}

impl From<fetch::FetchError> for UpdateError {
    fn from(error: fetch::FetchError) -> Self {
        match error {
            fetch::FetchError::Disk { path, error } => UpdateError::Disk { path, error },
            fetch::FetchError::TooLarge(_) => UpdateError::Unfit(error.to_string()),
            error => UpdateError::Unreachable(error),
        }
    }
}

/// What is known of a fetched list that is in place.
pub fn receipt_of(lists: &Path, source: &Source) -> Option<Receipt> {
    Place::of(lists, source).current()?.receipt
}

/// Bytes as `sha256sum` prints them.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

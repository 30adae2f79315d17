//! Keys of encrypted ClientHellos (RFC 9849 §4): what an answer offered before they were taken out of it.
//!
//! Of each only the id and the public name are kept: the two that a ClientHello shows again. Bounded in names, ids of a name
//! and time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::access::HostName;

/// What a ClientHello shows of the key that it was encrypted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EchConfig {
    pub id: u8,
    /// The name of who decrypts it, which stands in clear.
    pub public_name: HostName,
}

/// The version of RFC 9849; clients pass over others.
const VERSION: u16 = 0xfe0d;
/// Servers offer the key of this hour and the one before, once for each set of algorithms.
const CONFIGS_MAX: usize = 16;
/// Keys change every few hours, and a client that has one from elsewhere may use it for longer than our answer would have lasted.
const LEAST: Duration = Duration::from_secs(24 * 3600);
/// Each network that hides its sites has one or a few.
const NAMES_MAX: usize = 1024;
/// A new id every hour, for more than a day.
const IDS_MAX: usize = 48;

/// Reads an ECHConfigList as it stands in an HTTPS record: what is of our version and well made, [`CONFIGS_MAX`] at most. What
/// comes behind something malformed is not read: no client takes such a list.
pub fn ech_configs(list: &[u8]) -> Vec<EchConfig> {
    let mut found = Vec::new();
    let mut read = || {
        let mut list = Bytes(Bytes(list).vec16()?);
        while !list.0.is_empty() && found.len() < CONFIGS_MAX {
            let version = list.u16()?;
            let contents = list.vec16()?;
            if version == VERSION {
                let config = read_contents(&mut Bytes(contents))?;
                found.extend(config.filter(|config| !found.contains(config)));
            }
        }
        Some(())
    };
    let _malformed = read().is_none();
    found
}

/// ECHConfigContents; `Some(None)`: its public name is no host name, and clients pass over it.
fn read_contents(contents: &mut Bytes<'_>) -> Option<Option<EchConfig>> {
    let id = contents.u8()?;
    let _kem = contents.u16()?;
    let _public_key = contents.vec16()?;
    let _cipher_suites = contents.vec16()?;
    let _maximum_name_length = contents.u8()?;
    let length = contents.u8()?;
    let public_name = contents.take(length.into())?;
    let _extensions = contents.vec16()?;
    let public_name = std::str::from_utf8(public_name).ok().and_then(|name| HostName::parse(name).ok());
    contents.0.is_empty().then_some(public_name.map(|public_name| EchConfig { id, public_name }))
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn vec16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }
}

/// The keys that were seen, whoever asked.
#[derive(Debug, Default)]
pub struct EchKeys(Mutex<HashMap<HostName, Vec<Key>>>);

#[derive(Debug)]
struct Key {
    id: u8,
    until: Instant,
}

impl EchKeys {
    /// An answer that may be given for `ttl` offered these.
    pub fn remember(&self, configs: &[EchConfig], ttl: Duration, now: Instant) {
        if configs.is_empty() {
            return;
        }
        let until = now + ttl.max(LEAST);
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for EchConfig { id, public_name } in configs {
            if names.len() >= NAMES_MAX && !names.contains_key(public_name) {
                // The one whose last key was seen the longest ago.
                let oldest = names.iter().min_by_key(|(_, keys)| keys.iter().map(|key| key.until).max());
                let oldest = oldest.map(|(name, _)| name.clone());
                oldest.and_then(|name| names.remove(&name));
            }
            let keys = names.entry(public_name.clone()).or_default();
            keys.retain(|key| key.id != *id);
            if keys.len() >= IDS_MAX {
                keys.remove(0);
            }
            keys.push(Key { id: *id, until });
        }
    }

    /// Whether such a key was seen.
    pub fn knows(&self, id: u8, public_name: &HostName, now: Instant) -> bool {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(public_name).is_some_and(|keys| keys.iter().any(|key| key.id == id && now < key.until))
    }

    /// Forgets what is over.
    pub fn forget_old(&self, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, keys| {
            keys.retain(|key| now < key.until);
            !keys.is_empty()
        });
    }
}

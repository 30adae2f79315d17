//! What is kept beside a fetched list: when it was fetched, from where, and what it was.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::access::Timestamp;

/// By what a mirror knows that we have its list already.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// The mirror that said so: what it said means nothing to another.
    pub url: String,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// One version of a fetched list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub source: String,
    pub url: String,
    pub fetched: Timestamp,
    /// When a mirror last said that nothing is newer.
    pub checked: Timestamp,
    pub validators: Validators,
    /// Of the bytes as they were fetched.
    pub bytes: u64,
    pub sha256: String,
    /// Entries of each list, each time they occur.
    pub lists: BTreeMap<String, u64>,
    pub bad_lines: u64,
    /// The number of the version that was in place before.
    #[serde(default)]
    pub before: Option<u64>,
    /// The sum of the version that a person went back from: it is not taken again by itself.
    #[serde(default)]
    pub set_aside: Option<String>,
}

impl Receipt {
    /// `None` where there is none, or none that can be read: then nothing is known of the list.
    pub fn read(file: &Path) -> Option<Receipt> {
        serde_json::from_slice(&std::fs::read(file).ok()?).ok()
    }

    /// Aside, synced, renamed.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let aside = file.with_extension("json.new");
        let mut out = std::fs::File::create(&aside)?;
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")?;
        out.sync_all()?;
        std::fs::rename(aside, file)
    }

    pub fn entries(&self) -> u64 {
        self.lists.values().sum()
    }
}

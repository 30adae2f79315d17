//! By what a catalogue knows that something changed, without reading the lists.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA256};

/// Path, size and date of every file so far, and the catalogue's own text.
pub struct Stamp(Context);

impl Default for Stamp {
    fn default() -> Self {
        Stamp(Context::new(&SHA256))
    }
}

impl Stamp {
    pub fn add_text(&mut self, path: &Path, text: &str) {
        self.add(path.as_os_str().as_encoded_bytes());
        self.add(text.as_bytes());
    }

    /// The day of the file, `2026-08-17`.
    pub fn add_file(&mut self, path: &Path) -> Option<String> {
        self.add(path.as_os_str().as_encoded_bytes());
        let metadata = fs::metadata(path).ok()?;
        let since =
            metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH).unwrap_or_default();
        self.add(&metadata.len().to_le_bytes());
        self.add(&since.as_nanos().to_le_bytes());
        let second = jiff::Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok()?;
        Some(jiff::tz::Offset::UTC.to_datetime(second).date().to_string())
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    pub fn finish(self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(self.0.finish().as_ref());
        fingerprint
    }
}

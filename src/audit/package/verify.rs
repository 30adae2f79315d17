//! Checks a package with nothing but the package, and names the first row that is not what was sealed.
//!
//! Nothing in it is believed before it is checked, and everything in it may be a trap: sizes have limits, links are not
//! followed, and what a line claims costs no more than the line is long.

mod chains;
mod openings;
mod rows;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::files::{names, read};
use super::timestamp::{Authority, Stamped, TokenError, check_token};
use super::{
    FORMAT, FileSum, LEAVES, MANIFEST, Manifest, ManifestSignature, OPENINGS, PACKAGE, README, ROOTS, ROWS, ROWS_MAX,
    SIGNATURE, SUMMED, TABLE, TOKEN, signed_message,
};
use crate::access::Timestamp;
use crate::access::proof::{Fingerprint, Hash, PublicKey, SignedText};

/// The most bytes of each file: all of them are in memory while a package is verified.
pub(super) const MOST: [(&str, u64); 9] = [
    (MANIFEST, 64 << 20),
    (SIGNATURE, 4 << 10),
    (TOKEN, 256 << 10),
    (README, 1 << 20),
    (ROWS, 1 << 30),
    (TABLE, 1 << 30),
    (LEAVES, 256 << 20),
    (ROOTS, 256 << 20),
    (OPENINGS, 1 << 30),
];

/// Whose signatures are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust(pub Vec<Fingerprint>);

/// A file of keys that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("--trust {0}: it is no fingerprint (64 hexadecimal digits), and {1}")]
pub struct TrustProblem(pub String, pub String);

impl Trust {
    /// A fingerprint; or a file with keys (`ed25519 …`) or fingerprints, one a line.
    pub fn read(text: &str) -> Result<Trust, TrustProblem> {
        if let Ok(fingerprint) = text.parse() {
            return Ok(Trust(vec![fingerprint]));
        }
        let wrong = |why: String| TrustProblem(text.to_owned(), why);
        let path = Path::new(text);
        let (folder, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let bytes = read(folder, &name.to_string_lossy(), 1 << 20).map_err(|e| wrong(format!("no file: {e}")))?;
        let lines = String::from_utf8_lossy(&bytes);
        let fingerprints: Vec<Fingerprint> = lines.lines().filter_map(fingerprint_of).collect();
        if fingerprints.is_empty() {
            return Err(wrong("the file names no key: a line is `ed25519 …` or a fingerprint".into()));
        }
        Ok(Trust(fingerprints))
    }
}

fn fingerprint_of(line: &str) -> Option<Fingerprint> {
    let line = line.trim();
    match line.strip_prefix("ed25519 ") {
        Some(key) => key.trim().parse::<PublicKey>().ok().map(|key| key.fingerprint()),
        None => line.strip_prefix("fingerprint ").unwrap_or(line).parse().ok(),
    }
}

/// The package is not what was made, or proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Altered {
    #[error("{file}: {why}")]
    File { file: String, why: String },
    #[error("row {row} ({key}): {why}")]
    Row { row: u64, key: String, why: String },
    #[error("{0} was made by a newer program (`{1}`): verify it with that")]
    Newer(&'static str, String),
}

impl Altered {
    fn file(file: &str, why: impl Into<String>) -> Altered {
        Altered::File { file: file.into(), why: why.into() }
    }

    /// The number of the row it names, from 1.
    pub fn row(&self) -> Option<u64> {
        match self {
            Altered::Row { row, .. } => Some(*row),
            _ => None,
        }
    }
}

/// What a whole package proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub manifest: Manifest,
    /// Every key that signed something in it.
    pub keys: Vec<PublicKey>,
    /// Keys that are not trusted.
    pub unknown: Vec<Fingerprint>,
    pub roots: u64,
    /// Trees that hold some of the time asked for.
    pub trees: u64,
    /// Their leaves, all of them opened; `None`: the package does not prove what is not in it.
    pub accounted: Option<u64>,
    /// Rows that no store took, of which only the leaf is known.
    pub set_aside: u64,
    /// What was sealed later is not in it; `None`: no chain.
    pub sealed_up_to: Option<Timestamp>,
    /// Why less is proven than could be.
    pub notes: Vec<String>,
    pub stamped: Option<Stamped>,
}

/// Verifies a package.
pub fn verify(folder: &Path, trust: &Trust, authority: Option<&Authority>) -> Result<Report, Altered> {
    Package::read(folder)?.verify(trust, authority)
}

/// The bytes of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub files: BTreeMap<String, Vec<u8>>,
}

/// What the checks found.
struct Checked {
    chains: chains::Chains,
    trees: u64,
    accounted: Option<u64>,
    set_aside: u64,
    notes: Vec<String>,
}

/// What else lies there was added.
fn belong<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), Altered> {
    match names.find(|name| !MOST.iter().any(|(known, _)| known == name)) {
        Some(name) => Err(Altered::file(name, "it belongs to no package: it was added")),
        None => Ok(()),
    }
}

impl Package {
    pub fn read(folder: &Path) -> Result<Package, Altered> {
        let shown = folder.display().to_string();
        let there = names(folder).map_err(|e| Altered::file(&shown, format!("it is no package: {e}")))?;
        belong(there.iter())?;
        let mut files = BTreeMap::new();
        for (name, most) in MOST {
            match read(folder, name, most) {
                Ok(bytes) => {
                    files.insert(name.to_owned(), bytes);
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Altered::file(name, e.to_string())),
            }
        }
        Package::of(files)
    }

    /// The files that a package has, each no larger than it may be.
    pub fn of(files: BTreeMap<String, Vec<u8>>) -> Result<Package, Altered> {
        belong(files.keys())?;
        for (name, most) in MOST {
            match files.get(name) {
                Some(bytes) if bytes.len() as u64 > most => {
                    return Err(Altered::file(name, "it is larger than any package's"));
                }
                None if name != TOKEN => return Err(Altered::file(name, "it is missing: it was removed")),
                _ => {}
            }
        }
        Ok(Package { files })
    }

    pub fn verify(&self, trust: &Trust, authority: Option<&Authority>) -> Result<Report, Altered> {
        let (manifest, signature) = self.signed()?;
        let stamped = match self.files.get(TOKEN) {
            None => None,
            Some(token) => {
                let imprint = Hash::of(&[self.bytes(MANIFEST)]);
                let token = check_token(token, imprint, authority);
                Some(token.map_err(|e: TokenError| Altered::file(TOKEN, e.to_string()))?)
            }
        };
        let damaged = self.damaged(&manifest);
        let checked = self.check(&manifest);
        // What was changed inside is named before the file it was changed in.
        let checked = match (checked, damaged) {
            (Err(row @ Altered::Row { .. }), _) => return Err(row),
            (_, Some(file)) => return Err(file),
            (checked, None) => checked?,
        };
        let mut keys = vec![signature.key];
        keys.extend(checked.chains.keys());
        keys.sort();
        keys.dedup();
        let unknown = keys.iter().map(PublicKey::fingerprint).filter(|key| !trust.0.contains(key)).collect();
        Ok(Report {
            keys,
            unknown,
            roots: checked.chains.roots.len() as u64,
            trees: checked.trees,
            accounted: checked.accounted,
            set_aside: checked.set_aside,
            sealed_up_to: checked.chains.sealed_up_to(),
            notes: checked.notes,
            stamped,
            manifest,
        })
    }

    fn bytes(&self, name: &str) -> &[u8] {
        self.files.get(name).map_or(&[], Vec::as_slice)
    }

    /// The manifest, as its key signed it.
    fn signed(&self) -> Result<(Manifest, ManifestSignature), Altered> {
        let altered =
            |file: &'static str| move |e: serde_json::Error| Altered::file(file, format!("it was altered: {e}"));
        let signature: ManifestSignature = serde_json::from_slice(self.bytes(SIGNATURE)).map_err(altered(SIGNATURE))?;
        let mut spelled = serde_json::to_vec(&signature).map_err(altered(SIGNATURE))?;
        spelled.push(b'\n');
        if spelled != self.bytes(SIGNATURE) {
            return Err(Altered::file(SIGNATURE, "it was altered: it is not spelled as it was written"));
        }
        let manifest = self.bytes(MANIFEST);
        let text = signed_message(manifest, self.files.get(TOKEN).map(Vec::as_slice));
        let signed = SignedText { text, signature: signature.signature };
        if !signed.is_signed_by(&signature.key, PACKAGE) {
            let why = "manifest.json, manifest.sig or manifest.tsr was altered: the signature is not of them; all else in the package is worth nothing without it";
            return Err(Altered::file(MANIFEST, why));
        }
        #[derive(serde::Deserialize)]
        struct Versioned {
            format: String,
        }
        let Versioned { format } = serde_json::from_slice(manifest).map_err(altered(MANIFEST))?;
        if format != FORMAT {
            return Err(Altered::Newer(MANIFEST, format));
        }
        let manifest: Manifest = serde_json::from_slice(manifest).map_err(altered(MANIFEST))?;
        if manifest.key != signature.key {
            return Err(Altered::file(MANIFEST, "it names another key than the one that signed it"));
        }
        if manifest.rows > ROWS_MAX || manifest.proven > manifest.rows {
            return Err(Altered::file(MANIFEST, "its counts are none of a package"));
        }
        Ok((manifest, signature))
    }

    /// The first file that is not the one that the manifest sums up.
    fn damaged(&self, manifest: &Manifest) -> Option<Altered> {
        let names: Vec<&str> = manifest.files.keys().map(String::as_str).collect();
        if names != SUMMED {
            return Some(Altered::file(MANIFEST, "it does not sum up the files of a package"));
        }
        manifest.files.iter().find_map(|(name, sum)| {
            let bytes = self.bytes(name);
            let there = FileSum { bytes: bytes.len() as u64, sha256: Hash::of(&[bytes]) };
            (there != *sum).then(|| Altered::file(name, "it was altered: its sum is not that of the manifest"))
        })
    }

    /// Everything that lines say, held against each other.
    fn check(&self, manifest: &Manifest) -> Result<Checked, Altered> {
        let mut chains = chains::Chains::read(self.bytes(ROOTS), manifest)?;
        let mut notes = manifest.notes.clone();
        let rows = rows::check(self, manifest, &mut chains)?;
        let opened = openings::check(self.bytes(OPENINGS), manifest, &mut chains, &rows)?;
        chains.check_trees(&rows)?;
        let trees = chains.touching(&manifest.wanted).count() as u64;
        let accounted =
            if manifest.complete { Some(chains.check_complete(&manifest.wanted, &mut notes)?) } else { None };
        Ok(Checked { chains, trees, accounted, set_aside: opened.set_aside, notes })
    }
}

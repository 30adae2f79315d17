//! A package that is carried elsewhere than in a folder: all of its files, in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::files::Folder;
use super::verify::{Altered, MOST, Package, Report, Trust};

/// The files of a package, by name: those that belong to one, no larger than a package's, none of them missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried(Package);

impl Carried {
    /// Takes up the files of a folder.
    pub fn read(folder: &Path) -> Result<Carried, Altered> {
        Package::read(folder).map(Carried)
    }

    /// The files that came from elsewhere.
    pub fn of(files: BTreeMap<String, Vec<u8>>) -> Result<Carried, Altered> {
        Package::of(files).map(Carried)
    }

    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// As [`super::verify()`] does with a folder.
    pub fn verify(&self, trust: &Trust) -> Result<Report, Altered> {
        self.0.verify(trust, None)
    }

    /// Puts them into a folder, which must not exist.
    pub fn put(&self, place: &Path) -> io::Result<()> {
        let folder = Folder::make(place)?;
        for (name, bytes) in self.files() {
            folder.put(name, bytes)?;
        }
        folder.done()
    }
}

/// The most bytes that a file of this name has in a package; 0: it belongs to none.
pub fn most_bytes(name: &str) -> u64 {
    MOST.iter().find(|(known, _)| *known == name).map_or(0, |(_, most)| *most)
}

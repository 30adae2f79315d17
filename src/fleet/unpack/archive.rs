//! The records of a tar archive, one by one.
//!
//! The crate's own unpacking trusts more than we do, and its long names are read whole into memory: here records are read
//! raw, and long names (GNU `L` and `K`, POSIX `x`) have a limit of their own.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::links::Links;
use super::{UnpackError, UnpackLimits, write_file};

/// A long name or a set of extensions.
const EXTENSION_MAX: u64 = 16 * 1024;
/// Folders in folders.
const DEPTH_MAX: usize = 8;

/// What the records before an entry say of it.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

pub fn unpack(reader: &mut impl Read, into: &Path, limits: &UnpackLimits) -> Result<(), UnpackError> {
    fs::create_dir(into).map_err(UnpackError::disk(into))?;
    let mut tree = Tree { into, links: Links::default(), written: HashSet::new() };
    let mut extension = Extension::default();
    let mut records = 0;
    let mut archive = Archive::new(reader);
    for entry in archive.entries().map_err(UnpackError::Damaged)?.raw(true) {
        let mut entry =
            entry.map_err(|error| if records == 0 { UnpackError::NoArchive } else { UnpackError::Damaged(error) })?;
        records += 1;
        // Said before it is written: what follows counts as well, but only as it comes.
        if entry.size() > limits.bytes {
            return Err(UnpackError::TooLarge(limits.bytes));
        }
        // An extension is one record more: an entry has at most three of them.
        if records > limits.files * 4 {
            return Err(UnpackError::TooMany(limits.files));
        }
        if !extension.read(&mut entry)? {
            tree.add(entry, std::mem::take(&mut extension), limits)?;
        }
    }
    if records == 0 {
        return Err(UnpackError::NoArchive);
    }
    tree.links.make(into)
}

impl Extension {
    /// Whether the entry was an extension of the next.
    fn read<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<bool, UnpackError> {
        let kind = entry.header().entry_type();
        let place = match kind {
            EntryType::GNULongName => &mut self.path,
            EntryType::GNULongLink => &mut self.target,
            EntryType::XHeader => return self.read_pax(&extension_bytes(entry)?).map(|()| true),
            // Defaults for all entries: a comment, as `git archive` writes it.
            EntryType::XGlobalHeader => return extension_bytes(entry).map(|_| true),
            _ => return Ok(false),
        };
        let mut bytes = extension_bytes(entry)?;
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        *place = Some(bytes);
        Ok(true)
    }

    fn read_pax(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        for record in PaxExtensions::new(bytes) {
            let record = record.map_err(UnpackError::Damaged)?;
            match record.key_bytes() {
                b"path" => self.path = Some(record.value_bytes().to_vec()),
                b"linkpath" => self.target = Some(record.value_bytes().to_vec()),
                // The size would be another than the header's, the file full of holes.
                key if key == b"size" || key.starts_with(b"GNU.sparse") => {
                    return Err(UnpackError::Special(String::from_utf8_lossy(key).escape_default().to_string(), 'x'));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn extension_bytes<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = Vec::new();
    entry.take(EXTENSION_MAX + 1).read_to_end(&mut bytes).map_err(UnpackError::Damaged)?;
    if bytes.len() as u64 > EXTENSION_MAX {
        return Err(UnpackError::BadPath(format!("a name of more than {EXTENSION_MAX} bytes")));
    }
    Ok(bytes)
}

struct Tree<'a> {
    into: &'a Path,
    links: Links,
    /// Everything that is there, relative to `into`; folders too.
    written: HashSet<PathBuf>,
}

impl Tree<'_> {
    fn add<R: Read>(
        &mut self,
        mut entry: Entry<'_, R>,
        extension: Extension,
        limits: &UnpackLimits,
    ) -> Result<(), UnpackError> {
        let bytes = extension.path.unwrap_or_else(|| entry.path_bytes().into_owned());
        let Some(path) = relative(&bytes)? else { return Ok(()) };
        let target = extension.target.or_else(|| entry.link_name_bytes().map(|name| name.into_owned()));
        let target = target.unwrap_or_default();
        match entry.header().entry_type() {
            EntryType::Directory => self.make_folder(&path)?,
            EntryType::Symlink => {
                self.claim(&path)?;
                self.links.add(path, &target)?;
            }
            EntryType::Link => {
                let target = relative(&target)?.unwrap_or_default();
                self.claim(&path)?;
                self.hard_link(&path, &target)?;
            }
            kind if kind.is_file() || kind.is_contiguous() => {
                self.claim(&path)?;
                let file = self.into.join(&path);
                write_file(&mut entry, &file)?;
                keep_date(&file, entry.header().mtime().unwrap_or_default());
            }
            kind => return Err(UnpackError::Special(shown(&bytes), char::from(kind.as_byte()))),
        }
        if self.written.len() as u64 > limits.files {
            return Err(UnpackError::TooMany(limits.files));
        }
        Ok(())
    }

    /// Makes the folders above, and sees that the name is free.
    fn claim(&mut self, path: &Path) -> Result<(), UnpackError> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.make_folder(parent)?;
        }
        match self.written.insert(path.to_owned()) {
            true => Ok(()),
            false => Err(UnpackError::Twice(shown(path.as_os_str().as_encoded_bytes()))),
        }
    }

    fn make_folder(&mut self, path: &Path) -> Result<(), UnpackError> {
        let mut folder = PathBuf::new();
        for part in path {
            folder.push(part);
            let full = self.into.join(&folder);
            if self.written.insert(folder.clone()) {
                fs::create_dir(&full).map_err(UnpackError::disk(&full))?;
            } else if !full.is_dir() {
                // A file or a link of the archive, taken for a folder.
                return Err(UnpackError::Twice(shown(folder.as_os_str().as_encoded_bytes())));
            }
        }
        Ok(())
    }

    fn hard_link(&self, path: &Path, target: &Path) -> Result<(), UnpackError> {
        let (full, file) = (self.into.join(path), self.into.join(target));
        if !self.written.contains(target) || !file.is_file() {
            return Err(UnpackError::LinkToNothing(shown(path.as_os_str().as_encoded_bytes())));
        }
        fs::hard_link(&file, &full).map_err(UnpackError::disk(&full))
    }
}

/// A path of plain names, relative to the archive; `None` is the archive itself (`./`).
fn relative(bytes: &[u8]) -> Result<Option<PathBuf>, UnpackError> {
    let bad = || UnpackError::BadPath(shown(bytes));
    let text = std::str::from_utf8(bytes).map_err(|_| bad())?;
    if text.is_empty() || text.starts_with('/') || text.contains('\\') || text.chars().any(char::is_control) {
        return Err(bad());
    }
    let mut path = PathBuf::new();
    for part in Path::new(text).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => path.push(name),
            _ => return Err(bad()),
        }
    }
    let depth = path.components().count();
    if depth > DEPTH_MAX {
        return Err(bad());
    }
    Ok(Some(path).filter(|_| depth > 0))
}

/// A name as a message can show it.
pub fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(120).flat_map(char::escape_debug).collect()
}

/// The day of a list is that of its files. A date that cannot be set is a date that is not shown.
fn keep_date(file: &Path, seconds: u64) {
    if let Some(date) = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        let _ = fs::File::options().write(true).open(file).and_then(|file| file.set_modified(date));
    }
}

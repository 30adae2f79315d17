//! Where the versions of a fetched list lie, and how one replaces another.
//!
//! ```text
//! lists/ut1                          a link: → .fetched/ut1/7/list
//! lists/.fetched/ut1/7/list          the list in place, a folder or a file
//! lists/.fetched/ut1/7/receipt.json  when it was fetched, from where, its sums
//! lists/.fetched/ut1/5/…             the version before
//! lists/.fetched/ut1/9.new/…         one that is being fetched
//! ```
//!
//! The link is made aside and renamed over the old one: whoever looks sees the old list or the new one, whenever the power
//! goes. What an interrupted run left is removed by the next.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};

use crate::lists::Source;

use super::{Receipt, UpdateError};

const FETCHED: &str = ".fetched";
const LIST: &str = "list";
const RECEIPT: &str = "receipt.json";
/// A version that is not whole yet.
const UNFINISHED: &str = "new";

/// One source's place among the downloaded lists.
pub struct Place {
    /// Where the catalogue looks.
    link: PathBuf,
    /// From the link's folder to the versions.
    up: PathBuf,
    versions: PathBuf,
}

/// A version that is whole.
#[derive(Debug, Clone)]
pub struct Version {
    pub number: u64,
    folder: PathBuf,
    pub receipt: Option<Receipt>,
}

impl Version {
    /// The list itself.
    pub fn list(&self) -> PathBuf {
        self.folder.join(LIST)
    }

    pub fn keep(&self, receipt: &Receipt) -> Result<(), UpdateError> {
        let file = self.folder.join(RECEIPT);
        receipt.write(&file).map_err(UpdateError::disk(file))
    }
}

/// A version in the making. Dropped before it is put in place, it is gone.
pub struct Draft {
    number: u64,
    folder: PathBuf,
}

impl Draft {
    pub fn archive(&self) -> PathBuf {
        self.folder.join("archive")
    }

    /// Where an archive is unpacked, before its wrapping folder is taken off.
    pub fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    pub fn list(&self) -> PathBuf {
        self.folder.join(LIST)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Best effort: the next run cleans as well.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Place {
    pub fn of(lists: &Path, source: &Source) -> Place {
        let versions = lists.join(FETCHED).join(&source.name);
        let below = source.fetched.strip_prefix(lists).unwrap_or(Path::new(&source.name));
        let up = below.iter().skip(1).fold(PathBuf::new(), |up, _| up.join(".."));
        Place { link: source.fetched.clone(), up: up.join(FETCHED).join(&source.name), versions }
    }

    /// The version that the link names.
    pub fn current(&self) -> Option<Version> {
        let target = fs::read_link(&self.link).ok()?;
        let number = target.parent()?.file_name().and_then(number_of)?;
        self.version(number).filter(|version| version.list().exists())
    }

    /// The one that was in place before: what a restore goes back to.
    pub fn before(&self) -> Option<Version> {
        self.version(self.current()?.receipt?.before?).filter(|version| version.list().exists())
    }

    fn version(&self, number: u64) -> Option<Version> {
        let folder = self.versions.join(number.to_string());
        let receipt = Receipt::read(&folder.join(RECEIPT));
        folder.is_dir().then_some(Version { number, folder, receipt })
    }

    fn numbers(&self) -> Vec<u64> {
        let entries = fs::read_dir(&self.versions).into_iter().flatten().flatten();
        entries.filter_map(|entry| number_of(&entry.file_name())).collect()
    }

    /// Begins a version, after what an interrupted run left is gone.
    pub fn begin(&self) -> Result<Draft, UpdateError> {
        self.clean()?;
        // One number stays free before it: see `adopt`.
        let number = self.numbers().into_iter().max().unwrap_or(0) + 2;
        let folder = self.versions.join(number.to_string()).with_extension(UNFINISHED);
        fs::create_dir_all(&folder).map_err(UpdateError::disk(&folder))?;
        Ok(Draft { number, folder })
    }

    /// Removes all but the version in place and the one before.
    pub fn clean(&self) -> Result<(), UpdateError> {
        // A list that was put there by hand, and whose replacement was interrupted.
        let aside = self.aside();
        if fs::symlink_metadata(&aside).is_ok_and(|found| !found.is_symlink()) {
            self.adopt(&aside)?;
        }
        let kept: Vec<u64> = [self.current(), self.before()].into_iter().flatten().map(|v| v.number).collect();
        let Ok(entries) = fs::read_dir(&self.versions) else { return Ok(()) };
        for entry in entries.flatten() {
            if number_of(&entry.file_name()).is_some_and(|number| kept.contains(&number)) {
                continue;
            }
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
                .map_err(UpdateError::disk(path))?;
        }
        Ok(())
    }

    /// Makes a draft whole and puts it in place.
    pub fn install(&self, draft: Draft, mut receipt: Receipt) -> Result<Receipt, UpdateError> {
        receipt.before = Some(self.current().map_or(draft.number.saturating_sub(1), |version| version.number));
        let whole = self.versions.join(draft.number.to_string());
        for left in [draft.archive(), draft.tree()] {
            let removed = if left.is_dir() { fs::remove_dir_all(&left) } else { fs::remove_file(&left) };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(UpdateError::disk(left)(error)),
                _ => {}
            }
        }
        let file = draft.folder.join(RECEIPT);
        receipt.write(&file).map_err(UpdateError::disk(file))?;
        // Hundreds of files: one call for all of them, before anything names them.
        self.sync()?;
        fs::rename(&draft.folder, &whole).map_err(UpdateError::disk(&whole))?;
        let version = Version { number: draft.number, folder: whole, receipt: Some(receipt.clone()) };
        self.point_to(&version)?;
        self.clean()?;
        Ok(receipt)
    }

    /// Lets the link name a version, at once and for good.
    pub fn point_to(&self, version: &Version) -> Result<(), UpdateError> {
        if let Some(folder) = self.link.parent() {
            fs::create_dir_all(folder).map_err(UpdateError::disk(folder))?;
        }
        let aside = self.aside();
        if fs::symlink_metadata(&aside).is_ok() {
            fs::remove_file(&aside).map_err(UpdateError::disk(&aside))?;
        }
        symlink(self.up.join(version.number.to_string()).join(LIST), &aside).map_err(UpdateError::disk(&aside))?;
        if fs::symlink_metadata(&self.link).is_ok_and(|found| !found.is_symlink()) {
            // Put there by hand: both change places, and that list becomes the version before.
            renameat_with(CWD, &aside, CWD, &self.link, RenameFlags::EXCHANGE)
                .map_err(|error| UpdateError::disk(&self.link)(error.into()))?;
            self.adopt(&aside)?;
        } else {
            fs::rename(&aside, &self.link).map_err(UpdateError::disk(&self.link))?;
        }
        self.sync()
    }

    /// Makes a list that was put there by hand the version before: the number below that in place was left free for it.
    fn adopt(&self, list: &Path) -> Result<(), UpdateError> {
        let number = self.current().map_or(0, |version| version.number.saturating_sub(1));
        let folder = self.versions.join(number.to_string());
        fs::create_dir_all(&folder).map_err(UpdateError::disk(&folder))?;
        fs::rename(list, folder.join(LIST)).map_err(UpdateError::disk(folder))
    }

    fn aside(&self) -> PathBuf {
        self.versions.join("link")
    }

    fn sync(&self) -> Result<(), UpdateError> {
        let synced = File::open(&self.versions).and_then(|folder| syncfs(folder).map_err(io::Error::from));
        synced.map_err(UpdateError::disk(&self.versions))
    }
}

fn number_of(name: &OsStr) -> Option<u64> {
    name.to_str()?.parse().ok()
}

/// One update at a time: held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another `ecluse lists update`{} is at work\n  help: wait for it, or stop it", .pid.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Taken { pid: Option<String> },
    #[error("the folder of the lists {} cannot be written: {error}\n  help: run it as the user of the gateway, or name another with --state", path.display())]
    Disk { path: PathBuf, error: io::Error },
}

impl Lock {
    pub fn take(lists: &Path) -> Result<Lock, LockError> {
        let path = lists.join(".lock");
        let disk = |error| LockError::Disk { path: lists.to_owned(), error };
        fs::create_dir_all(lists).map_err(disk)?;
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(disk)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.take(20).read_to_string(&mut text);
                let pid = Some(text.trim().to_owned()).filter(|pid| !pid.is_empty());
                return Err(LockError::Taken { pid });
            }
            Err(TryLockError::Error(error)) => return Err(disk(error)),
        }
        // The lock counts, not the number: the number only makes a message better.
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(disk)?;
        Ok(Lock { _file: file })
    }
}

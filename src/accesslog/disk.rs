//! The disk as the journal sees it: the outside edge that tests replace by a stricter one (`disk/fake.rs`).
//!
//! Files are only ever appended to, written aside and renamed, or removed. Nothing is promised about bytes that were not
//! synced, about a name before its folder is synced, nor about a file whose sync failed once.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, OFlags};

#[cfg(test)]
pub(super) mod fake;

/// Folders and names.
pub(super) trait Disk: Send + Sync {
    /// Makes a folder and those above it, for this user only. It may be there already.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a folder, sorted.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Opens a file to append to. It may be there already.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// The size of a file; of anything else an error.
    fn size(&self, path: &Path) -> io::Result<u64>;
    /// What is there, without following a link.
    fn what(&self, path: &Path) -> What;
    /// Up to `most` bytes from `offset`; fewer only at the end of the file.
    fn read(&self, path: &Path, offset: u64, most: u64) -> io::Result<Vec<u8>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names of a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Bytes that this user may still write where `path` is.
    fn left(&self, path: &Path) -> io::Result<u64>;
    /// Locks a file, made if need be, until the answer is dropped or the process dies. `None`: somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Lock>>;
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Nothing,
    File,
    Folder,
    /// A link, a pipe, a socket, a device: none of ours.
    Strange,
}

/// Held until dropped.
pub(super) type Lock = Box<dyn Send + Sync>;

/// An open file, appended to.
pub(super) trait DiskFile: Send + Sync {
    /// Exactly one `write(2)`; it may be short.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Makes the bytes durable.
    fn sync(&self) -> io::Result<()>;
    /// Reserves room for bytes up to `length`, without making the file longer.
    fn reserve(&self, length: u64) -> io::Result<()>;
    /// Gives back the room beyond `length`, the file's length.
    fn release(&self, length: u64) -> io::Result<()>;
}

/// Writes a whole file so that it is there with these bytes or not at all, also after a power cut.
pub(super) fn write_aside(disk: &dyn Disk, folder: &Path, name: &str, bytes: &[u8]) -> io::Result<Arc<dyn DiskFile>> {
    let aside = folder.join(format!("{name}{ASIDE}"));
    match disk.remove(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.open(&aside)?;
    append_all(&*file, bytes)?;
    file.sync()?;
    disk.rename(&aside, &folder.join(name))?;
    disk.sync_dir(folder)?;
    Ok(file)
}

/// What a file that was never finished is called.
pub(super) const ASIDE: &str = ".aside";

/// Appends everything; for files that nobody reads before they are renamed, and for ledgers whose lines are checked.
pub(super) fn append_all(file: &dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.append(bytes)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => bytes = &bytes[n..],
        }
    }
    Ok(())
}

/// The disk of this machine.
pub(super) struct LocalDisk;

impl Disk for LocalDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            // A name that is no UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(open_file(OpenOptions::new().append(true).create(true), path)?))
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let about = fs::symlink_metadata(path)?;
        if about.is_file() { Ok(about.len()) } else { Err(no_file()) }
    }

    fn what(&self, path: &Path) -> What {
        match fs::symlink_metadata(path) {
            Ok(about) if about.is_file() => What::File,
            Ok(about) if about.is_dir() => What::Folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => What::Nothing,
            _ => What::Strange,
        }
    }

    fn read(&self, path: &Path, offset: u64, most: u64) -> io::Result<Vec<u8>> {
        let mut file = open_file(OpenOptions::new().read(true), path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn left(&self, path: &Path) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(path)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let file = open_file(OpenOptions::new().append(true).create(true), path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Who held it before may have removed it meanwhile: a lock on a file without a name excludes nobody.
        let (held, named) = (file.metadata()?, fs::metadata(path)?);
        Ok(((held.dev(), held.ino()) == (named.dev(), named.ino())).then(|| Box::new(file) as Lock))
    }
}

/// Opens a regular file and nothing else: no link is followed, and a pipe that nobody fills is not waited for.
fn open_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    const FLAGS: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);
    let file = options.mode(0o600).custom_flags(FLAGS.bits() as i32).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(no_file()) }
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")
}

impl DiskFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(self, FallocateFlags::KEEP_SIZE, 0, length)?)
    }

    fn release(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

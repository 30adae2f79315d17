//! The files of a package: made for their owner alone and put in place at once, read with a limit and without following links.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::FileSum;
use crate::access::proof::Hash;
use crate::store::embedded::NO_FOLLOW;

/// A package on its way: its folder is renamed when it is whole, and goes when it is not.
pub(super) struct Folder {
    aside: PathBuf,
    place: PathBuf,
    is_done: bool,
}

impl Folder {
    pub fn make(place: &Path) -> io::Result<Folder> {
        if fs::symlink_metadata(place).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there already: name another place"));
        }
        let mut aside = place.as_os_str().to_owned();
        aside.push(".partial");
        let aside = PathBuf::from(aside);
        DirBuilder::new().mode(0o700).create(&aside)?;
        Ok(Folder { aside, place: place.to_owned(), is_done: false })
    }

    pub fn file(&self, name: &str) -> io::Result<Summed> {
        let path = self.aside.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Summed { file: BufWriter::with_capacity(1 << 18, file), sum: Context::new(&SHA256), bytes: 0 })
    }

    pub fn put(&self, name: &str, bytes: &[u8]) -> io::Result<FileSum> {
        let mut file = self.file(name)?;
        file.write_all(bytes)?;
        file.finish()
    }

    pub fn done(mut self) -> io::Result<()> {
        File::open(&self.aside)?.sync_all()?;
        fs::rename(&self.aside, &self.place)?;
        self.is_done = true;
        let parent = self.place.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_done {
            // Rows that nobody vouches for are not left behind; failing that, its name says what it is.
            let _ = fs::remove_dir_all(&self.aside);
        }
    }
}

/// A file that is summed up while it is written.
pub(super) struct Summed {
    file: BufWriter<File>,
    sum: Context,
    bytes: u64,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sum.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Summed {
    pub fn line(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut *self, line)?;
        self.write_all(b"\n")
    }

    pub fn finish(mut self) -> io::Result<FileSum> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&self.sum.finish().as_ref()[..32]);
        Ok(FileSum { bytes: self.bytes, sha256: Hash(sha256) })
    }
}

/// Reads a file whole; an error for what is no regular file, and for what is longer than `most`.
pub(super) fn read(folder: &Path, name: &str, most: u64) -> io::Result<Vec<u8>> {
    // Without waiting: a pipe would have no end.
    let flags = NO_FOLLOW | rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(folder.join(name))?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if about.len() > most {
        return Err(io::Error::other(format!("it has {} bytes, more than any package's ({most})", about.len())));
    }
    let mut bytes = Vec::with_capacity(about.len() as usize);
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The names in a folder.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    // A folder with more names than this is no package.
    const MOST: usize = 100;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)?.take(MOST) {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

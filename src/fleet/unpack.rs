//! A stranger's archive into a folder of ours.
//!
//! Only what a list needs is taken: folders, files, hard links to files of the archive, symbolic links that stay inside
//! (UT1's other names of a category). Owners, modes, devices and everything else an archive can hold are refused or left
//! out. No symbolic link exists while files are written, so that no path can lead through one; links are made last and
//! looked at once more when they are all there. Bytes, files, ratio and time have bounds.
//!
//! Function to read first: [`unpack`].

mod archive;
mod links;
mod meter;

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::MultiGzDecoder;

use crate::lists::Format;

use meter::{Meter, Packed, Unpacked};

/// What an archive may be at most.
#[derive(Debug, Clone)]
pub struct UnpackLimits {
    /// Of everything, unpacked. UT1 is 145 MB.
    pub bytes: u64,
    /// Files, folders and links. UT1 has 280.
    pub files: u64,
    /// Unpacked to packed, looked at beyond [`Self::ratio_from`]: lists of names come to 10, zeros to 1,000.
    pub ratio: u64,
    pub ratio_from: u64,
    pub within: Duration,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        UnpackLimits {
            bytes: 1 << 30,
            files: 10_000,
            ratio: 200,
            ratio_from: 16 << 20,
            within: Duration::from_secs(600),
        }
    }
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("it holds more than {0} bytes")]
    TooLarge(u64),
    #[error("it holds more than {0} files")]
    TooMany(u64),
    #[error("it unpacks to more than {0} times its size: no list of names does")]
    Bomb(u64),
    #[error("it takes more than {} s to unpack", .0.as_secs())]
    TooLong(Duration),
    #[error("`{0}` leads outside the archive, or is no name for a file")]
    BadPath(String),
    #[error("`{0}` is a link to outside the archive")]
    LinkOutside(String),
    #[error("`{0}` is a link to nothing that is in the archive")]
    LinkToNothing(String),
    #[error("`{0}` is there twice")]
    Twice(String),
    #[error("`{0}` is no file, folder or link, but of the kind `{1}`")]
    Special(String, char),
    #[error("it is no archive that can be read: {0}")]
    Damaged(io::Error),
    #[error("it is no tar archive, which a list of format `squidguard` must be")]
    NoArchive,
    #[error("{}: {error}", path.display())]
    Disk { path: PathBuf, error: io::Error },
}

impl UnpackError {
    fn disk(path: &Path) -> impl FnOnce(io::Error) -> UnpackError {
        move |error| UnpackError::Disk { path: path.to_owned(), error }
    }
}

/// Writes what `body` holds to `into`, which must not exist: a folder for a squidGuard archive (tar or tar.gz), else one
/// file (text, or text in gzip).
///
/// # Errors
/// Whatever is refused; then `into` may hold a part, and is to be removed.
pub fn unpack(mut body: impl Read, format: Format, into: &Path, limits: &UnpackLimits) -> Result<(), UnpackError> {
    let mut start = Vec::new();
    body.by_ref().take(2).read_to_end(&mut start).map_err(UnpackError::Damaged)?;
    let is_gzip = start == [0x1f, 0x8b];
    let meter = Meter::new(limits.clone());
    let packed = Packed::new(Cursor::new(start).chain(body), &meter);
    let mut reader: Box<dyn Read> = match is_gzip {
        // Several members in a row are one file (RFC 1952 §2.2); each has its checksum, which is compared.
        true => Box::new(MultiGzDecoder::new(packed)),
        false => Box::new(packed),
    };
    let mut reader = Unpacked::new(&mut reader, &meter);
    let unpacked = match format {
        Format::SquidGuard => archive::unpack(&mut reader, into, limits),
        _ => write_file(&mut reader, into),
    };
    // To its very end: only there stands the checksum.
    let ended = unpacked.and_then(|()| io::copy(&mut reader, &mut io::sink()).map(drop).map_err(UnpackError::Damaged));
    match (ended, meter.exceeded()) {
        // What the reader reported is the consequence.
        (Err(_), Some(exceeded)) => Err(exceeded),
        (ended, _) => ended,
    }
}

/// Copies, telling the reader's errors from the disk's.
fn write_file(from: &mut impl Read, path: &Path) -> Result<(), UnpackError> {
    let mut file = File::create_new(path).map_err(UnpackError::disk(path))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(UnpackError::Damaged(error)),
        };
        io::Write::write_all(&mut file, &buffer[..n]).map_err(UnpackError::disk(path))?;
    }
}

/// The folder that holds the lists' folders: archives wrap them in one of their own (`blacklists/`).
pub fn root_of(tree: &Path) -> io::Result<PathBuf> {
    let mut root = tree.to_owned();
    // An archive of one category (`child/domains`) is not unwrapped further.
    for _ in 0..3 {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&root)? {
            entries.push(entry?);
        }
        let [only] = &entries[..] else { return Ok(root) };
        let inner = only.path();
        let is_list = ["domains", "urls", "expressions"].iter().any(|file| inner.join(file).exists());
        if !only.file_type()?.is_dir() || is_list {
            return Ok(root);
        }
        root = inner;
    }
    Ok(root)
}

#[cfg(test)]
mod tests;

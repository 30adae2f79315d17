//! The one place that maps a file.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::{Advice, Mmap};

/// The bytes of an image, wherever they are.
pub enum Bytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

pub fn map(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::Owned(Vec::new()));
    }
    map_file(&file).map(Bytes::Mapped)
}

#[expect(
    unsafe_code,
    reason = "a mapping is the only way to share the lists between processes and to open them at once"
)]
fn map_file(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is private and read-only. Image files are written aside and renamed, never changed in place
    // (see the module's text), so the bytes stay what they are while they are mapped.
    unsafe { Mmap::map(file) }
}

impl Bytes {
    /// Has the hot part read at once, the rest when it is asked for. Advice only: what the kernel will not do is done
    /// by the first read.
    pub fn warm(&self, hot: Range<usize>) {
        if let Bytes::Mapped(map) = self {
            let cold = hot.end..map.len();
            let _ = map.advise_range(Advice::WillNeed, hot.start, hot.len());
            let _ = map.advise_range(Advice::PopulateRead, hot.start, hot.len());
            let _ = map.advise_range(Advice::Random, cold.start, cold.len());
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

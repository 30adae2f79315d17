//! The one place that maps a file.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::os::unix::fs::FileExt;
use std::path::Path;

use memmap2::{Advice, Mmap};

/// What is read at once where a part is read through: it fits the second-level cache.
const CHUNK_BYTES: usize = 256 << 10;

/// The bytes of an image, wherever they are.
pub enum Bytes {
    Mapped { map: Mmap, file: File },
    Owned(Vec<u8>),
}

pub fn map(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::Owned(Vec::new()));
    }
    let map = map_file(&file)?;
    // A look-up wants the one page that it asks for, and not its neighbours.
    let _ = map.advise(Advice::Random);
    Ok(Bytes::Mapped { map, file })
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
    /// Reads a part through, chunk by chunk, and not by way of the mapping: it takes no memory of the process, and a
    /// disk that cannot be read is an error instead of a signal.
    pub fn read_through(&self, part: Range<usize>, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        match self {
            Bytes::Owned(bytes) => each(bytes.get(part).unwrap_or_default()),
            Bytes::Mapped { file, .. } => {
                let mut buffer = vec![0; CHUNK_BYTES.min(part.len())];
                let mut at = part.start;
                while at < part.end {
                    let chunk = &mut buffer[..CHUNK_BYTES.min(part.end - at)];
                    file.read_exact_at(chunk, at as u64)?;
                    each(chunk);
                    at += chunk.len();
                }
            }
        }
        Ok(())
    }

    /// Has a part in the process's memory before it is asked for. Advice only: what the kernel will not do is done by
    /// the first look-up.
    pub fn populate(&self, part: Range<usize>) {
        if let Bytes::Mapped { map, .. } = self {
            let _ = map.advise_range(Advice::PopulateRead, part.start, part.len());
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped { map, .. } => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

//! Header and section table: written, and read without trust.

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;

use aws_lc_rs::digest;

use crate::matcher::u32_at;

use super::map::Bytes;
use super::{Damage, Description};

const MAGIC: &[u8; 8] = b"ECLLISTS";
pub const VERSION: u32 = 1;
const SECTION_VERSION: u32 = 1;
const HEADER_BYTES: usize = 128;
const ENTRY_BYTES: usize = 32;
const CRC_AT: usize = 88;
const MAX_SECTIONS: usize = 64;
/// Sections begin on a page of their own: advice to the kernel goes by pages.
const ALIGNMENT: usize = 4096;
const HOT: u32 = 1;
/// One more than the highest number of a kind.
const KINDS: usize = 32;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $text:literal, $hot:literal;)*) => {
        /// What a section holds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $($kind = $number),* }

        impl Kind {
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            fn is_hot(self) -> bool {
                match self { $(Kind::$kind => $hot),* }
            }
        }

        impl fmt::Display for Kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Kind::$kind => $text),* })
            }
        }
    };
}

kinds! {
    Lists = 1, "lists", true;
    Sets = 2, "sets", true;
    Names = 3, "names", true;
    Addresses = 4, "addresses", true;
    Urls = 5, "urls", true;
    Expressions = 6, "expressions", true;
    Rules = 7, "rules", true;
    Codebook = 16, "codebook", true;
    NameIndex = 17, "name index", false;
    NameTexts = 18, "name texts", false;
    LineIndex = 19, "line index", false;
    LineNumbers = 20, "line numbers", false;
    UrlLines = 21, "url lines", false;
    AddressLines = 22, "address lines", false;
}

/// A section to write.
#[derive(Debug)]
pub struct Section {
    pub kind: Kind,
    pub bytes: Vec<u8>,
}

/// Writes the image of `sections`, one of each kind in the order of [`Kind::ALL`].
pub fn write(
    out: &mut impl Write,
    description: &Description,
    sections: &[Section],
    source_fingerprint: [u8; 32],
) -> io::Result<u64> {
    let table = HEADER_BYTES + ENTRY_BYTES * sections.len();
    let mut head = vec![0; table];
    let mut offset = table.next_multiple_of(ALIGNMENT);
    for (section, entry) in sections.iter().zip(head[HEADER_BYTES..].chunks_exact_mut(ENTRY_BYTES)) {
        entry[..4].copy_from_slice(&(section.kind as u32).to_le_bytes());
        entry[4..8].copy_from_slice(&(if section.kind.is_hot() { HOT } else { 0 }).to_le_bytes());
        entry[8..16].copy_from_slice(&(offset as u64).to_le_bytes());
        entry[16..24].copy_from_slice(&(section.bytes.len() as u64).to_le_bytes());
        entry[24..28].copy_from_slice(&crc32c::crc32c(&section.bytes).to_le_bytes());
        entry[28..32].copy_from_slice(&SECTION_VERSION.to_le_bytes());
        offset = (offset + section.bytes.len()).next_multiple_of(ALIGNMENT);
    }
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..16].copy_from_slice(&(sections.len() as u32).to_le_bytes());
    head[16..24].copy_from_slice(&(offset as u64).to_le_bytes());
    head[24..56].copy_from_slice(&fingerprint(description, sections));
    head[56..88].copy_from_slice(&source_fingerprint);
    let crc = crc32c::crc32c(&head);
    head[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());

    write_padded(out, &head)?;
    sections.iter().try_for_each(|section| write_padded(out, &section.bytes))?;
    Ok(offset as u64)
}

fn write_padded(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes)?;
    out.write_all(&[0; ALIGNMENT][..bytes.len().next_multiple_of(ALIGNMENT) - bytes.len()])
}

fn fingerprint(description: &Description, sections: &[Section]) -> [u8; 32] {
    let mut sha = digest::Context::new(&digest::SHA256);
    for list in &description.lists {
        for text in [list.name.as_str(), list.category.as_str()] {
            sha.update(&(text.len() as u64).to_le_bytes());
            sha.update(text.as_bytes());
        }
    }
    for section in sections.iter().filter(|section| section.kind != Kind::Lists) {
        sha.update(&(section.kind as u32).to_le_bytes());
        sha.update(&(section.bytes.len() as u64).to_le_bytes());
        sha.update(&section.bytes);
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(sha.finish().as_ref());
    fingerprint
}

/// Where the sections of an image lie.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    sections: Vec<Placed>,
    /// By number of the kind; empty where there is none.
    ranges: [Range<usize>; KINDS],
    pub fingerprint: [u8; 32],
    pub source_fingerprint: [u8; 32],
}

/// A section of an image.
#[derive(Debug, Clone)]
pub struct Placed {
    kind: Kind,
    pub hot: bool,
    range: Range<usize>,
    crc: u32,
}

impl Layout {
    pub fn read(bytes: &[u8]) -> Result<Layout, Damage> {
        let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(Damage::NotAnImage)?;
        if header[..8] != *MAGIC {
            return Err(Damage::NotAnImage);
        }
        let version = u32_at(header, 8).unwrap_or_default();
        if version != VERSION {
            return Err(Damage::Version(version));
        }
        let expected = u64_at(header, 16);
        if expected != bytes.len() as u64 {
            return Err(Damage::Length { found: bytes.len() as u64, expected });
        }
        let count = u32_at(header, 12).unwrap_or_default() as usize;
        let end = HEADER_BYTES + ENTRY_BYTES * count.min(MAX_SECTIONS);
        let mut head = bytes.get(..end).ok_or(Damage::Header)?.to_vec();
        let crc = u32_at(&head, CRC_AT);
        head[CRC_AT..CRC_AT + 4].fill(0);
        if count > MAX_SECTIONS || crc != Some(crc32c::crc32c(&head)) {
            return Err(Damage::Header);
        }
        let mut layout = Layout::default();
        layout.fingerprint.copy_from_slice(&header[24..56]);
        layout.source_fingerprint.copy_from_slice(&header[56..88]);
        let mut known = [false; KINDS];
        for entry in head[HEADER_BYTES..].as_chunks::<ENTRY_BYTES>().0 {
            let Some(section) = Placed::read(entry, end, bytes.len())? else { continue };
            if std::mem::replace(&mut known[section.kind as usize], true) {
                return Err(Damage::Header);
            }
            layout.ranges[section.kind as usize] = section.range.clone();
            layout.sections.push(section);
        }
        match Kind::ALL.iter().find(|kind| !known[**kind as usize]) {
            Some(missing) => Err(Damage::Missing(*missing)),
            None => Ok(layout),
        }
    }

    /// The bytes of a section; none where there is no such section.
    #[inline]
    pub fn bytes<'a>(&self, image: &'a [u8], kind: Kind) -> &'a [u8] {
        image.get(self.ranges[kind as usize].clone()).unwrap_or_default()
    }

    /// From the beginning of the file to the end of the last hot section.
    pub fn hot(&self) -> Range<usize> {
        0..self.sections.iter().filter(|section| section.hot).map(|section| section.range.end).max().unwrap_or(0)
    }

    /// Compares the checksums of the chosen sections.
    pub fn check(&self, image: &Bytes, chosen: impl Fn(&Placed) -> bool) -> Result<(), Damage> {
        for section in self.sections.iter().filter(|section| chosen(section)) {
            let mut crc = 0;
            image
                .read_through(section.range.clone(), |chunk| crc = crc32c::crc32c_append(crc, chunk))
                .map_err(|error| Damage::Unreadable(section.kind, error.kind()))?;
            if crc != section.crc {
                return Err(Damage::Checksum(section.kind));
            }
        }
        Ok(())
    }
}

impl Placed {
    /// `None` for a kind of a later version of the program.
    fn read(entry: &[u8; ENTRY_BYTES], first: usize, file: usize) -> Result<Option<Placed>, Damage> {
        let number = u32_at(entry, 0).unwrap_or_default();
        let Some(&kind) = Kind::ALL.iter().find(|kind| **kind as u32 == number) else { return Ok(None) };
        if u32_at(entry, 28) != Some(SECTION_VERSION) {
            return Err(Damage::SectionVersion(kind));
        }
        let start = usize::try_from(u64_at(entry, 8)).map_err(|_| Damage::Header)?;
        let length = usize::try_from(u64_at(entry, 16)).map_err(|_| Damage::Header)?;
        let end = start.checked_add(length).filter(|&end| end <= file && start >= first).ok_or(Damage::Header)?;
        // What is read for every access is checked before, whatever the file says of it.
        let hot = kind.is_hot() || u32_at(entry, 4).unwrap_or_default() & HOT != 0;
        Ok(Some(Placed { kind, hot, range: start..end, crc: u32_at(entry, 24).unwrap_or_default() }))
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

//! The lists that a compile reads, one by one, wherever they come from.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use crate::access::{CategoryName, ListName};

use super::Usage;
use super::parse::{LineKind, is_plain_name};

/// One list and its files.
#[derive(Debug, Clone)]
pub struct ListInput {
    pub name: ListName,
    pub category: CategoryName,
    /// Links to the folder: other names of the list, and of the category.
    pub aliases: Vec<(ListName, CategoryName)>,
    pub origin: String,
    pub licence: String,
    pub attribution: String,
    pub source_date: Option<String>,
    pub usage: Option<Usage>,
    pub parts: Vec<Part>,
}

/// One file of a list.
#[derive(Debug, Clone)]
pub struct Part {
    pub kind: LineKind,
    /// As entries name it: `adult/domains`.
    pub file: String,
    pub text: PartText,
}

/// Where a file's text is.
#[derive(Debug, Clone)]
pub enum PartText {
    File(PathBuf),
    Memory(String),
}

impl PartText {
    /// As problems name it.
    pub fn path(&self, file: &str) -> PathBuf {
        match self {
            PartText::File(path) => path.clone(),
            PartText::Memory(_) => PathBuf::from(file),
        }
    }

    pub fn bytes(&self) -> io::Result<u64> {
        match self {
            PartText::File(path) => Ok(std::fs::metadata(path)?.len()),
            PartText::Memory(text) => Ok(text.len() as u64),
        }
    }

    pub fn open(&self) -> io::Result<Box<dyn BufRead + '_>> {
        Ok(match self {
            PartText::File(path) => Box::new(BufReader::with_capacity(1 << 18, File::open(path)?)),
            PartText::Memory(text) => Box::new(text.as_bytes()),
        })
    }

    /// Names from `places` places of the text, evenly spread: lists are sorted, their heads are not like the rest.
    pub fn sample(&self, places: u64, into: &mut Vec<String>) -> io::Result<()> {
        const PLACE_BYTES: u64 = 4096;
        let bytes = self.bytes()?;
        for place in 0..places {
            let mut chunk = Vec::new();
            let at = bytes.saturating_sub(PLACE_BYTES) * place / places;
            match self {
                PartText::File(path) => {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(at))?;
                    file.take(PLACE_BYTES).read_to_end(&mut chunk)?;
                }
                PartText::Memory(text) => {
                    let rest = &text.as_bytes()[at as usize..];
                    chunk.extend(&rest[..rest.len().min(PLACE_BYTES as usize)]);
                }
            }
            // The first and the last line may be cut.
            let text = String::from_utf8_lossy(&chunk);
            let mut lines: Vec<&str> = text.lines().skip(usize::from(at > 0)).collect();
            lines.pop();
            into.extend(lines.into_iter().filter(|line| is_plain_name(line)).map(str::to_owned));
        }
        Ok(())
    }
}

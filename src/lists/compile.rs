//! Text into an image.

use std::path::Path;

use crate::access::{CategoryName, ListName};

use super::{Catalogue, Format, ListMeta, Problem};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("cannot write the image {path}: {source}")]
    Write { path: std::path::PathBuf, source: std::io::Error },
}

/// What a compile made of the text.
#[derive(Debug, Clone, Default)]
pub struct CompileReport {
    pub lists: Vec<ListMeta>,
    /// Lines that could not be used, the first of each file; none hides the next.
    pub problems: Vec<Problem>,
    pub bytes: u64,
}

/// One list given as text: for tests, and for lists that are no files.
#[derive(Debug, Clone)]
pub struct ListText<'a> {
    pub name: ListName,
    pub category: CategoryName,
    pub format: Format,
    pub text: &'a str,
}

/// Compiles every list of the catalogue into the image `out`: written aside, synced, renamed.
pub fn compile(_catalogue: &Catalogue, _out: &Path) -> Result<CompileReport, CompileError> {
    Ok(CompileReport::default())
}

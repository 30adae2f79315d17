//! Which lists there are: `rules/lists/*.toml`.

use std::path::{Path, PathBuf};

use crate::access::{CategoryName, ListName};

use super::Problem;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A folder of folders, each with `domains`, `urls`, `expressions`, `usage`.
    SquidGuard,
    Hosts,
    Domains,
    Urls,
    Expressions,
    Cidr,
}

/// One source of lists.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: String,
    pub format: Format,
    /// Where it lies.
    pub path: PathBuf,
    pub category: Option<CategoryName>,
    pub urls: Vec<String>,
    pub licence: String,
    pub attribution: String,
}

/// Every source that is there.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    pub sources: Vec<Source>,
    /// Worth saying, not worth stopping for: an optional source that is absent.
    pub notes: Vec<Problem>,
    fingerprint: [u8; 32],
}

impl Catalogue {
    /// Reads every `*.toml` of `dir`; paths are looked for beside the file, then in `downloaded`.
    pub fn read(_dir: &Path, _downloaded: &Path) -> Result<Catalogue, Vec<Problem>> {
        Ok(Catalogue::default())
    }

    /// Over paths, sizes, dates and the catalogue's own text: quick, reads no list.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// The names of the lists that a compile would make.
    pub fn list_names(&self) -> Vec<ListName> {
        Vec::new()
    }
}

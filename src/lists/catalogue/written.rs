//! A catalogue file as it is written.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use crate::access::{CategoryName, ListName};

use super::super::input::ListInput;
use super::super::urgent;
use super::{Format, Problem, Upstream};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    source: Vec<Spanned<toml::Value>>,
}

/// What is wrong, and the cure.
pub type Fault = (String, &'static str);

/// A `[[source]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    pub name: String,
    pub format: Format,
    pub path: String,
    #[serde(default)]
    pub optional: bool,
    pub category: Option<String>,
    #[serde(default)]
    pub category_names: BTreeMap<String, String>,
    #[serde(default)]
    pub urls: Vec<String>,
    pub sha256: Option<String>,
    pub sums_url: Option<String>,
    pub minimum_entries: Option<u64>,
    pub maximum_loss_percent: Option<u32>,
    pub maximum_growth_percent: Option<u32>,
    #[serde(default)]
    pub licence: String,
    #[serde(default)]
    pub attribution: String,
    /// Where it stands.
    #[serde(skip)]
    pub line: u32,
}

/// Every source that can be used, and everything that is wrong with the others.
pub fn parse(file: &Path, text: &str) -> (Vec<Written>, Vec<Problem>) {
    let help = "see the examples in `rules/lists`";
    let at = |offset: usize, what: String, help: &str| {
        let before = &text[..text.floor_char_boundary(offset)];
        let line = before.matches('\n').count() as u32 + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
        Problem { line: Some(line), column: Some(column), ..Problem::in_file(file, what, help) }
    };
    let parsed: File = match toml::from_str(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            return (Vec::new(), vec![at(offset, error.message().to_owned(), help)]);
        }
    };
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    for source in parsed.source {
        let offset = source.span().start;
        match source.into_inner().try_into::<Written>() {
            Ok(written) => {
                let faults = faults(&written);
                problems.extend(faults.iter().map(|(what, help)| at(offset, what.clone(), help)));
                if faults.is_empty() {
                    let line = text[..text.floor_char_boundary(offset)].matches('\n').count() as u32 + 1;
                    sources.push(Written { line, ..written });
                }
            }
            Err(error) => problems.push(at(offset, error.message().to_owned(), help)),
        }
    }
    (sources, problems)
}

fn faults(written: &Written) -> Vec<Fault> {
    let mut faults = Upstream::check(written).err().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if written.name.is_empty() || written.name.starts_with('.') || !written.name.chars().all(plain) {
        let help = "a source's name has letters, digits, `-`, `_` and `.`, and does not begin with a `.`";
        faults.push((format!("`{}` is no name for a source", written.name), help));
    }
    if written.name == urgent::SOURCE {
        let help = "give the source another name: the lists of `urgent.toml` are called so";
        faults.push((format!("the name `{}` is taken", written.name), help));
    }
    if written.path.is_empty() {
        faults.push(("`path` is empty".to_owned(), "give the file or folder of the list"));
    }
    if written.format == Format::SquidGuard && written.category.is_some() {
        let help = "rename single folders with `category_names`, or remove the key";
        faults.push(("`category` says nothing of a squidguard folder".to_owned(), help));
    }
    if written.format != Format::SquidGuard && !written.category_names.is_empty() {
        let help = "give a single file its `category`";
        faults.push(("`category_names` is for squidguard folders".to_owned(), help));
    }
    faults
}

impl Written {
    /// A list of this source, without its files.
    pub fn input(&self, name: ListName, category: CategoryName, path: &Path) -> ListInput {
        ListInput {
            name,
            category,
            aliases: Vec::new(),
            origin: self.urls.first().cloned().unwrap_or_else(|| path.display().to_string()),
            licence: self.licence.clone(),
            attribution: self.attribution.clone(),
            source_date: None,
            usage: None,
            parts: Vec::new(),
        }
    }

    /// The category of a folder.
    pub fn category_of(&self, folder: &str) -> CategoryName {
        CategoryName::new(self.category_names.get(folder).map_or(folder, String::as_str))
    }
}

//! Which lists there are: `rules/lists/*.toml`.
//!
//! ```toml
//! [[source]]
//! name = "ut1"
//! format = "squidguard"      # a folder of folders; hosts, domains, urls, expressions, cidr, adblock: one file
//! path = "ut1"               # beside this file, else among the downloaded lists
//! optional = true            # absent is a note, not a problem
//! category = "…"             # of a single file; in a squidguard folder the folders' names are the categories
//! category_names = { "agressif" = "violence" }
//! urls = ["https://…"]       # where `ecluse lists update` fetches it; several are mirrors, tried in order
//! sha256 = "…"               # of a list that does not change
//! sums_url = "https://…"     # or a file of `sha256sum` or `md5sum` with a line for it
//! minimum_entries = 1        # a fetched list with fewer is refused
//! maximum_loss_percent = 30  # and one that lost or gained more than this
//! maximum_growth_percent = 200
//! licence = "CC BY-SA 4.0"
//! attribution = "…"
//! ```

mod folder;
mod stamp;
mod upstream;
mod written;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::access::{CategoryName, ListName};
use crate::matcher::MAX_LISTS;

use super::Problem;
use super::input::{ListInput, Part, PartText};
use super::parse::LineKind;
use super::urgent::{self, Urgent};

use stamp::Stamp;
use written::Written;

pub use upstream::{Upstream, parse_sha256};

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A folder of folders, each with `domains`, `urls`, `expressions`, `usage`.
    SquidGuard,
    Hosts,
    Domains,
    Urls,
    Expressions,
    Cidr,
    /// A filter list of ad blockers: EasyList and its kind.
    Adblock,
}

impl Format {
    pub(super) fn line_kind(self) -> LineKind {
        match self {
            Format::SquidGuard | Format::Domains => LineKind::Domain,
            Format::Hosts => LineKind::Hosts,
            Format::Urls => LineKind::Url,
            Format::Expressions => LineKind::Expression,
            Format::Cidr => LineKind::Network,
            Format::Adblock => LineKind::Rule,
        }
    }
}

/// One source of lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub format: Format,
    /// Where it lies; where it would lie once downloaded when it is absent.
    pub path: PathBuf,
    /// Absent optional sources stay in the catalogue: `update` fetches them.
    pub present: bool,
    /// Where it lies once downloaded.
    pub fetched: PathBuf,
    /// Where it is fetched from, if anywhere.
    pub upstream: Option<Upstream>,
    pub licence: String,
    pub attribution: String,
    written: Written,
}

impl Source {
    /// Whether `update` has a say: a copy beside the catalogue is the operator's own, and goes first.
    pub fn is_fetched(&self) -> bool {
        self.upstream.is_some() && (!self.present || self.path == self.fetched)
    }

    /// The lists that it would make if it lay at `path`.
    pub(super) fn inputs_at(&self, path: &Path) -> std::io::Result<Vec<ListInput>> {
        inputs(path, &self.written, &mut Stamp::default())
    }
}

fn inputs(path: &Path, written: &Written, stamp: &mut Stamp) -> std::io::Result<Vec<ListInput>> {
    if written.format == Format::SquidGuard {
        return folder::read(path, written, stamp);
    }
    let source_date = stamp.add_file(path);
    let text = PartText::File(path.to_owned());
    let part = Part { kind: written.format.line_kind(), file: written.path.clone(), text };
    let category = CategoryName::new(written.category.as_deref().unwrap_or(&written.name));
    let input = written.input(ListName::new(&*written.name), category, path);
    Ok(vec![ListInput { source_date, parts: vec![part], ..input }])
}

/// Every source and every list.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    pub sources: Vec<Source>,
    /// Worth saying, not worth stopping for: an optional source that is absent, a folder that could not be read.
    pub notes: Vec<Problem>,
    /// The urgent changes, which a compile merges. They are no part of the fingerprint: they want no compile.
    pub urgent: Urgent,
    pub(super) inputs: Vec<ListInput>,
    fingerprint: [u8; 32],
}

impl Catalogue {
    /// Reads every `*.toml` of `dir` and looks what is there; reads no list. A `dir` that is absent is empty. Of them
    /// `urgent.toml` holds the [`Urgent`] changes.
    pub fn read(dir: &Path, downloaded: &Path) -> Result<Catalogue, Vec<Problem>> {
        let mut reader = Reader::new(downloaded);
        match toml_files(dir) {
            Ok(files) => files.iter().for_each(|file| reader.read(file)),
            Err(error) => reader.problems.push(unreadable(dir, &error)),
        }
        match Urgent::read(dir) {
            Ok(urgent) => reader.add_urgent(urgent),
            Err(problems) => reader.problems.extend(problems),
        }
        reader.check_sources(dir);
        reader.check_names(dir);
        if reader.problems.is_empty() { Ok(reader.finish()) } else { Err(reader.problems) }
    }

    /// Every source, for who fetches them: what is absent or damaged is no problem here.
    pub fn read_sources(dir: &Path, downloaded: &Path) -> Result<Vec<Source>, Vec<Problem>> {
        let files = toml_files(dir).map_err(|error| vec![unreadable(dir, &error)])?;
        let mut reader = Reader { sources_only: true, ..Reader::new(downloaded) };
        files.iter().for_each(|file| reader.read(file));
        reader.check_sources(dir);
        if reader.problems.is_empty() { Ok(reader.sources) } else { Err(reader.problems) }
    }

    /// Over paths, sizes, dates and the catalogue's own text: quick.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// The names and categories of the lists that a compile makes, in their order.
    pub fn lists(&self) -> impl Iterator<Item = (&ListName, &CategoryName)> {
        self.inputs.iter().map(|input| (&input.name, &input.category))
    }
}

fn unreadable(dir: &Path, error: &std::io::Error) -> Problem {
    Problem::in_file(dir, format!("the folder cannot be read: {error}"), "make it readable for the gateway's user")
}

fn toml_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files: Vec<PathBuf> =
        paths?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.retain(|file| file.file_name().is_none_or(|name| name != urgent::FILE));
    files.sort();
    Ok(files)
}

struct Reader<'a> {
    downloaded: &'a Path,
    sources: Vec<Source>,
    urgent: Urgent,
    inputs: Vec<ListInput>,
    problems: Vec<Problem>,
    notes: Vec<Problem>,
    stamp: Stamp,
    sources_only: bool,
}

impl<'a> Reader<'a> {
    fn new(downloaded: &'a Path) -> Self {
        Reader {
            downloaded,
            sources: Vec::new(),
            urgent: Urgent::default(),
            inputs: Vec::new(),
            problems: Vec::new(),
            notes: Vec::new(),
            stamp: Stamp::default(),
            sources_only: false,
        }
    }

    fn read(&mut self, file: &Path) {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                let what = format!("the file cannot be read: {error}");
                self.problems.push(Problem::in_file(file, what, "make it a readable file of UTF-8 text"));
                return;
            }
        };
        self.stamp.add_text(file, &text);
        let (sources, problems) = written::parse(file, &text);
        self.problems.extend(problems);
        sources.into_iter().for_each(|written| self.add(file, written));
    }

    fn add(&mut self, file: &Path, written: Written) {
        let beside = file.parent().unwrap_or(Path::new("")).join(&written.path);
        let fetched = self.downloaded.join(&written.path);
        let path = [&beside, &fetched].into_iter().find(|path| path.exists()).cloned();
        match (&path, self.sources_only) {
            (_, true) => {}
            (None, false) => self.absent(file, &written, [&beside, &fetched]),
            (Some(path), false) => self.add_inputs(path, &written),
        }
        // Problems of it were told when it was parsed: here it has none.
        let upstream = Upstream::check(&written).ok().flatten();
        if upstream.is_some() && path.as_ref() == Some(&beside) {
            self.notes.push(upstream::hidden(file, &written, &beside));
        }
        self.sources.push(Source {
            name: written.name.clone(),
            format: written.format,
            present: path.is_some(),
            path: path.unwrap_or_else(|| fetched.clone()),
            fetched,
            upstream,
            licence: written.licence.clone(),
            attribution: written.attribution.clone(),
            written,
        });
    }

    fn absent(&mut self, file: &Path, written: &Written, tried: [&Path; 2]) {
        let what = format!(
            "the list `{}` is absent: there is neither {} nor {}",
            written.name,
            tried[0].display(),
            tried[1].display()
        );
        let help = "put it there, fetch it with `ecluse lists update`, or remove the source";
        let problem = Problem { line: Some(written.line), ..Problem::in_file(file, what, help) };
        if written.optional { &mut self.notes } else { &mut self.problems }.push(problem);
    }

    fn add_inputs(&mut self, path: &Path, written: &Written) {
        if let Ok(target) = fs::read_link(path) {
            // A fetched list: another version is another list, even where sizes and dates are the same.
            self.stamp.add_text(path, &target.to_string_lossy());
        }
        match inputs(path, written, &mut self.stamp) {
            Ok(lists) => self.inputs.extend(lists),
            Err(error) => self.problems.push(Problem::in_file(
                path,
                format!("the folder of `{}` cannot be read: {error}", written.name),
                "it must be a folder of folders, each with a file `domains`, `urls` or `expressions`",
            )),
        }
    }

    /// By their categories' own names, whatever links call them.
    fn add_urgent(&mut self, mut urgent: Urgent) {
        let aliases = || self.inputs.iter().flat_map(|i| i.aliases.iter().map(|(_, alias)| (alias, &i.category)));
        for name in urgent.entries.iter_mut().flat_map(|entry| &mut entry.categories) {
            if let Some((_, category)) = aliases().find(|(alias, _)| *alias == name) {
                *name = category.clone();
            }
        }
        self.inputs.extend(urgent.inputs());
        self.urgent = urgent;
    }

    /// A fetched list has its place under the source's name, and at its path.
    fn check_sources(&mut self, dir: &Path) {
        let fetched: Vec<&Source> = self.sources.iter().filter(|source| source.upstream.is_some()).collect();
        for (i, one) in fetched.iter().enumerate() {
            let meets = |other: &&Source| {
                let nested = other.fetched.starts_with(&one.fetched) || one.fetched.starts_with(&other.fetched);
                other.name == one.name || nested
            };
            if fetched[..i].iter().any(meets) {
                let what = format!("the source `{}` is fetched to the place of another", one.name);
                let help = "give each fetched source a name and a path of its own";
                self.problems.push(Problem::in_file(dir, what, help));
            }
        }
    }

    /// A name means one list, and an image holds only so many.
    fn check_names(&mut self, dir: &Path) {
        let mut seen = std::collections::HashSet::new();
        let names = self.inputs.iter().flat_map(|i| std::iter::once(&i.name).chain(i.aliases.iter().map(|(n, _)| n)));
        for name in names.filter(|name| !seen.insert((*name).clone())) {
            let what = format!("two lists have the name `{name}`");
            self.problems.push(Problem::in_file(dir, what, "give each source a name of its own"));
        }
        if self.inputs.len() > MAX_LISTS {
            let what = format!("there are {} lists, an image holds {MAX_LISTS}", self.inputs.len());
            self.problems.push(Problem::in_file(dir, what, "take some sources out"));
        }
    }

    fn finish(self) -> Catalogue {
        let Reader { sources, urgent, inputs, notes, stamp, .. } = self;
        let fingerprint = stamp.finish();
        Catalogue { sources, notes, urgent, inputs, fingerprint }
    }
}

#[cfg(test)]
mod tests;

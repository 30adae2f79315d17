//! Urgent changes of the lists: a name to refuse within the minute, a false positive to lift at once.
//!
//! They are written in `urgent.toml` beside the catalogue, each with author, date and reason:
//!
//! ```toml
//! [[add]]
//! entry = "hameconnage.example"       # this host and all below it, an address, or a URL and what lies below it
//! categories = ["phishing"]
//! author = "m.durand"
//! date = "2026-11-25T02:40:00Z"
//! reason = "Signalé par l'académie"
//!
//! [[remove]]
//! entry = "bon-site.example"
//! categories = ["adult"]
//! author = "m.durand"
//! date = "2026-11-25T02:41:00Z"
//! reason = "Site du collège, listé par erreur"
//! ```
//!
//! A reload takes the file as it is, and compiles nothing: an [`Overlay`] over the image answers for it. The next compile
//! merges it: what is added are then entries of the image like all others, of the lists `urgent/phishing`…, and the
//! image knows which file it merged, so that the overlay is needed again only when the file has changed since. The
//! answers are the same before and after (a property test holds it).
//!
//! **What a removal lifts**: in lists of its categories, every entry that is as wide as the removal or wider, for the
//! target that it names and all below it. The removal of `blog.example` lifts a line `blog.example` or `example`, an
//! expression, a rule of an ad blocker; a line `bad.blog.example` and a URL `blog.example/bad` stay listed. An urgent
//! addition of the very same entry goes before a removal.
//!
//! Type to read first: [`Urgent`].

mod overlay;
mod written;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::access::{CategoryName, EntryRef, ListName, Timestamp};

use super::Problem;
use super::input::{ListInput, Part, PartText};
use super::parse::LineKind;

pub(super) use overlay::{Lists, Overlay, Said, Width, width};

/// The file's name, beside the catalogue's.
pub const FILE: &str = "urgent.toml";
/// The source that a catalogue may not have: the lists of the additions bear its name.
pub const SOURCE: &str = "urgent";
/// More are a list: an entry of the catalogue.
pub const MAX_ENTRIES: usize = 10_000;
/// Who wrote them, in the words of the page that tells people where lists come from.
const ATTRIBUTION: &str = "ajouts urgents des responsables du filtrage";

/// The urgent changes that are in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Urgent {
    pub entries: Vec<UrgentEntry>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrgentEntry {
    pub change: Change,
    /// As it was written.
    pub entry: String,
    /// What it means: a host in canonical spelling (of a URL: its site), and the path of a URL or nothing.
    pub host: String,
    pub path: String,
    pub categories: Vec<CategoryName>,
    pub author: String,
    /// RFC 3339.
    pub date: String,
    pub reason: String,
    /// Where it stands, 1-based.
    pub line: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Add,
    Remove,
}

impl Urgent {
    /// Reads the file beside a catalogue; none there is nothing urgent.
    ///
    /// # Errors
    /// Every problem of the file.
    pub fn read(catalogue: &Path) -> Result<Urgent, Vec<Problem>> {
        let file = Urgent::file(catalogue);
        match fs::read_to_string(&file) {
            Ok(text) => Urgent::parse(&file, &text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Urgent::default()),
            Err(error) => {
                let what = format!("the file cannot be read: {error}");
                Err(vec![Problem::in_file(file, what, "make it a readable file of UTF-8 text")])
            }
        }
    }

    /// Where it lies.
    pub fn file(catalogue: &Path) -> PathBuf {
        catalogue.join(FILE)
    }

    /// From its text; `file` is what problems name.
    ///
    /// # Errors
    /// Every problem of the text.
    pub fn parse(file: &Path, text: &str) -> Result<Urgent, Vec<Problem>> {
        written::parse(file, text)
    }

    /// As [`Urgent::parse`] reads it.
    pub fn to_text(&self) -> String {
        written::to_text(self)
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The categories that something is added to, each once, in the order of the file.
    pub(super) fn categories(&self) -> Vec<&CategoryName> {
        let mut categories: Vec<&CategoryName> = Vec::new();
        for category in self.entries.iter().filter(|e| e.change == Change::Add).flat_map(|e| &e.categories) {
            if !categories.contains(&category) {
                categories.push(category);
            }
        }
        categories
    }

    /// The additions as lists that a compile reads: `urgent/phishing`…
    pub(super) fn inputs(&self) -> Vec<ListInput> {
        self.categories().into_iter().map(|category| self.input(category)).collect()
    }

    fn input(&self, category: &CategoryName) -> ListInput {
        let entries = || self.entries.iter().filter(|e| e.change == Change::Add && e.categories.contains(category));
        // Each stands in the line where it stands in the file, which is how an image names it.
        let text_of = |urls: bool| {
            let mut text = String::new();
            let mut line = 1;
            for entry in entries().filter(|entry| entry.path.is_empty() != urls) {
                text.extend(std::iter::repeat_n('\n', entry.line.saturating_sub(line) as usize));
                text.push_str(if urls { &entry.entry } else { &entry.host });
                line = line.max(entry.line);
            }
            text
        };
        let part = |kind, text| Part { kind, file: FILE.to_owned(), text: PartText::Memory(text) };
        ListInput {
            name: list_name(category),
            category: category.clone(),
            aliases: Vec::new(),
            origin: String::new(),
            licence: String::new(),
            attribution: ATTRIBUTION.to_owned(),
            source_date: entries().map(|entry| entry.day().to_owned()).max(),
            usage: None,
            parts: vec![part(LineKind::Domain, text_of(false)), part(LineKind::Url, text_of(true))],
        }
    }
}

impl UrgentEntry {
    /// A change made now.
    ///
    /// # Errors
    /// What is wrong with it, and the cure.
    pub fn new(
        change: Change,
        entry: &str,
        categories: Vec<CategoryName>,
        author: String,
        date: Timestamp,
        reason: &str,
    ) -> Result<UrgentEntry, String> {
        // A second is exact enough for people.
        let date = date.to_jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (host, path) = written::meaning(entry.trim()).map_err(|(what, help)| format!("{what}\n  help: {help}"))?;
        let (entry, reason) = (entry.trim().to_owned(), reason.to_owned());
        Ok(UrgentEntry { change, entry, host, path, categories, author, date, reason, line: 0 })
    }

    /// Whether both mean the same host or URL, whatever they say of it.
    pub fn is_about_the_same(&self, other: &UrgentEntry) -> bool {
        (&self.host, &self.path) == (&other.host, &other.path)
    }

    /// As a decision names it.
    pub fn reference(&self) -> EntryRef {
        EntryRef {
            text: format!("{}{}", self.host, self.path),
            file: FILE.to_owned(),
            line: self.line,
            author: Some(self.author.clone()),
            date: Some(self.date.clone()),
        }
    }

    fn day(&self) -> &str {
        self.date.split('T').next().unwrap_or_default()
    }
}

/// The list of what is added to a category.
pub(super) fn list_name(category: &CategoryName) -> ListName {
    ListName::from(format!("{SOURCE}/{category}").as_str())
}

/// Whether a list is one of those.
pub(super) fn is_urgent(list: &ListName) -> bool {
    list.as_str().split_once('/').is_some_and(|(source, _)| source == SOURCE)
}

#[cfg(test)]
mod tests;

//! The image: all lists in one file, mapped and read where it lies.
//!
//! # The container
//!
//! Final in form: what changes from here on is the inside of a section (its version says so) and which sections there
//! are. All numbers are little-endian.
//!
//! | bytes | header, 128 bytes |
//! |---|---|
//! | 0–7 | magic `ECLLISTS` |
//! | 8–11 | version of the container, 1 |
//! | 12–15 | number of sections, at most 64 |
//! | 16–23 | length of the file |
//! | 24–55 | fingerprint of the content: SHA-256, see below |
//! | 56–87 | fingerprint of the sources it was compiled from |
//! | 88–91 | CRC32C of header and section table, this field as zero |
//! | 92–127 | zero |
//!
//! | bytes | section table, 32 bytes each, right after the header |
//! |---|---|
//! | 0–3 | kind, see [`Kind`]; a kind that a reader does not know is passed over |
//! | 4–7 | flags: bit 0 = hot |
//! | 8–15 | where the section begins, a multiple of 4096 |
//! | 16–23 | its length; sections do not overlap |
//! | 24–27 | CRC32C of the section |
//! | 28–31 | version of the section's inside; a reader refuses one that it does not know |
//!
//! *Hot* sections are read for every access; they lie first and are checked against their checksum when the image is
//! opened. *Cold* ones are read for hits and explanations: every read of theirs is bounded, and their checksums are
//! compared by [`Image::verify`], which `ecluse check`, the compiler (of the file just written) and the gateway (after
//! its start, in the background) call: start does not wait for a disk to read what most days need a page of. A hit whose
//! cold text is damaged counts as a hit, its entry says so ([`UNCONFIRMED`]), and [`Image::unconfirmed`] counts it.
//!
//! The checksums find accidents, not malice: whoever can write the file can write them, too. Whatever the bytes are,
//! reading them is refused or bounded, and never undefined.
//!
//! The fingerprint of the content is SHA-256 over the list names and categories in order and over kind, length and bytes
//! of every section but the lists' descriptions: the same lists give the same fingerprint on every gateway.
//!
//! # The sections
//!
//! | kind | hot | inside |
//! |---|---|---|
//! | lists | yes | JSON: the lists' descriptions in the order of their numbers, the aliases of categories, and the urgent changes that were merged (absent: none) |
//! | sets | yes | 64 bytes each: the sets of lists by number, a bit per list; number 0 is the empty set |
//! | names | yes | [`crate::matcher::names`] |
//! | addresses | yes | [`crate::matcher::addresses`] |
//! | urls | yes | [`crate::matcher::urls`] |
//! | expressions | yes | JSON: text, list, line of each |
//! | rules | yes | JSON: text, list, line of each rule of an ad blocker ([`crate::matcher::rules`]) that is more than a host; hosts that they name are marked in the names' table |
//! | codebook | yes | [`crate::matcher::names::codebook`] |
//! | name index, name texts | no | [`crate::matcher::names::exact`] |
//! | line index, line numbers | no | [`crate::matcher::names::exact`] |
//! | url lines, address lines | no | for each entry of the hot table in order, for each list of its set in order: the line, `u32`; preceded by where each entry's begin (index into the lines, `u32`, one more than there are entries) |
//!
//! # Life of the file
//!
//! An image is written aside, synced and renamed; it is never changed in place, because whoever has it mapped would
//! read half of each, or be killed by a shortened file. A new image is a new file.

mod entries;
mod layout;
mod lookup;
mod map;
mod spill;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::access::{CategoryName, ListName};
use crate::matcher::addresses::AddressTable;
use crate::matcher::names::NameTable;
use crate::matcher::names::codebook::Codebook;
use crate::matcher::names::hash::Seed;
use crate::matcher::patterns::{Expression, PatternSet};
use crate::matcher::rules::RuleSet;
use crate::matcher::urls::{UrlHit, UrlTable};
use crate::matcher::{Candidate, ListId, ListMatches, MAX_LISTS, site_of};

use super::urgent::{self, Lists, Overlay, Urgent, UrgentEntry, Width};
use super::{CompileError, ListMeta, ListText, Problem};

pub use layout::Kind;
pub(super) use layout::{Section, write};
pub(super) use spill::Spill;

use layout::Layout;
use map::Bytes;

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("cannot open the image of the lists {}: {source}", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{}: {damage}; compile the lists again: `ecluse lists compile`", path.display())]
    Damaged { path: PathBuf, damage: Damage },
}

/// What is wrong with the bytes of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("this is no image of lists")]
    NotAnImage,
    #[error("the image has version {0}, but this program reads version {VERSION}", VERSION = layout::VERSION)]
    Version(u32),
    #[error("the image is {found} bytes long and should be {expected}")]
    Length { found: u64, expected: u64 },
    #[error("the image's header is damaged")]
    Header,
    #[error("the image lacks its section `{0}`")]
    Missing(Kind),
    #[error("the image's section `{0}` has a version that this program does not read")]
    SectionVersion(Kind),
    #[error("the image's section `{0}` is damaged (checksum)")]
    Checksum(Kind),
    #[error("the image's section `{0}` contradicts itself")]
    Inconsistent(Kind),
    #[error("the image's section `{0}` cannot be read: {1}")]
    Unreadable(Kind, std::io::ErrorKind),
}

/// Stands behind the text of an entry that could not be compared with the host.
pub const UNCONFIRMED: &str = " (not confirmed: the image of the lists is damaged)";

/// The compiled lists: mapped, checked, immutable.
#[derive(Debug)]
pub struct Image {
    bytes: Bytes,
    layout: Layout,
    description: Description,
    patterns: PatternSet,
    rules: RuleSet,
    /// The lists of ad blockers: their exceptions hold for all of them.
    with_rules: ListMatches,
    /// The urgent changes, merged or over the image.
    overlay: Option<Overlay>,
    unconfirmed: AtomicU64,
}

/// The section `lists`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Description {
    pub lists: Vec<ListMeta>,
    /// Alias, category.
    pub category_aliases: Vec<(CategoryName, CategoryName)>,
    /// The urgent changes that were merged.
    #[serde(default)]
    pub urgent: Vec<UrgentEntry>,
}

impl Image {
    /// Maps an image and checks all that start needs. The pages that every look-up wants are then in the system's
    /// cache, but the process's own only after [`Image::warm`].
    pub fn open(path: &Path) -> Result<Image, ImageError> {
        let bytes = map::map(path).map_err(|source| ImageError::Open { path: path.into(), source })?;
        Image::from_mapped_or_owned(bytes).map_err(|damage| ImageError::Damaged { path: path.into(), damage })
    }

    /// An image in memory, whoever made it: refused, or safe to ask.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Image, Damage> {
        Image::from_mapped_or_owned(Bytes::Owned(bytes))
    }

    /// An image in memory, of lists given as text.
    pub fn from_texts(lists: &[ListText<'_>]) -> Result<Image, CompileError> {
        let bytes = super::compile::compile_texts(lists)?;
        Image::from_bytes(bytes).map_err(CompileError::Unreadable)
    }

    /// An image of no list.
    pub fn empty() -> Image {
        Image {
            bytes: Bytes::Owned(Vec::new()),
            layout: Layout::default(),
            description: Description::default(),
            patterns: PatternSet::default(),
            rules: RuleSet::default(),
            with_rules: ListMatches::EMPTY,
            overlay: None,
            unconfirmed: AtomicU64::new(0),
        }
    }

    fn from_mapped_or_owned(bytes: Bytes) -> Result<Image, Damage> {
        let layout = Layout::read(&bytes)?;
        layout.check(&bytes, |section| section.hot)?;
        let parsed = |kind| Damage::Inconsistent(kind);
        let description: Description =
            serde_json::from_slice(layout.bytes(&bytes, Kind::Lists)).map_err(|_| parsed(Kind::Lists))?;
        let lines =
            |kind| serde_json::from_slice::<Vec<Expression>>(layout.bytes(&bytes, kind)).map_err(|_| parsed(kind));
        let (expressions, rules) = (lines(Kind::Expressions)?, lines(Kind::Rules)?);
        let lists = description.lists.len();
        if lists > MAX_LISTS || expressions.iter().chain(&rules).any(|line| usize::from(line.list) >= lists) {
            return Err(parsed(Kind::Lists));
        }
        let patterns = PatternSet::new(expressions).map_err(|_| parsed(Kind::Expressions))?;
        let seed = NameTable::view(layout.bytes(&bytes, Kind::Names)).ok_or(parsed(Kind::Names))?.seed();
        let rules = RuleSet::new(rules, seed);
        let has_rules = |(_, list): &(usize, &ListMeta)| !list.files.rules.is_empty();
        let with_rules =
            description.lists.iter().enumerate().filter(has_rules).filter_map(|(i, _)| ListId::new(i)).collect();
        let mut image = Image {
            bytes,
            layout,
            description,
            patterns,
            rules,
            with_rules,
            overlay: None,
            unconfirmed: AtomicU64::new(0),
        };
        image.check_tables()?;
        image.overlay = image.merged(seed);
        Ok(image)
    }

    /// The changes that the compile merged: additions are entries like others, removals still lie over all.
    fn merged(&self, seed: Seed) -> Option<Overlay> {
        let entries = self.description.urgent.clone();
        (!entries.is_empty()).then(|| {
            let mut overlay = self.overlay_of(seed, entries);
            overlay.is_merged = true;
            overlay
        })
    }

    fn overlay_of(&self, seed: Seed, entries: Vec<UrgentEntry>) -> Overlay {
        let lists_where = |chosen: &dyn Fn(&ListMeta) -> bool| -> ListMatches {
            let lists = self.lists().iter().enumerate().filter(|(_, list)| chosen(list));
            lists.filter_map(|(i, _)| ListId::new(i)).collect()
        };
        let is_of = |list: &ListMeta, entry: &UrgentEntry| entry.categories.contains(&list.category);
        let mut overlay = Overlay::new(seed, entries, |entry| Lists {
            added: lists_where(&|list| is_of(list, entry) && urgent::is_urgent(&list.name)),
            lifted: lists_where(&|list| is_of(list, entry)),
        });
        overlay.urgent = lists_where(&|list| urgent::is_urgent(&list.name));
        overlay
    }

    /// The same lists with these urgent changes instead of those that a compile merged, if it merged others. Nothing is
    /// compiled.
    ///
    /// # Errors
    /// There are more lists than an answer has room for.
    pub fn with_urgent(mut self, urgent: Urgent) -> Result<Image, Problem> {
        if urgent.entries == self.description.urgent {
            return Ok(self);
        }
        let is_urgent = |(_, list): &(usize, &ListMeta)| urgent::is_urgent(&list.name);
        let void = self.lists().iter().enumerate().filter(is_urgent).filter_map(|(i, _)| ListId::new(i)).collect();
        for input in urgent.inputs() {
            if self.list_named(&input.name).is_none() {
                self.description.lists.push(ListMeta::of_input(&input));
            }
        }
        if self.description.lists.len() > MAX_LISTS {
            let what = format!("with the urgent additions there are more than {MAX_LISTS} lists");
            return Err(Problem::in_file(urgent::FILE, what, "add to fewer categories"));
        }
        // Where there is no table, there is nothing to hash like it.
        let seed = self.names().map_or(Seed::nth(0), |names| names.seed());
        let mut overlay = self.overlay_of(seed, urgent.entries);
        overlay.void = void;
        self.overlay = Some(overlay);
        Ok(self)
    }

    /// Every view can be taken, and no set names a list that is not there.
    fn check_tables(&self) -> Result<(), Damage> {
        let whole = |fits: bool, kind| if fits { Ok(()) } else { Err(Damage::Inconsistent(kind)) };
        let names = NameTable::view(self.section(Kind::Names)).ok_or(Damage::Inconsistent(Kind::Names))?;
        whole(AddressTable::view(self.section(Kind::Addresses)).is_some(), Kind::Addresses)?;
        whole(UrlTable::view(self.section(Kind::Urls)).is_some(), Kind::Urls)?;
        whole(Codebook::view(self.section(Kind::Codebook)).is_some(), Kind::Codebook)?;
        whole(self.section(Kind::NameIndex).len() == 4 * names.line_count(), Kind::NameIndex)?;
        whole(self.section(Kind::LineIndex).len() == 4 * names.line_count(), Kind::LineIndex)?;
        let (sets, surplus) = self.section(Kind::Sets).as_chunks();
        let lists = self.description.lists.len();
        let known = |set: &[u8; MAX_LISTS / 8]| ListMatches::from_bytes(set).iter().all(|list| list.index() < lists);
        whole(surplus.is_empty() && sets.iter().all(known), Kind::Sets)
    }

    /// Compares the checksums of the cold sections, too. Reads the whole file, and keeps none of it in memory.
    pub fn verify(&self) -> Result<(), Damage> {
        self.layout.check(&self.bytes, |_| true)
    }

    /// Has the hot sections in the process's memory before the first look-up wants them: some milliseconds. Worth it
    /// once the image is in force and the one before is let go; until then both would count.
    pub fn warm(&self) {
        self.bytes.populate(self.layout.hot());
    }

    /// How often a look-up hit a name whose text is damaged: each of them counted as listed.
    pub fn unconfirmed(&self) -> u64 {
        self.unconfirmed.load(Ordering::Relaxed)
    }

    fn section(&self, kind: Kind) -> &[u8] {
        self.layout.bytes(&self.bytes, kind)
    }

    /// Over the content and the urgent changes: the same lists give the same fingerprint.
    pub fn fingerprint(&self) -> [u8; 32] {
        let Some(overlay) = &self.overlay else { return self.layout.fingerprint };
        let mut sum = digest::Context::new(&digest::SHA256);
        sum.update(&self.layout.fingerprint);
        sum.update(Urgent { entries: overlay.entries().to_vec() }.to_text().as_bytes());
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(sum.finish().as_ref());
        fingerprint
    }

    /// The urgent changes in force.
    pub fn urgent(&self) -> &[UrgentEntry] {
        self.overlay.as_ref().map_or(&[], Overlay::entries)
    }

    /// Of the sources it was compiled from: [`super::Catalogue::fingerprint`] tells whether it is stale.
    pub fn source_fingerprint(&self) -> [u8; 32] {
        self.layout.source_fingerprint
    }

    /// Bytes of the hot sections (in memory) and of the whole image.
    pub fn sizes(&self) -> (u64, u64) {
        (self.layout.hot().len() as u64, self.bytes.len() as u64)
    }

    pub fn lists(&self) -> &[ListMeta] {
        &self.description.lists
    }

    pub fn list(&self, id: ListId) -> Option<&ListMeta> {
        self.description.lists.get(id.index())
    }

    /// The list of that name or alias.
    pub fn list_named(&self, name: &ListName) -> Option<ListId> {
        let at = self.lists().iter().position(|list| list.name == *name || list.aliases.contains(name))?;
        ListId::new(at)
    }

    /// The category that an alias (a link in a squidGuard folder) means.
    pub fn category_of_alias(&self, alias: &CategoryName) -> Option<&CategoryName> {
        self.description.category_aliases.iter().find(|(name, _)| name == alias).map(|(_, category)| category)
    }
}

/// How narrow the entry of a URL is.
fn url_width(candidate: &Candidate, hit: &UrlHit<'_>) -> Width {
    // An entry's text is the site, which has as many bytes here as there, and the path.
    let site = site_of(candidate.host_text());
    let path = hit.text.len().saturating_sub(site.len());
    urgent::width(site, &candidate.path()[..path.min(candidate.path().len())])
}

#[cfg(test)]
mod tests;

//! Text into an image.
//!
//! One pass over the lists gathers what their lines say ([`gather`]): a 16-byte record per name with its text packed
//! beside it; a sort brings the entries of each name together; one pass over the sorted records writes table and
//! cold part side by side ([`names`]). Memory is about three times the image, whatever the order of the lists. Where two names collide all of it is done again with the next seed.

mod gather;
mod names;
mod sets;
mod small;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::access::{CategoryName, ListName};
use crate::matcher::MAX_LISTS;
use crate::matcher::names::codebook::CodebookBuilder;
use crate::matcher::names::hash::Seed;

use super::image::{self, Damage, Description, Image, ImageError, Kind, Section};
use super::input::{ListInput, Part, PartText};
use super::parse::LineKind;
use super::{Catalogue, Format, ListMeta, Problem, Urgent};

use gather::Gathered;
use names::NamesError;
use sets::SetNumbers;

/// Two names of five million share line and fingerprint once in some hundred seeds.
const ATTEMPTS: u64 = 16;
/// Places of 4 KiB that the codebook learns from.
const SAMPLE_PLACES: u64 = 256;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("cannot write the image {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{0} lists are more than the {MAX_LISTS} that an image holds; take some out of `rules/lists`")]
    TooManyLists(usize),
    #[error("the lists overlap in more ways than an image can number; take some out of `rules/lists`")]
    TooManySets,
    #[error("the lists are too large for one image; take some out of `rules/lists`")]
    TooLarge,
    #[error("no seed keeps the names of the lists apart: one of them was made to collide")]
    Collisions,
    #[error("the image just made cannot be read: {0}")]
    Unreadable(Damage),
}

/// What a compile made of the text.
#[derive(Debug, Clone, Default)]
pub struct CompileReport {
    pub lists: Vec<ListMeta>,
    /// Lines that could not be used, the first of each file; none hides the next.
    pub problems: Vec<Problem>,
    pub totals: Totals,
    /// Of the image.
    pub bytes: u64,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries of domain lists and hosts files, each time they occur.
    pub name_entries: u64,
    /// Distinct host names.
    pub names: u64,
    /// Distinct networks and single addresses.
    pub networks: u64,
    pub url_entries: u64,
    /// Distinct URLs, in canonical spelling.
    pub urls: u64,
    pub expressions: u64,
    /// Rules of ad blockers that are more than a host.
    pub rules: u64,
    /// Distinct sets of lists.
    pub sets: u64,
    /// Lines that could not be used.
    pub bad_lines: u64,
}

/// One list given as text: for tests, and for lists that are no files.
#[derive(Debug, Clone)]
pub struct ListText<'a> {
    pub name: ListName,
    pub category: CategoryName,
    /// Not [`Format::SquidGuard`], which is a folder: read as domains.
    pub format: Format,
    pub text: &'a str,
}

impl<'a> ListText<'a> {
    pub fn new(name: &str, category: &str, format: Format, text: &'a str) -> Self {
        ListText { name: name.into(), category: category.into(), format, text }
    }
}

/// Compiles every list of the catalogue into the image `out`: written aside, synced, renamed.
pub fn compile(catalogue: &Catalogue, out: &Path) -> Result<CompileReport, CompileError> {
    let Compiled { description, sections, mut report } = compile_inputs(&catalogue.inputs, &catalogue.urgent)?;
    report.bytes = replace(out, |file| image::write(file, &description, &sections, catalogue.fingerprint()))?;
    Ok(report)
}

pub(super) fn compile_texts(lists: &[ListText<'_>]) -> Result<Vec<u8>, CompileError> {
    let inputs: Vec<ListInput> = lists.iter().map(input_of).collect();
    let Compiled { description, sections, .. } = compile_inputs(&inputs, &Urgent::default())?;
    let mut bytes = Vec::new();
    image::write(&mut bytes, &description, &sections, [0; 32])
        .map_err(|source| CompileError::Write { path: PathBuf::new(), source })?;
    Ok(bytes)
}

fn input_of(list: &ListText<'_>) -> ListInput {
    let part =
        Part { kind: list.format.line_kind(), file: list.name.to_string(), text: PartText::Memory(list.text.into()) };
    ListInput {
        name: list.name.clone(),
        category: list.category.clone(),
        aliases: Vec::new(),
        origin: String::new(),
        licence: String::new(),
        attribution: String::new(),
        source_date: None,
        usage: None,
        parts: vec![part],
    }
}

/// Writes aside, syncs, reads it back, renames: whoever has the old file mapped keeps it.
fn replace(out: &Path, write: impl FnOnce(&mut File) -> io::Result<u64>) -> Result<u64, CompileError> {
    let failed = |source| CompileError::Write { path: out.into(), source };
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let aside = folder.join(name);
    let done = write_synced(&aside, write).map_err(failed).and_then(|bytes| {
        verify(&aside)?;
        fs::rename(&aside, out).and_then(|()| File::open(folder)?.sync_all()).map_err(failed)?;
        Ok(bytes)
    });
    if done.is_err() {
        // Best effort: the error that is reported is the first one.
        let _ = fs::remove_file(&aside);
    }
    done
}

fn write_synced(file: &Path, write: impl FnOnce(&mut File) -> io::Result<u64>) -> io::Result<u64> {
    let mut file = File::create(file)?;
    let bytes = write(&mut file)?;
    file.flush()?;
    file.sync_all()?;
    Ok(bytes)
}

/// Whether what was written is an image, to its last byte.
fn verify(file: &Path) -> Result<(), CompileError> {
    let image = Image::open(file).map_err(|error| match error {
        ImageError::Open { path, source } => CompileError::Write { path, source },
        ImageError::Damaged { damage, .. } => CompileError::Unreadable(damage),
    })?;
    image.verify().map_err(CompileError::Unreadable)
}

struct Compiled {
    description: Description,
    sections: Vec<Section>,
    report: CompileReport,
}

fn compile_inputs(inputs: &[ListInput], urgent: &Urgent) -> Result<Compiled, CompileError> {
    if inputs.len() > MAX_LISTS {
        return Err(CompileError::TooManyLists(inputs.len()));
    }
    let codebook = CodebookBuilder::learn(sample(inputs).iter().map(String::as_str));
    for attempt in 0..ATTEMPTS {
        let gathered = gather::gather(inputs, Seed::nth(attempt), &codebook)?;
        match assemble(inputs, urgent, gathered, &codebook) {
            Err(NamesError::Collision) => {}
            Err(NamesError::Fatal(error)) => return Err(error),
            Ok(compiled) => return Ok(compiled),
        }
    }
    Err(CompileError::Collisions)
}

/// From every list of names, by its size. What cannot be read is a problem later.
fn sample(inputs: &[ListInput]) -> Vec<String> {
    let parts = || inputs.iter().flat_map(|list| &list.parts).filter(|part| part.kind == LineKind::Domain);
    let size = |part: &Part| part.text.bytes().unwrap_or_default();
    let all: u64 = parts().map(size).sum();
    let mut names = Vec::new();
    for part in parts() {
        let places = (size(part) * SAMPLE_PLACES).div_ceil(all.max(1));
        let _ = part.text.sample(places, &mut names);
    }
    names
}

fn assemble(
    inputs: &[ListInput],
    urgent: &Urgent,
    gathered: Gathered,
    codebook: &CodebookBuilder,
) -> Result<Compiled, NamesError> {
    let Gathered {
        seed,
        mut records,
        texts,
        top_filter,
        mut urls,
        mut networks,
        expressions,
        rules,
        problems,
        mut totals,
    } = gathered;
    let mut sets = SetNumbers::default();
    let mut counts = Counts::of(inputs.len());
    let url_sections = small::url_sections(&mut urls, &mut sets, &mut counts)?;
    let address_sections = small::address_sections(&mut networks, &mut sets, &mut counts)?;
    drop((urls, networks));
    let names = names::write(&mut records, &texts, seed, &top_filter, &mut sets, &mut counts)?;
    drop((records, texts));

    expressions.iter().for_each(|expression| counts.expressions[usize::from(expression.list)] += 1);
    rules.iter().for_each(|rule| counts.rules[usize::from(rule.list)] += 1);
    totals.rules = rules.len() as u64;
    totals.names = names.distinct;
    totals.urls = url_sections.distinct;
    totals.networks = address_sections.distinct;
    totals.expressions = expressions.len() as u64;
    totals.sets = sets.len() as u64;
    let description = describe(inputs, urgent, &counts);
    let json = |value: Result<Vec<u8>, serde_json::Error>| value.map_err(|_| CompileError::TooLarge);
    let section = |kind, bytes| Section { kind, bytes };
    let sections = vec![
        section(Kind::Lists, json(serde_json::to_vec(&description))?),
        section(Kind::Sets, sets.to_bytes()),
        section(Kind::Names, names.table),
        section(Kind::Addresses, address_sections.table),
        section(Kind::Urls, url_sections.table),
        section(Kind::Expressions, json(serde_json::to_vec(&expressions))?),
        section(Kind::Rules, json(serde_json::to_vec(&rules))?),
        section(Kind::Codebook, codebook.to_bytes()),
        section(Kind::NameIndex, names.text_index),
        section(Kind::NameTexts, names.texts),
        section(Kind::LineIndex, names.line_index),
        section(Kind::LineNumbers, names.line_numbers),
        section(Kind::UrlLines, url_sections.lines),
        section(Kind::AddressLines, address_sections.lines),
    ];
    let report = CompileReport { lists: description.lists.clone(), problems, totals, bytes: 0 };
    Ok(Compiled { description, sections, report })
}

/// Distinct entries by list.
pub(super) struct Counts {
    names: Vec<u64>,
    urls: Vec<u64>,
    networks: Vec<u64>,
    expressions: Vec<u64>,
    rules: Vec<u64>,
}

impl Counts {
    fn of(lists: usize) -> Counts {
        let zero = vec![0; lists];
        Counts {
            names: zero.clone(),
            urls: zero.clone(),
            networks: zero.clone(),
            expressions: zero.clone(),
            rules: zero,
        }
    }
}

fn describe(inputs: &[ListInput], urgent: &Urgent, counts: &Counts) -> Description {
    let lists = inputs.iter().enumerate().map(|(i, input)| ListMeta {
        entries: counts.names[i] + counts.urls[i] + counts.networks[i] + counts.expressions[i] + counts.rules[i],
        names: counts.names[i],
        urls: counts.urls[i],
        expressions: counts.expressions[i],
        networks: counts.networks[i],
        rules: counts.rules[i],
        ..ListMeta::of_input(input)
    });
    let aliases = inputs.iter().flat_map(|i| i.aliases.iter().map(|(_, alias)| (alias.clone(), i.category.clone())));
    Description { lists: lists.collect(), category_aliases: aliases.collect(), urgent: urgent.entries.clone() }
}

#[cfg(test)]
mod tests;

//! What the lines say, before it is sorted.

use std::io;

use ipnet::IpNet;

use crate::matcher::ListId;
use crate::matcher::names::TOP_FILTER_BYTES;
use crate::matcher::names::codebook::CodebookBuilder;
use crate::matcher::names::hash::{NameHash, Seed};
use crate::matcher::patterns::Expression;

use super::super::input::{ListInput, Part};
use super::super::parse::{self, Entry, LineKind, MAX_FILE_BYTES, MAX_LINES};
use super::{CompileError, Problem, Totals};

/// Problems told of one file; the rest is a number.
const PROBLEMS_SHOWN: u64 = 20;
/// Where 23 bits of line and 9 bits of list meet.
const LINE_BITS: u32 = MAX_LINES.count_ones();
/// Recently seen inner names, so that a list's 10,000 names under one parent make one record of it.
const RECENT: usize = 1 << 14;

/// List and line of an entry; list first in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u32);

impl Place {
    pub fn new(list: ListId, line: u32) -> Place {
        Place((list.index() as u32) << LINE_BITS | line)
    }

    pub fn list(self) -> ListId {
        // Nine bits are left above the line, and lists have nine.
        ListId::new((self.0 >> LINE_BITS) as usize).unwrap_or_default()
    }

    pub fn line(self) -> u32 {
        self.0 & MAX_LINES
    }
}

/// A name that is to be in the table: 16 bytes, of which there are millions.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    pub hash: NameHash,
    pub place: Place,
    /// Where its text is among the texts, or one of the two below.
    text: u32,
}

/// No entry: a name above one.
const ABOVE: u32 = u32::MAX;
/// No entry: a site with URLs.
const SITE: u32 = u32::MAX - 1;

impl Record {
    pub fn text(&self) -> Option<u32> {
        (self.text < SITE).then_some(self.text)
    }

    pub fn is_above(&self) -> bool {
        self.text == ABOVE
    }

    pub fn is_site(&self) -> bool {
        self.text == SITE
    }
}

/// Texts of names, packed: length, codes.
#[derive(Debug, Default)]
pub struct Texts(Vec<u8>);

impl Texts {
    pub fn at(&self, at: u32) -> &[u8] {
        let at = at as usize;
        &self.0[at + 1..at + 1 + usize::from(self.0[at])]
    }

    /// Has these texts in the cache. In the order of their hashes they lie all over the memory; asked for side by side
    /// they come in a tenth of the time.
    pub fn touch(&self, texts: impl Iterator<Item = u32>) {
        std::hint::black_box(texts.fold(0u8, |sum, at| sum ^ self.0[at as usize]));
    }

    fn push(&mut self, name: &str, codebook: &CodebookBuilder) -> Result<u32, CompileError> {
        let at = u32::try_from(self.0.len()).ok().filter(|&at| at < SITE - 256).ok_or(CompileError::TooLarge)?;
        self.0.push(0);
        codebook.encode(name, &mut self.0);
        // A name has at most 253 characters and none takes more than a byte.
        self.0[at as usize] = (self.0.len() - at as usize - 1) as u8;
        Ok(at)
    }
}

/// A URL entry.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UrlRecord {
    pub hash: NameHash,
    pub text: Box<str>,
    pub place: Place,
}

/// All that the lists say.
pub struct Gathered {
    pub seed: Seed,
    pub records: Vec<Record>,
    pub texts: Texts,
    pub top_filter: [u8; TOP_FILTER_BYTES],
    pub urls: Vec<UrlRecord>,
    pub networks: Vec<(IpNet, Place)>,
    pub expressions: Vec<Expression>,
    pub rules: Vec<Expression>,
    pub problems: Vec<Problem>,
    pub totals: Totals,
}

pub fn gather(inputs: &[ListInput], seed: Seed, codebook: &CodebookBuilder) -> Result<Gathered, CompileError> {
    let gathered = Gathered {
        seed,
        records: Vec::new(),
        texts: Texts::default(),
        top_filter: [0; TOP_FILTER_BYTES],
        urls: Vec::new(),
        networks: Vec::new(),
        expressions: Vec::new(),
        rules: Vec::new(),
        problems: Vec::new(),
        totals: Totals::default(),
    };
    let mut gatherer = Gatherer { gathered, codebook, recent: vec![0; RECENT], error: None };
    for (i, input) in inputs.iter().enumerate() {
        let list = ListId::new(i).ok_or(CompileError::TooManyLists(inputs.len()))?;
        for part in &input.parts {
            if let Err(error) = gatherer.read(list, part) {
                let help = "make the file readable, or take its source out of the catalogue";
                let what = format!("the list cannot be read: {error}");
                gatherer.gathered.problems.push(Problem::in_file(part.text.path(&part.file), what, help));
            }
        }
    }
    match gatherer.error {
        Some(error) => Err(error),
        None => Ok(gatherer.gathered),
    }
}

fn line_of(text: &str, place: Place) -> Expression {
    Expression { text: text.to_owned(), list: place.list().index() as u16, line: place.line() }
}

struct Gatherer<'a> {
    gathered: Gathered,
    codebook: &'a CodebookBuilder,
    recent: Vec<u64>,
    error: Option<CompileError>,
}

impl Gatherer<'_> {
    fn read(&mut self, list: ListId, part: &Part) -> io::Result<()> {
        if part.text.bytes()? > MAX_FILE_BYTES {
            return Err(io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes")));
        }
        let mut bad = 0;
        parse::for_each_line(part.text.open()?, |line, text| {
            let fault = match text {
                Ok(text) => parse::parse_line(part.kind, text, &mut |entry| {
                    self.add(entry, part.kind, Place::new(list, line));
                })
                .err()
                .map(|fault| (fault.what, fault.help)),
                Err(error) => Some((error.to_string(), "correct or remove the line")),
            };
            if let Some((what, help)) = fault {
                bad += 1;
                if bad <= PROBLEMS_SHOWN {
                    let file = part.text.path(&part.file);
                    self.gathered.problems.push(Problem { line: Some(line), ..Problem::in_file(file, what, help) });
                }
            }
        })?;
        self.gathered.totals.bad_lines += bad;
        if bad > PROBLEMS_SHOWN {
            let what = format!("{} more lines cannot be used", bad - PROBLEMS_SHOWN);
            let help = "correct those shown and compile again";
            self.gathered.problems.push(Problem::in_file(part.text.path(&part.file), what, help));
        }
        Ok(())
    }

    fn add(&mut self, entry: Entry<'_>, kind: LineKind, place: Place) {
        let added = match entry {
            Entry::Name(name) => self.add_name(name, place),
            Entry::Network(network) => {
                self.gathered.totals.name_entries += u64::from(kind != LineKind::Network);
                self.gathered.networks.push((network, place));
                Ok(())
            }
            Entry::Url { site, text } => {
                self.add_url(site, text, place);
                Ok(())
            }
            Entry::Expression(text) => {
                self.gathered.expressions.push(line_of(text, place));
                Ok(())
            }
            Entry::Rule { host, text } => {
                if let Some(host) = host {
                    let hash = self.add_parents(host);
                    self.gathered.records.push(Record { hash, place: Place(0), text: SITE });
                }
                self.gathered.rules.push(line_of(text, place));
                Ok(())
            }
        };
        if let Err(error) = added {
            self.error.get_or_insert(error);
        }
    }

    fn add_name(&mut self, name: &str, place: Place) -> Result<(), CompileError> {
        let text = self.gathered.texts.push(name, self.codebook)?;
        let hash = self.add_parents(name);
        self.gathered.records.push(Record { hash, place, text });
        self.gathered.totals.name_entries += 1;
        Ok(())
    }

    fn add_url(&mut self, site: &str, text: &str, place: Place) {
        let hash = self.add_parents(site);
        self.gathered.records.push(Record { hash, place: Place(0), text: SITE });
        self.gathered.urls.push(UrlRecord { hash, text: text.into(), place });
        self.gathered.totals.url_entries += 1;
    }

    /// Puts the names above `name` down, from two labels on, and gives the hash of the name itself.
    fn add_parents(&mut self, name: &str) -> NameHash {
        let mut suffixes = self.gathered.seed.suffixes(name);
        let Some((mut hash, mut start)) = suffixes.next() else { return NameHash(0) };
        if start == 0 {
            let (byte, bit) = hash.top_filter_bit();
            self.gathered.top_filter[byte] |= bit;
        }
        for (labels, (next, next_start)) in (1..).zip(suffixes) {
            if labels > 1 {
                self.add_above(hash);
            }
            (hash, start) = (next, next_start);
        }
        debug_assert_eq!(start, 0);
        hash
    }

    fn add_above(&mut self, hash: NameHash) {
        let recent = &mut self.recent[hash.0 as usize % RECENT];
        if *recent != hash.0 {
            *recent = hash.0;
            self.gathered.records.push(Record { hash, place: Place(0), text: ABOVE });
        }
    }
}

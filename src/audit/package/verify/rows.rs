//! The rows: each line, its twin in the table, and the leaf it claims.

use std::collections::HashSet;

use super::chains::Chains;
use super::{Altered, Package};
use crate::access::proof::{Halves, Hash, Salts};
use crate::access::{AccessRow, ConnectionRow, GatewayName, Row, RowKey, Stream};
use crate::audit::csv::Csv;
use crate::audit::package::write::row_line;
use crate::audit::package::{LEAVES, LeafLine, Manifest, ROWS, TABLE};

/// The rows of a package, as far as the other checks need them.
pub(super) struct Rows {
    pub keys: Vec<RowKey>,
}

/// Rows that are in memory at once.
const BATCH: usize = 32_768;
/// Rows that are worth a thread.
const CHUNK: usize = 1024;

pub(super) fn check(package: &Package, manifest: &Manifest, chains: &mut Chains) -> Result<Rows, Altered> {
    let rows = lines(package.bytes(ROWS));
    let leaves = lines(package.bytes(LEAVES));
    let table = Table::begin(package.bytes(TABLE), manifest.stream)?;
    let pairs: Vec<(&[u8], &[u8])> = rows.iter().copied().zip(leaves.iter().copied()).collect();
    let mut walk = Walk { manifest, chains, table, keys: Vec::new() };
    let (mut proven, mut n) = (0, 0);
    for batch in pairs.chunks(BATCH) {
        for line in in_parallel(batch, manifest.stream) {
            n += 1;
            match line {
                Ok(line) if line.is_where_its_leaf_is() => proven += walk.step(n, &line)?,
                Ok(line) => return Err(displaced(n, &line, &rows, &leaves)),
                // A line that belongs to nobody may stand in the place of another.
                Err(why) => return Err(unreadable(n, &why, &rows, &leaves)),
            }
        }
    }
    let keys = walk.keys;
    if rows.len() != leaves.len() || rows.len() as u64 != manifest.rows {
        let row = rows.len().min(leaves.len()) as u64 + 1;
        let why = format!(
            "{} rows are here, {} leaves, and the manifest says {}: {}",
            rows.len(),
            leaves.len(),
            manifest.rows,
            if (rows.len() as u64) < manifest.rows { "it was removed" } else { "it was added" }
        );
        return Err(at(row, leaf_key(&leaves, row as usize - 1), &why));
    }
    walk.table.end(rows.len() as u64)?;
    if proven != manifest.proven {
        return Err(Altered::file(
            LEAVES,
            format!("{proven} rows have a proof, the manifest says {}", manifest.proven),
        ));
    }
    Ok(Rows { keys })
}

/// The lines of a text, each with its line feed if it has one.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

/// One row with its leaf, as far as they can be judged alone.
struct Line {
    row: Row,
    leaf: LeafLine,
    /// What the row and its salts give.
    hash: Option<Hash>,
    table: Vec<u8>,
}

type Parsed = Result<Line, String>;

fn in_parallel(pairs: &[(&[u8], &[u8])], stream: Stream) -> Vec<Parsed> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let part = pairs.len().div_ceil(threads).max(CHUNK);
    std::thread::scope(|scope| {
        let parse_all = |part: &[(&[u8], &[u8])]| part.iter().map(|(row, leaf)| parse(row, leaf, stream)).collect();
        let parts: Vec<_> =
            pairs.chunks(part).map(|part| scope.spawn(move || -> Vec<Parsed> { parse_all(part) })).collect();
        let joined = parts.into_iter().flat_map(|part| match part.join() {
            Ok(parsed) => parsed,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}

fn parse(line: &[u8], leaf: &[u8], stream: Stream) -> Parsed {
    let altered = |e: serde_json::Error| format!("it was altered: {e}");
    let row = match stream {
        Stream::Accesses => Row::Access(Box::new(serde_json::from_slice::<AccessRow>(line).map_err(altered)?)),
        Stream::Connections => {
            Row::Connection(Box::new(serde_json::from_slice::<ConnectionRow>(line).map_err(altered)?))
        }
    };
    let mut spelled = Vec::with_capacity(line.len());
    row_line(&row, &mut spelled).map_err(|e| e.to_string())?;
    if spelled != line {
        return Err("it was altered: it is not spelled as it was written".into());
    }
    let leaf_line: LeafLine = serde_json::from_slice(leaf).map_err(|e| format!("its leaf was altered: {e}"))?;
    spelled.clear();
    serde_json::to_writer(&mut spelled, &leaf_line).map_err(altered)?;
    spelled.push(b'\n');
    if spelled != leaf {
        return Err("its leaf was altered: it is not spelled as it was written".into());
    }
    let hash = leaf_line.proof.map(|proof| Halves::of_row(&row).leaf(Salts { who: proof.who, what: proof.what }));
    let mut table = Vec::new();
    Csv::new(stream).row(&row, &mut table).map_err(|e| e.to_string())?;
    Ok(Line { row, leaf: leaf_line, hash, table })
}

impl Line {
    fn is_where_its_leaf_is(&self) -> bool {
        let (key, leaf) = (self.row.key(), &self.leaf);
        (&key.gateway, key.lane, key.sequence, key.slice) == (&leaf.gateway, leaf.lane, leaf.sequence, leaf.slice)
    }
}

/// What tells rows apart, in a line of either file.
#[derive(serde::Deserialize, PartialEq, Eq)]
struct KeyOf {
    gateway: GatewayName,
    lane: u64,
    sequence: u64,
    slice: u32,
}

impl KeyOf {
    fn read(line: &[u8]) -> Option<KeyOf> {
        serde_json::from_slice(line).ok()
    }

    fn of_leaf(leaf: &LeafLine) -> KeyOf {
        let LeafLine { gateway, lane, sequence, slice, .. } = leaf.clone();
        KeyOf { gateway, lane, sequence, slice }
    }

    fn of_row(key: &RowKey) -> KeyOf {
        let RowKey { gateway, lane, sequence, slice, .. } = key.clone();
        KeyOf { gateway, lane, sequence, slice }
    }

    fn is_in(&self, lines: &[&[u8]]) -> bool {
        lines.iter().any(|line| KeyOf::read(line).is_some_and(|key| key == *self))
    }
}

/// The row in place `n` (from 1) is another than the one that its leaf names: what became of that one.
fn displaced(n: u64, line: &Line, rows: &[&[u8]], leaves: &[&[u8]]) -> Altered {
    let (key, leaf) = (line.row.key(), &line.leaf);
    let has_row = KeyOf::of_leaf(leaf).is_in(rows);
    let has_leaf = KeyOf::of_row(key).is_in(leaves);
    match (has_row, has_leaf) {
        (true, true) => at(n, name(key), "it was moved: another row belongs here"),
        (true, false) => at(n, name(key), "it was added: no leaf of the package is of it"),
        (false, true) => at(n, leaf_name(leaf), "it was removed"),
        (false, false) => at(n, leaf_name(leaf), "it was altered: its key is another"),
    }
}

/// The same where the line itself cannot be read.
fn unreadable(n: u64, why: &str, rows: &[&[u8]], leaves: &[&[u8]]) -> Altered {
    let leaf = leaves.get(n as usize - 1).and_then(|line| KeyOf::read(line));
    let others: Vec<&[u8]> =
        rows.iter().copied().enumerate().filter(|(at, _)| *at + 1 != n as usize).map(|(_, line)| line).collect();
    match leaf {
        Some(key) if key.is_in(&others) => {
            at(n, leaf_key(leaves, n as usize - 1), "something stands in its place that is no row, and it was moved")
        }
        _ => at(n, leaf_key(leaves, n as usize - 1), why),
    }
}

struct Walk<'a> {
    manifest: &'a Manifest,
    chains: &'a mut Chains,
    table: Table<'a>,
    keys: Vec<RowKey>,
}

impl Walk<'_> {
    /// Checks one row against its leaf, the question and the table; answers whether it has a proof.
    fn step(&mut self, n: u64, line: &Line) -> Result<u64, Altered> {
        let key = line.row.key();
        let altered = |why: &str| Err(at(n, name(key), why));
        if line.hash != line.leaf.proof.map(|proof| proof.hash) {
            return altered("it was altered, or its leaf was: they do not give the hash that is written there");
        }
        if let Some(proof) = line.leaf.proof
            && let Err(why) = self.chains.know(proof.root, proof.leaf, proof.hash, key)
        {
            return altered(&why);
        }
        if !self.manifest.wanted.is_answer(&line.row) {
            return altered("it is no answer to what the manifest says was asked");
        }
        self.table.row(n, key, &line.table)?;
        self.keys.push(key.clone());
        Ok(u64::from(line.leaf.proof.is_some()))
    }
}

/// The table, which must be what the rows give.
struct Table<'a> {
    left: &'a [u8],
}

impl<'a> Table<'a> {
    fn begin(bytes: &'a [u8], stream: Stream) -> Result<Table<'a>, Altered> {
        let mut head = Vec::new();
        let begun = Csv::new(stream).begin(&mut head);
        match bytes.strip_prefix(head.as_slice()) {
            Some(left) if begun.is_ok() => Ok(Table { left }),
            _ => Err(Altered::file(TABLE, "its first line was altered: it is not that of the columns")),
        }
    }

    fn row(&mut self, n: u64, key: &RowKey, line: &[u8]) -> Result<(), Altered> {
        match self.left.strip_prefix(line) {
            Some(left) => self.left = left,
            None => return Err(at(n, name(key), "it is another in rows.csv than in rows.jsonl")),
        }
        Ok(())
    }

    fn end(&self, rows: u64) -> Result<(), Altered> {
        if self.left.is_empty() {
            return Ok(());
        }
        Err(at(rows + 1, "unknown".into(), "it was added to rows.csv: rows.jsonl has no such row"))
    }
}

pub(super) fn at(row: u64, key: String, why: &str) -> Altered {
    Altered::Row { row, key, why: why.into() }
}

pub(super) fn name(key: &RowKey) -> String {
    format!("gateway {}, lane {}, sequence {}, slice {}", key.gateway, key.lane, key.sequence, key.slice)
}

fn leaf_name(leaf: &LeafLine) -> String {
    format!("gateway {}, lane {}, sequence {}, slice {}", leaf.gateway, leaf.lane, leaf.sequence, leaf.slice)
}

fn leaf_key(leaves: &[&[u8]], n: usize) -> String {
    let leaf = leaves.get(n).and_then(|line| serde_json::from_slice::<LeafLine>(line).ok());
    leaf.map_or_else(|| "of unknown key".into(), |leaf| leaf_name(&leaf))
}

impl Rows {
    /// The keys of all rows, to be looked in.
    pub fn key_set(&self) -> HashSet<&RowKey> {
        self.keys.iter().collect()
    }
}

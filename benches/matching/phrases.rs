//! Literals in page text: the piece that phrases are to be found with, beside plain `aho-corasick`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use ecluse::matcher::grams::GramSet;

use crate::measure::on_processor;

pub fn run(folder: &Path) {
    let literals = literals(folder);
    let text = text(folder);
    assert!(literals.len() > 7_000 && text.len() > 5_000_000);
    let set = GramSet::new(&literals);
    let automaton = AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(&literals).unwrap();
    let (mut ours, mut theirs, mut hits) = (0u64, 0u64, 0u64);
    // Where, and which: a sum that is the same in whatever order they come.
    let sign = |start: usize, literal: usize| (start as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ literal as u64;
    let took = best(|| {
        (ours, hits) = (0, 0);
        set.find(&text, |found| {
            hits += 1;
            ours = ours.wrapping_add(sign(found.start, found.literal));
        });
    });
    let peer = best(|| {
        theirs = 0;
        for hit in automaton.find_overlapping_iter(&text) {
            theirs = theirs.wrapping_add(sign(hit.start(), hit.pattern().as_usize()));
        }
    });
    assert_eq!(ours, theirs, "exactly the matches of aho-corasick");
    let speed = |took: Duration| text.len() as f64 / took.as_secs_f64() / 1e6;
    println!(
        "{} literals in {:.1} MB of pages: {:.0} MB/s (aim 1000), aho-corasick {:.0} MB/s, the same {hits} matches",
        literals.len(),
        text.len() as f64 / 1e6,
        speed(took),
        speed(peer)
    );
}

fn best(mut work: impl FnMut()) -> Duration {
    let time = || {
        let start = on_processor();
        work();
        on_processor() - start
    };
    std::iter::repeat_with(time).take(5).min().unwrap()
}

/// The phrases of e2guardian's lists, each by itself, in lower case.
fn literals(folder: &Path) -> Vec<Vec<u8>> {
    let mut literals = BTreeSet::new();
    for file in files(&folder.join("phraselists")) {
        let bytes = fs::read(file).unwrap().to_ascii_lowercase();
        for line in bytes.split(|&b| b == b'\n').filter(|line| line.first() == Some(&b'<')) {
            for phrase in line.split(|&b| b == b'<').filter_map(|part| part.split(|&b| b == b'>').next()) {
                if !phrase.is_empty() && phrase.iter().any(|b| !b.is_ascii_digit() && *b != b'-') {
                    literals.insert(phrase.to_vec());
                }
            }
        }
    }
    literals.into_iter().collect()
}

/// The pages, in lower case, several times over.
fn text(folder: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    for file in files(&folder.join("pages")) {
        text.extend(fs::read(file).unwrap().to_ascii_lowercase());
    }
    text
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found.sort();
    found
}

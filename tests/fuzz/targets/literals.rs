//! Literals in a text: exactly what an Aho-Corasick automaton finds.

#![no_main]

use aho_corasick::AhoCorasick;
use ecluse::matcher::grams::GramSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<u8>)| {
    let (literals, text) = input;
    let literals: Vec<Vec<u8>> = literals.into_iter().filter(|literal| !literal.is_empty()).take(200).collect();
    let mut found = Vec::new();
    GramSet::new(&literals).find(&text, |place| found.push((place.start, place.literal)));
    found.sort_unstable();
    let automaton = AhoCorasick::new(&literals).expect("a small automaton");
    let places = automaton.find_overlapping_iter(&text);
    let mut expected: Vec<(usize, usize)> = places.map(|hit| (hit.start(), hit.pattern().as_usize())).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
});

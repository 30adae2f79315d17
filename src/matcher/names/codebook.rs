//! How names are written in the cold part of an image: one byte for each of up to 256 frequent strings.
//!
//! Static symbol tables as in FSST (Boncz, Neumann, Leis, VLDB 2020), for the 39 characters that a name has: each of
//! them is a symbol, so every name can be written and none grows. Names come out at less than half their length, and
//! are compared symbol by symbol without being written out.

use std::collections::HashMap;

/// Length, then up to 15 characters.
pub const SYMBOL_BYTES: usize = 16;
pub const CODEBOOK_BYTES: usize = 256 * SYMBOL_BYTES;
const SYMBOL_MAX: usize = SYMBOL_BYTES - 1;
const ALPHABET: &[u8; 39] = b"abcdefghijklmnopqrstuvwxyz0123456789-._";
/// More sample than this teaches nothing new.
const SAMPLE_BYTES: usize = 1 << 20;
const ROUNDS: usize = 6;
/// RFC 1035 §2.3.4, as text.
const NAME_MAX: usize = 253;

/// A view on a written codebook.
#[derive(Clone, Copy)]
pub struct Codebook<'a>(&'a [[u8; SYMBOL_BYTES]; 256]);

impl<'a> Codebook<'a> {
    /// `None` when the bytes are no codebook.
    pub fn view(bytes: &'a [u8]) -> Option<Self> {
        let (symbols, surplus) = bytes.as_chunks();
        surplus.is_empty().then_some(Codebook(symbols.try_into().ok()?))
    }

    #[inline]
    fn symbol(&self, code: u8) -> &'a [u8] {
        let symbol = &self.0[usize::from(code)];
        &symbol[1..=usize::from(symbol[0]).min(SYMBOL_MAX)]
    }

    /// Whether `written` is `name`.
    #[inline]
    pub fn spells(&self, written: &[u8], name: &[u8]) -> bool {
        let mut rest = name;
        for &code in written {
            match rest.strip_prefix(self.symbol(code)) {
                Some(tail) => rest = tail,
                None => return false,
            }
        }
        rest.is_empty()
    }

    /// The name that is written; `None` when it is longer than any name or no text.
    pub fn read(&self, written: &[u8]) -> Option<String> {
        let mut name = Vec::new();
        for &code in written {
            name.extend_from_slice(self.symbol(code));
        }
        String::from_utf8(name).ok().filter(|name| name.len() <= NAME_MAX)
    }
}

/// Writes names; learns from a sample of them.
#[derive(Debug)]
pub struct CodebookBuilder {
    symbols: Vec<Vec<u8>>,
    trie: Trie,
}

impl CodebookBuilder {
    pub fn learn<'s>(sample: impl IntoIterator<Item = &'s str>) -> CodebookBuilder {
        let mut bytes = 0;
        let sample: Vec<&str> = sample
            .into_iter()
            .take_while(|name| {
                bytes += name.len();
                bytes <= SAMPLE_BYTES
            })
            .collect();
        let mut builder = CodebookBuilder::of(ALPHABET.iter().map(|&c| vec![c]).collect());
        for _ in 0..ROUNDS {
            builder = builder.improved(&sample);
        }
        builder
    }

    fn of(symbols: Vec<Vec<u8>>) -> CodebookBuilder {
        let trie = Trie::of(&symbols);
        CodebookBuilder { symbols, trie }
    }

    /// The symbols, and the pairs of neighbours, that save most on the sample.
    fn improved(&self, sample: &[&str]) -> CodebookBuilder {
        let mut pairs = vec![0u32; 256 * 256];
        let mut singles = [0u32; 256];
        let mut written = Vec::new();
        for name in sample {
            written.clear();
            self.encode(name, &mut written);
            written.iter().for_each(|&code| singles[usize::from(code)] += 1);
            written.windows(2).for_each(|pair| pairs[usize::from(pair[0]) << 8 | usize::from(pair[1])] += 1);
        }
        let mut gains: HashMap<Vec<u8>, u64> = HashMap::new();
        for (symbol, &count) in self.symbols.iter().zip(&singles) {
            if symbol.len() > 1 {
                *gains.entry(symbol.clone()).or_default() += u64::from(count) * (symbol.len() as u64);
            }
        }
        for (pair, &count) in pairs.iter().enumerate().filter(|&(_, &count)| count > 1) {
            let joined = [&self.symbols[pair >> 8][..], &self.symbols[pair & 255][..]].concat();
            if joined.len() <= SYMBOL_MAX {
                let gain = u64::from(count) * (joined.len() as u64);
                *gains.entry(joined).or_default() += gain;
            }
        }
        let mut best: Vec<(Vec<u8>, u64)> = gains.into_iter().collect();
        best.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let longer = best.into_iter().take(256 - ALPHABET.len()).map(|(symbol, _)| symbol);
        CodebookBuilder::of(ALPHABET.iter().map(|&c| vec![c]).chain(longer).collect())
    }

    /// Appends `name`, at most as many bytes as it has. Characters that no name has are left out: the caller knows.
    #[inline]
    pub fn encode(&self, name: &str, out: &mut Vec<u8>) {
        let mut rest = name.as_bytes();
        while !rest.is_empty() {
            let (code, length) = self.trie.longest(rest);
            if length > 0 {
                out.push(code);
            }
            rest = &rest[length.max(1)..];
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; CODEBOOK_BYTES];
        for (symbol, room) in self.symbols.iter().zip(bytes.chunks_exact_mut(SYMBOL_BYTES)) {
            room[0] = symbol.len() as u8;
            room[1..=symbol.len()].copy_from_slice(symbol);
        }
        bytes
    }
}

/// The symbols by their characters.
#[derive(Debug)]
struct Trie {
    /// By node and class of the character: the next node, 0 for none, and what ends there.
    next: Vec<[Step; CLASSES]>,
    class: [u8; 256],
}

/// The alphabet, and everything else.
const CLASSES: usize = ALPHABET.len() + 1;

/// One load says all about a step.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    node: u16,
    ends: bool,
    code: u8,
}

impl Trie {
    fn of(symbols: &[Vec<u8>]) -> Trie {
        let mut class = [ALPHABET.len() as u8; 256];
        for (i, &c) in ALPHABET.iter().enumerate() {
            class[usize::from(c)] = i as u8;
        }
        let mut trie = Trie { next: vec![[Step::default(); CLASSES]], class };
        for (code, symbol) in symbols.iter().enumerate() {
            let mut node = 0;
            for (i, &c) in symbol.iter().enumerate() {
                let class = usize::from(trie.class[usize::from(c)]);
                if trie.next[node][class].node == 0 {
                    trie.next[node][class].node = trie.next.len() as u16;
                    trie.next.push([Step::default(); CLASSES]);
                }
                let step = &mut trie.next[node][class];
                if i + 1 == symbol.len() {
                    *step = Step { ends: true, code: code as u8, ..*step };
                }
                node = usize::from(step.node);
            }
        }
        trie
    }

    /// The longest symbol at the beginning of `text`, and its length.
    #[inline]
    fn longest(&self, text: &[u8]) -> (u8, usize) {
        let mut best = (0, 0);
        let mut node = 0;
        for (i, &c) in text.iter().enumerate() {
            let step = self.next[node][usize::from(self.class[usize::from(c)])];
            if step.node == 0 {
                break;
            }
            if step.ends {
                best = (step.code, i + 1);
            }
            node = usize::from(step.node);
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_name_spells_itself_and_no_other() {
        let names = ["example.com", "www.example.com", "a-b_c.0123456789.fr", "x"];
        let builder = CodebookBuilder::learn(names.iter().cycle().take(400).copied());
        let bytes = builder.to_bytes();
        let book = Codebook::view(&bytes).unwrap();
        for name in names {
            let mut written = Vec::new();
            builder.encode(name, &mut written);
            assert!(written.len() <= name.len());
            for other in names {
                assert_eq!(book.spells(&written, other.as_bytes()), name == other, "{name} {other}");
            }
            assert!(!book.spells(&written, &name.as_bytes()[1..]));
            assert_eq!(book.read(&written).as_deref(), Some(name));
        }
    }
}

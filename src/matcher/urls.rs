//! URL prefixes: the entries of a site side by side, found by the hash of the site.
//!
//! An entry covers the URL that it is and what lies below it: after the entry comes the end, or one of `/ ? & = ;`, or
//! the entry itself ends in one (as in e2guardian; squidGuard lets `/a` cover `/abc`, which refuses what nobody
//! listed). It never covers another site; `www.example.fr` and `example.fr` are one ([`site_of`]). An entry of a site and
//! a lone slash, `example.fr/`, is the first page alone; `example.fr` is all of the site.
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | number of sites, number of entries, `u32` each; 8–15 zero |
//! | 24 each | a site: hash of its name `u64`, its first entry, number of entries, length of the longest, zero, `u32` each; ascending by hash |
//! | 12 each | an entry: where its text begins `u32` (from the start of the texts), length `u16`, number of the set of lists `u16`, zero `u32`; ascending by text within a site |
//! | – | the texts: `example.fr/a/b?c=d`, canonical, without a final slash but for first pages |
//!
//! [`site_of`]: super::site_of

use super::names::hash::NameHash;
use super::{SetNumber, u16_at, u32_at};

const HEADER_BYTES: usize = 16;
const SITE_BYTES: usize = 24;
const ENTRY_BYTES: usize = 12;
/// The longest text of an entry.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

/// A view on the table.
#[derive(Clone, Copy)]
pub struct UrlTable<'a> {
    sites: &'a [[u8; SITE_BYTES]],
    entries: &'a [[u8; ENTRY_BYTES]],
    texts: &'a [u8],
}

/// An entry that covers the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlHit<'a> {
    pub text: &'a [u8],
    /// Its number among the entries of the table.
    pub number: usize,
    pub set: SetNumber,
}

impl<'a> UrlTable<'a> {
    /// `None` when the bytes are no such table.
    pub fn view(bytes: &'a [u8]) -> Option<Self> {
        let sites = u32_at(bytes, 0)? as usize;
        let entries = u32_at(bytes, 4)? as usize;
        let rest = bytes.get(HEADER_BYTES..)?;
        let (sites, rest) = rest.split_at_checked(sites.checked_mul(SITE_BYTES)?)?;
        let (entries, texts) = rest.split_at_checked(entries.checked_mul(ENTRY_BYTES)?)?;
        Some(UrlTable { sites: sites.as_chunks().0, entries: entries.as_chunks().0, texts })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls `visit` with every entry that covers `url` (site and canonical path), shortest first.
    pub fn find(&self, hash: NameHash, site: &str, path: &str, mut visit: impl FnMut(UrlHit<'a>)) {
        let Some((first, count, longest)) = self.site(hash) else { return };
        let Some(entries) = self.entries.get(first..first + count) else { return };
        let mut last = None;
        for end in prefix_ends(path).take_while(|&end| site.len() + end <= longest) {
            if end == 1 && path.len() > 1 {
                continue;
            }
            let found = entries.binary_search_by(|entry| {
                let text = self.text(entry);
                compare(text, site.as_bytes(), &path.as_bytes()[..end])
            });
            if let Ok(place) = found
                && last != Some(place)
            {
                last = Some(place);
                let entry = &entries[place];
                visit(UrlHit {
                    text: self.text(entry),
                    number: first + place,
                    set: u16_at(entry, 6).unwrap_or_default(),
                });
            }
        }
    }

    fn site(&self, hash: NameHash) -> Option<(usize, usize, usize)> {
        let key = |site: &[u8; SITE_BYTES]| site.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        let place = self.sites.binary_search_by_key(&hash.0, key).ok()?;
        let site = &self.sites[place];
        Some((u32_at(site, 8)? as usize, u32_at(site, 12)? as usize, u32_at(site, 16)? as usize))
    }

    fn text(&self, entry: &[u8; ENTRY_BYTES]) -> &'a [u8] {
        let at = u32_at(entry, 0).unwrap_or_default() as usize;
        let length = usize::from(u16_at(entry, 4).unwrap_or_default());
        self.texts.get(at..at + length).unwrap_or_default()
    }

    /// The table of `urls`, in ascending order of hash of the site and text.
    pub fn write(urls: &[(NameHash, &str, SetNumber)]) -> Vec<u8> {
        let sites: Vec<&[(NameHash, &str, SetNumber)]> = urls.chunk_by(|a, b| a.0 == b.0).collect();
        let mut bytes = Vec::new();
        bytes.extend([sites.len() as u32, urls.len() as u32, 0, 0].iter().flat_map(|n| n.to_le_bytes()));
        let mut first = 0u32;
        for site in &sites {
            let longest = site.iter().map(|(_, text, _)| text.len()).max().unwrap_or_default();
            bytes.extend(site[0].0.0.to_le_bytes());
            bytes.extend([first, site.len() as u32, longest as u32, 0].iter().flat_map(|n| n.to_le_bytes()));
            first += site.len() as u32;
        }
        let mut at = 0u32;
        for (_, text, set) in urls {
            bytes.extend(at.to_le_bytes());
            bytes.extend((text.len() as u16).to_le_bytes());
            bytes.extend(set.to_le_bytes());
            bytes.extend(0u32.to_le_bytes());
            at += text.len() as u32;
        }
        urls.iter().for_each(|(_, text, _)| bytes.extend(text.as_bytes()));
        bytes
    }
}

/// Where an entry that covers `path` may end, ascending.
fn prefix_ends(path: &str) -> impl Iterator<Item = usize> + '_ {
    let inner = path.bytes().enumerate().filter(|(_, b)| is_boundary(*b)).flat_map(|(i, _)| [i, i + 1]);
    inner.chain([path.len()])
}

/// Whether the path of an entry covers that of a URL of the same site: the definition.
pub fn covers(entry: &str, path: &str) -> bool {
    let ends_well = |rest: &str| match rest.bytes().next() {
        None => true,
        Some(next) => is_boundary(next) || entry.bytes().next_back().is_some_and(is_boundary),
    };
    if entry == "/" { path == "/" } else { path.strip_prefix(entry).is_some_and(ends_well) }
}

fn is_boundary(b: u8) -> bool {
    matches!(b, b'/' | b'?' | b'&' | b'=' | b';')
}

/// `text` against `site` followed by `prefix`.
fn compare(text: &[u8], site: &[u8], prefix: &[u8]) -> std::cmp::Ordering {
    let (head, tail) = text.split_at(site.len().min(text.len()));
    head.cmp(site).then_with(|| tail.cmp(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::names::hash::Seed;

    #[test]
    fn an_entry_covers_what_lies_below_it_and_nothing_beside() {
        for (entry, path, expected) in [
            ("/x", "/x", true),
            ("/x", "/x/y", true),
            ("/x", "/x?y", true),
            ("/x", "/xy", false),
            ("/x?q=", "/x?q=z", true),
            ("/x?q=1", "/x?q=12", false),
            ("/x?q=1", "/x?q=1&r", true),
            ("", "/", true),
            ("", "/x", true),
            ("/", "/", true),
            ("/", "/x", false),
            ("/", "/?x", false),
            ("/x/y", "/x", false),
        ] {
            assert_eq!(covers(entry, path), expected, "{entry} {path}");
            let seed = Seed::nth(0);
            let bytes = UrlTable::write(&[(seed.hash("a.fr"), &format!("a.fr{entry}"), 1)]);
            let mut found = 0;
            UrlTable::view(&bytes).unwrap().find(seed.hash("a.fr"), "a.fr", path, |_| found += 1);
            assert_eq!(found, usize::from(expected), "{entry} {path}");
        }
    }
}

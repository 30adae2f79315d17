//! The sections of which there is little: URLs, addresses and networks.

use ipnet::IpNet;

use crate::matcher::addresses::{self, AddressTable};
use crate::matcher::names::hash::NameHash;
use crate::matcher::urls::UrlTable;
use crate::matcher::{ListMatches, SetNumber};

use super::super::image::Spill;
use super::gather::{Place, UrlRecord};
use super::sets::SetNumbers;
use super::{CompileError, Counts};

/// A hot table and the lines of its entries.
pub struct SmallSections {
    pub table: Vec<u8>,
    pub lines: Vec<u8>,
    pub distinct: u64,
}

pub fn url_sections(
    records: &mut [UrlRecord],
    sets: &mut SetNumbers,
    counts: &mut Counts,
) -> Result<SmallSections, CompileError> {
    records.sort_unstable();
    let mut urls: Vec<(NameHash, &str, SetNumber)> = Vec::new();
    let mut lines = Spill::default();
    for group in records.chunk_by(|a, b| a.hash == b.hash && a.text == b.text) {
        let set = number(group.iter().map(|record| record.place), sets, &mut counts.urls, &mut lines)?;
        urls.push((group[0].hash, &group[0].text, set));
    }
    if urls.iter().map(|(_, text, _)| text.len()).sum::<usize>() > u32::MAX as usize {
        return Err(CompileError::TooLarge);
    }
    Ok(SmallSections { table: UrlTable::write(&urls), lines: lines.to_bytes(), distinct: urls.len() as u64 })
}

pub fn address_sections(
    records: &mut [(IpNet, Place)],
    sets: &mut SetNumbers,
    counts: &mut Counts,
) -> Result<SmallSections, CompileError> {
    records.sort_unstable_by_key(|(network, place)| (addresses::sort_key(network), *place));
    let mut networks: Vec<(IpNet, SetNumber)> = Vec::new();
    let mut lines = Spill::default();
    for group in records.chunk_by(|a, b| a.0 == b.0) {
        let set = number(group.iter().map(|(_, place)| *place), sets, &mut counts.networks, &mut lines)?;
        networks.push((group[0].0, set));
    }
    let (table, distinct) = (AddressTable::write(&networks), networks.len() as u64);
    Ok(SmallSections { table, lines: lines.to_bytes(), distinct })
}

/// The number of the set of an entry's places, which come in order; puts the first line in each list down.
fn number(
    places: impl Iterator<Item = Place>,
    sets: &mut SetNumbers,
    counts: &mut [u64],
    lines: &mut Spill,
) -> Result<SetNumber, CompileError> {
    let mut set = ListMatches::EMPTY;
    let mut first = Vec::new();
    for place in places {
        if !set.contains(place.list()) {
            set.insert(place.list());
            first.push(place.line());
            counts[place.list().index()] += 1;
        }
    }
    lines.push(first);
    sets.of(set)
}

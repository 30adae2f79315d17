//! `people.csv`: which address is whose, until something better knows.
//!
//! Header `address,person,groups`; an address or a network a line, groups separated by `;` or `|`, `#` begins a comment
//! line. A spreadsheet of this country writes semicolons between the columns: the header tells which it is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;

use crate::access::{GroupName, Host, PersonName};
use crate::config::suggest::did_you_mean;
use crate::config::written::Document;
use crate::config::{Problems, network};

/// Who has an address, as the school wrote it down.
#[derive(Debug, Clone, Default)]
pub struct People {
    /// Index into `rows`.
    addresses: HashMap<IpAddr, usize>,
    /// Longest prefix first.
    networks: Vec<(IpNet, usize)>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    address: IpAddr,
    person: Option<PersonName>,
    groups: Vec<GroupName>,
}

impl People {
    /// The person that an address was given to, and that person's groups.
    pub fn occupant(&self, address: IpAddr) -> Option<(&PersonName, &[GroupName])> {
        let row = self.row(address)?;
        Some((row.person.as_ref()?, &row.groups))
    }

    /// The groups written for an address, with or without a person.
    pub fn groups_at(&self, address: IpAddr) -> &[GroupName] {
        self.row(address).map_or(&[], |row| &row.groups)
    }

    /// A person's first address and groups.
    pub fn person(&self, name: &PersonName) -> Option<(IpAddr, &[GroupName])> {
        let row = self.rows.iter().find(|row| row.person.as_ref() == Some(name))?;
        Some((row.address, &row.groups))
    }

    /// Everybody named, each once: the roster of a day.
    pub fn names(&self) -> Vec<PersonName> {
        let mut names: Vec<PersonName> = self.rows.iter().filter_map(|row| row.person.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn row(&self, address: IpAddr) -> Option<&Row> {
        let at = self.addresses.get(&address).copied();
        let at = at.or_else(|| self.networks.iter().find(|(net, _)| net.contains(&address)).map(|(_, row)| *row))?;
        self.rows.get(at)
    }

    /// Parses the text of `people.csv`.
    ///
    /// # Errors
    /// Every line that is wrong.
    pub(super) fn parse(file: &Path, text: &str, groups: &[&str]) -> Result<People, Problems> {
        let mut parser = Parser { document: Document::new(file, text), people: People::default(), groups };
        parser.parse(text);
        parser.document.finish().map_err(discreet)?;
        let mut people = parser.people;
        people.networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        Ok(people)
    }
}

struct Parser<'t> {
    document: Document<'t>,
    people: People,
    groups: &'t [&'t str],
}

const HEADER: [&str; 3] = ["address", "person", "groups"];

impl Parser<'_> {
    fn parse(&mut self, text: &str) {
        let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let header = text[bom..].lines().find(|line| !line.starts_with('#') && !line.trim().is_empty()).unwrap_or("");
        let delimiter = if header.contains(';') { b';' } else { b',' };
        let mut reader = csv::ReaderBuilder::new();
        reader.comment(Some(b'#')).flexible(true).has_headers(false).delimiter(delimiter).trim(csv::Trim::All);
        let mut first = true;
        for record in reader.from_reader(&text.as_bytes()[bom..]).records() {
            let record = match record {
                Ok(record) => record,
                Err(e) => return self.document.problem(&(0..0), format!("this is no CSV: {e}"), ""),
            };
            let start = bom + record.position().map_or(0, |p| usize::try_from(p.byte()).unwrap_or(usize::MAX));
            let span = line_at(text, start);
            match std::mem::take(&mut first) {
                true if record.iter().eq(HEADER) => {}
                true => {
                    self.document.problem(&span, "the first line must name the columns", "address,person,groups");
                    return;
                }
                false => self.row(&record, &span),
            }
        }
    }

    fn row(&mut self, record: &csv::StringRecord, span: &std::ops::Range<usize>) {
        let [address, person, groups] = [0, 1, 2].map(|i| record.get(i).unwrap_or(""));
        if record.len() != 3 {
            let what = format!("{} columns instead of 3", record.len());
            return self.document.problem(span, what, "address,person,groups; groups are separated by `|`");
        }
        let network = match network(address) {
            Ok(network) => network,
            Err((what, help)) => return self.document.problem(span, what, help),
        };
        let groups = self.groups(groups, span);
        if person.is_empty() && groups.is_empty() {
            return self.document.problem(span, "neither a person nor a group", "name one of them or remove the line");
        }
        let row = self.people.rows.len();
        let taken = if network.prefix_len() == network.max_prefix_len() {
            self.people.addresses.insert(canonical(network.addr()), row).is_some()
        } else {
            let taken = self.people.networks.iter().any(|(other, _)| *other == network);
            self.people.networks.push((network, row));
            taken
        };
        if taken {
            self.document.problem(span, format!("`{address}` stands here twice"), "who has it? keep one line");
        }
        let person = (!person.is_empty()).then(|| PersonName::from(person));
        self.people.rows.push(Row { address: canonical(network.addr()), person, groups });
    }

    fn groups(&mut self, text: &str, span: &std::ops::Range<usize>) -> Vec<GroupName> {
        let mut groups = Vec::new();
        for word in text.split([';', '|']).map(str::trim).filter(|word| !word.is_empty()) {
            if self.groups.contains(&word) {
                groups.push(GroupName::from(word));
            } else {
                let help = did_you_mean(word, self.groups.iter().copied());
                self.document.problem(span, format!("the policy has no group `{word}`"), help);
            }
        }
        groups
    }
}

/// The line is named and not shown: problems reach logs, and names of persons do not.
fn discreet(mut problems: Problems) -> Problems {
    problems.0.iter_mut().for_each(|problem| problem.excerpt = None);
    problems
}

/// v4-mapped IPv6 is the IPv4 address it carries, as everywhere.
fn canonical(address: IpAddr) -> IpAddr {
    match Host::from(address) {
        Host::Address(address) => address,
        Host::Name(_) => address,
    }
}

/// The line of the record that begins at or after `start` (the reader counts skipped comments to the next record).
fn line_at(text: &str, mut start: usize) -> std::ops::Range<usize> {
    start = start.min(text.len());
    loop {
        let line = text.get(start..).unwrap_or("").lines().next().unwrap_or("");
        let skipped = line.trim().is_empty() || line.starts_with('#');
        match text.get(start..).and_then(|rest| rest.find('\n')).filter(|_| skipped) {
            Some(newline) => start += newline + 1,
            None => return start..start + line.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: [&str; 3] = ["eleves", "enseignants", "personnels"];

    fn parse(text: &str) -> Result<People, Problems> {
        People::parse(Path::new("people.csv"), text, &GROUPS)
    }

    fn at(people: &People, address: &str) -> String {
        let address = address.parse().unwrap();
        let name = people.occupant(address).map_or("-", |(person, _)| person.as_str());
        let groups: Vec<&str> = people.groups_at(address).iter().map(GroupName::as_str).collect();
        format!("{name} {}", groups.join("+"))
    }

    #[test]
    fn an_address_beats_a_network_and_a_long_prefix_a_short_one() {
        let people = parse(
            "address,person,groups\n# the pupils\n10.0.0.7,p.dupont,eleves\n10.0.0.0/24,,enseignants\n\
             10.0.0.0/16,,personnels|eleves\nfd00::7 , a.martin , enseignants;personnels\n::ffff:10.0.0.9,mapped,eleves\n",
        )
        .unwrap();
        for (address, expected) in [
            ("10.0.0.7", "p.dupont eleves"),
            ("10.0.0.8", "- enseignants"),
            ("10.0.1.8", "- personnels+eleves"),
            ("10.1.0.0", "- "),
            ("fd00::7", "a.martin enseignants+personnels"),
            ("10.0.0.9", "mapped eleves"),
        ] {
            assert_eq!(at(&people, address), expected, "{address}");
        }
        assert_eq!(people.names().len(), 3);
    }

    #[test]
    fn a_spreadsheet_with_semicolons_and_a_byte_order_mark_is_read() {
        let people = parse("\u{feff}address;person;groups\r\n10.0.0.7;p.dupont;eleves|personnels\r\n").unwrap();
        assert_eq!(at(&people, "10.0.0.7"), "p.dupont eleves+personnels");
    }

    #[test]
    fn a_line_it_cannot_read_does_not_hide_the_next() {
        let problems = parse(
            "address,person,groups\n10.0.0.300,a,eleves\n# comment\n\n10.0.0.7,b,elves\n10.0.0.8,c,eleves\n\
             10.0.0.8,d,eleves\n10.0.0.9\n10.0.0.10,,\n10.0.0.1/24,e,eleves\n",
        )
        .unwrap_err();
        let found: Vec<(u32, String)> = problems.0.into_iter().map(|p| (p.line.unwrap(), p.what)).collect();
        let expected = [
            (2, "`10.0.0.300` is no network"),
            (5, "the policy has no group `elves`"),
            (7, "`10.0.0.8` stands here twice"),
            (8, "1 columns instead of 3"),
            (9, "neither a person nor a group"),
            (10, "`10.0.0.1/24` is an address inside a network"),
        ];
        assert_eq!(found, expected.map(|(line, what)| (line, what.to_owned())));
    }

    #[test]
    fn a_file_without_header_is_refused() {
        assert_eq!(parse("10.0.0.7,p.dupont,eleves\n").unwrap_err().0.len(), 1);
        assert!(parse("").unwrap().names().is_empty(), "an empty file names nobody");
    }
}

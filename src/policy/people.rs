//! `people.csv`: which address is whose, until something better knows.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::access::{GroupName, PersonName};

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
    person: Option<PersonName>,
    groups: Vec<GroupName>,
}

impl People {
    /// The person and the groups of an address. The groups are complete: networks and the default group are counted in.
    pub fn at(&self, _address: IpAddr) -> (Option<&PersonName>, &[GroupName]) {
        (None, &[])
    }

    /// The groups written for a person.
    pub fn groups_of(&self, _person: &PersonName) -> Option<&[GroupName]> {
        None
    }

    /// Everybody named: the roster of a day.
    pub fn names(&self) -> impl Iterator<Item = &PersonName> {
        self.rows.iter().filter_map(|row| row.person.as_ref())
    }
}

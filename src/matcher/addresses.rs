//! Addresses and networks: one sorted array per family and prefix length in use.
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | number of groups, `u32`; 4–15 zero |
//! | 16 each | a group: family (4 or 6) `u8`, prefix length `u8`, zero `u16`, first network `u32`, number of networks `u32`, where its keys begin `u32` (from the start of the section) |
//! | – | keys: addresses in network byte order, 4 or 16 bytes, ascending within a group |
//! | – | at the end: the number of the set of lists of each network, `u16`, in the order of the networks |

use std::net::IpAddr;

use ipnet::IpNet;

use super::{SetNumber, u16_at, u32_at};

const GROUP_BYTES: usize = 16;
/// A family has no more lengths than that.
const MAX_GROUPS: usize = 33 + 129;

/// A view on the table.
#[derive(Clone, Copy)]
pub struct AddressTable<'a> {
    bytes: &'a [u8],
    groups: usize,
    sets_at: usize,
}

/// A network that holds the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressHit {
    pub network: IpNet,
    /// Its number among the networks of the table.
    pub number: usize,
    pub set: SetNumber,
}

struct Group {
    is_v4: bool,
    prefix: u8,
    first: usize,
    count: usize,
    keys_at: usize,
}

impl<'a> AddressTable<'a> {
    /// `None` when the bytes are no such table.
    pub fn view(bytes: &'a [u8]) -> Option<Self> {
        let groups = u32_at(bytes, 0)? as usize;
        let mut table = AddressTable { bytes, groups, sets_at: 0 };
        if groups > MAX_GROUPS {
            return None;
        }
        let mut networks = 0;
        for number in 0..groups {
            let group = table.group(number)?;
            let end = group.keys_at.checked_add(group.count.checked_mul(group.key_bytes())?)?;
            if group.first != networks || end > bytes.len() || group.prefix > group.max_prefix() {
                return None;
            }
            networks += group.count;
        }
        table.sets_at = bytes.len().checked_sub(networks * 2)?;
        Some(table)
    }

    /// How many networks there are.
    pub fn len(&self) -> usize {
        (self.bytes.len() - self.sets_at) / 2
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn group(&self, number: usize) -> Option<Group> {
        let at = GROUP_BYTES * (1 + number);
        let head = self.bytes.get(at..at + GROUP_BYTES)?;
        Some(Group {
            is_v4: head[0] == 4,
            prefix: head[1],
            first: u32_at(head, 4)? as usize,
            count: u32_at(head, 8)? as usize,
            keys_at: u32_at(head, 12)? as usize,
        })
    }

    /// Calls `visit` with every network that holds `address`, widest first.
    pub fn find(&self, address: IpAddr, mut visit: impl FnMut(AddressHit)) {
        for number in 0..self.groups {
            let Some(group) = self.group(number) else { return };
            if let Some(hit) = self.find_in(&group, address) {
                visit(hit);
            }
        }
    }

    fn find_in(&self, group: &Group, address: IpAddr) -> Option<AddressHit> {
        if group.is_v4 != address.is_ipv4() {
            return None;
        }
        let network = IpNet::new(address, group.prefix).ok()?.trunc();
        let place = match network.network() {
            IpAddr::V4(v4) => search(self.keys::<4>(group)?, &v4.octets()),
            IpAddr::V6(v6) => search(self.keys::<16>(group)?, &v6.octets()),
        }?;
        let number = group.first + place;
        Some(AddressHit { network, number, set: u16_at(self.bytes, self.sets_at + 2 * number)? })
    }

    fn keys<const N: usize>(&self, group: &Group) -> Option<&'a [[u8; N]]> {
        Some(self.bytes.get(group.keys_at..group.keys_at + N * group.count)?.as_chunks().0)
    }

    /// The table of `networks`, which are truncated, distinct and in the order of [`sort_key`].
    pub fn write(networks: &[(IpNet, SetNumber)]) -> Vec<u8> {
        let groups: Vec<&[(IpNet, SetNumber)]> = networks.chunk_by(|(a, _), (b, _)| same_group(a, b)).collect();
        let mut bytes = vec![0; GROUP_BYTES];
        bytes[..4].copy_from_slice(&(groups.len() as u32).to_le_bytes());
        let mut first = 0u32;
        let mut keys_at = (GROUP_BYTES * (1 + groups.len())) as u32;
        for group in &groups {
            let network = group[0].0;
            bytes.extend([if network.addr().is_ipv4() { 4 } else { 6 }, network.prefix_len(), 0, 0]);
            bytes.extend([first, group.len() as u32, keys_at].iter().flat_map(|n| n.to_le_bytes()));
            first += group.len() as u32;
            keys_at += group.len() as u32 * if network.addr().is_ipv4() { 4 } else { 16 };
        }
        for (network, _) in networks {
            match network.network() {
                IpAddr::V4(v4) => bytes.extend(v4.octets()),
                IpAddr::V6(v6) => bytes.extend(v6.octets()),
            }
        }
        networks.iter().for_each(|(_, set)| bytes.extend(set.to_le_bytes()));
        bytes
    }
}

impl Group {
    fn key_bytes(&self) -> usize {
        if self.is_v4 { 4 } else { 16 }
    }

    fn max_prefix(&self) -> u8 {
        if self.is_v4 { 32 } else { 128 }
    }
}

/// The order of a table: family, prefix length, address.
pub fn sort_key(network: &IpNet) -> (bool, u8, IpAddr) {
    (network.addr().is_ipv6(), network.prefix_len(), network.network())
}

fn same_group(a: &IpNet, b: &IpNet) -> bool {
    a.addr().is_ipv4() == b.addr().is_ipv4() && a.prefix_len() == b.prefix_len()
}

fn search<const N: usize>(keys: &[[u8; N]], key: &[u8; N]) -> Option<usize> {
    keys.binary_search(key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(texts: &[&str]) -> Vec<u8> {
        let mut networks: Vec<IpNet> = texts.iter().map(|t| t.parse::<IpNet>().unwrap().trunc()).collect();
        networks.sort_by_key(sort_key);
        let numbered: Vec<(IpNet, SetNumber)> = networks.into_iter().zip(1..).collect();
        AddressTable::write(&numbered)
    }

    #[test]
    fn an_address_is_in_every_network_that_holds_it() {
        let bytes =
            table(&["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "2001:db8::/32", "2001:db8::1/128"]);
        let table = AddressTable::view(&bytes).unwrap();
        let found = |address: &str| {
            let mut networks = Vec::new();
            table.find(address.parse().unwrap(), |hit| networks.push(hit.network.to_string()));
            networks.join(" ")
        };
        assert_eq!(found("10.1.2.3"), "0.0.0.0/0 10.0.0.0/8 10.1.0.0/16 10.1.2.3/32");
        assert_eq!(found("11.1.2.3"), "0.0.0.0/0");
        assert_eq!(found("2001:db8::1"), "2001:db8::/32 2001:db8::1/128");
        assert_eq!(found("2001:db9::1"), "");
    }

    #[test]
    fn a_damaged_table_is_refused_or_answers_without_panic() {
        let good = table(&["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"]);
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = value;
                if let Some(table) = AddressTable::view(&bytes) {
                    table.find("10.1.2.3".parse().unwrap(), |_| {});
                    table.find("::1".parse().unwrap(), |_| {});
                }
            }
        }
        assert!((0..good.len()).all(|end| AddressTable::view(&good[..end]).is_none_or(|t| end >= t.sets_at)));
    }
}

//! Who a client is, and how we know.
//!
//! There always is a [`Client`], perhaps a weak one. So far one source speaks: the school's own map of addresses to
//! people ([`AddressMap`]), which says who should hold the device, not who does: its strength is weak. Groups that come
//! from networks are policy's business; the groups given here are those of the person.
//!
//! Type to read first: [`AddressMap`].

use std::net::{IpAddr, SocketAddr};

use crate::access::{Client, GroupName, IdentitySource, IdentityStrength, PersonName};
use crate::policy::People;

/// A person that an address was given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    pub person: PersonName,
    pub groups: Vec<GroupName>,
}

/// Says which person an address was given to.
pub trait AddressMap {
    /// `address` is canonical: never v4-mapped IPv6.
    fn occupant(&self, address: IpAddr) -> Option<Occupant>;
}

impl<F> AddressMap for F
where
    F: Fn(IpAddr) -> Option<Occupant>,
{
    fn occupant(&self, address: IpAddr) -> Option<Occupant> {
        self(address)
    }
}

/// `people.csv`.
impl AddressMap for People {
    fn occupant(&self, address: IpAddr) -> Option<Occupant> {
        let (person, groups) = People::occupant(self, address)?;
        Some(Occupant { person: person.clone(), groups: groups.to_vec() })
    }
}

/// Says who the client at this address and port is. Asked per access: an address may change hands while a connection
/// stays open.
pub fn identify(people: &impl AddressMap, client: SocketAddr) -> Client {
    let unknown = Client::unknown(client.ip(), client.port());
    match people.occupant(unknown.address) {
        None => unknown,
        Some(occupant) => Client {
            person: Some(occupant.person),
            groups: occupant.groups,
            source: IdentitySource::AddressMap,
            strength: IdentityStrength::Weak,
            ..unknown
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(address: IpAddr) -> Option<Occupant> {
        let pupil = Occupant { person: "p.dupont".into(), groups: vec!["eleves".into()] };
        (address == IpAddr::from([10, 131, 0, 7])).then_some(pupil)
    }

    #[test]
    fn an_address_given_to_a_person_is_a_weak_identity() {
        let client = identify(&map, "10.131.0.7:50000".parse().unwrap());
        assert_eq!(client.person, Some("p.dupont".into()));
        assert_eq!(client.groups, vec![GroupName::from("eleves")]);
        assert_eq!((client.source, client.strength), (IdentitySource::AddressMap, IdentityStrength::Weak));
        assert_eq!((client.address, client.port), ("10.131.0.7".parse().unwrap(), 50000));
    }

    #[test]
    fn a_dual_stack_spelling_of_an_address_is_the_same_client() {
        let client = identify(&map, "[::ffff:10.131.0.7]:1".parse().unwrap());
        assert_eq!(client.person, Some("p.dupont".into()));
        assert_eq!(client.address, "10.131.0.7".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn an_address_given_to_nobody_is_still_a_client() {
        let client = identify(&map, "10.131.0.8:1".parse().unwrap());
        assert_eq!(client, Client::unknown("10.131.0.8".parse().unwrap(), 1));
    }
}

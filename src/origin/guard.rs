//! Which addresses may not be reached through the gateway, whatever a list says.
//!
//! A pupil who asks the gateway to go to the gateway, to the machines of the school's own network or to a cloud's metadata
//! service would do it with the gateway's rights. So the very address that is dialled is checked, after resolution
//! (a name may resolve to anything, and to something else the next time), in every spelling.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::own::is_of_this_machine;
use super::special::{embedded, special};
use crate::access::HostName;

/// Knows our own doors and the networks that the operator opened and closed.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    own: Vec<SocketAddr>,
    allow: Vec<IpNet>,
    refuse: Vec<IpNet>,
}

/// Why an address is not dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Guarded {
    #[error("it is this gateway itself")]
    Ourselves,
    #[error("it is the address of nobody")]
    Unspecified,
    #[error("it is a loopback address")]
    Loopback,
    #[error("it is a link-local address")]
    LinkLocal,
    #[error("it is a cloud's metadata service")]
    Metadata,
    #[error("it is a multicast address")]
    Multicast,
    #[error("it is a broadcast address")]
    Broadcast,
    #[error("it is an address of a private network")]
    Private,
    #[error("it is a reserved address")]
    Reserved,
    #[error("it is an address of the machine that the gateway runs on")]
    OwnMachine,
    #[error("it is an address of the operator's own networks")]
    Operator,
}

impl Guarded {
    /// Whether `[guard] allow` can open such an address.
    pub fn can_be_allowed(self) -> bool {
        match self {
            Guarded::Loopback
            | Guarded::LinkLocal
            | Guarded::Private
            | Guarded::Reserved
            | Guarded::OwnMachine
            | Guarded::Operator => true,
            Guarded::Ourselves | Guarded::Unspecified | Guarded::Metadata | Guarded::Multicast | Guarded::Broadcast => {
                false
            }
        }
    }
}

impl Guard {
    /// `own`: every (address, port) we listen on, as bound; `allow`: networks otherwise refused (`[guard] allow`);
    /// `refuse`: the operator's own, although they are on the public Internet.
    pub fn new(own: Vec<SocketAddr>, allow: Vec<IpNet>, refuse: Vec<IpNet>) -> Self {
        Guard { own, allow, refuse }
    }

    /// Says whether an address may be dialled. Call it with the very address that is dialled next.
    pub fn check(&self, address: SocketAddr) -> Result<(), Guarded> {
        let (canonical, inside) = spellings(address.ip());
        let spelt = || std::iter::once(canonical).chain(inside);
        if spelt().any(|ip| self.is_our_door(ip, address.port())) {
            return Err(Guarded::Ourselves);
        }
        let allowed = |ip: IpAddr| self.allow.iter().any(|network| network.contains(&ip));
        match special(canonical) {
            Some(kind) if !(kind.can_be_allowed() && spelt().any(allowed)) => return Err(kind),
            Some(Guarded::Loopback) => return Ok(()),
            _ => {}
        }
        if spelt().any(|ip| !self.is_allowed_alone(ip) && is_of_this_machine(ip) == Some(true)) {
            return Err(Guarded::OwnMachine);
        }
        if spelt().any(|ip| !allowed(ip) && self.refuse.iter().any(|network| network.contains(&ip))) {
            return Err(Guarded::Operator);
        }
        Ok(())
    }

    /// Says whether a name may be handed to somebody else to resolve: this one is never anybody but who resolves it
    /// (RFC 6761 §6.3).
    pub fn check_name(&self, name: &HostName) -> Result<(), Guarded> {
        match name.as_str().rsplit('.').next() {
            Some("localhost") => Err(Guarded::Loopback),
            _ => Ok(()),
        }
    }

    /// Says whether a machine that the operator himself named is not this gateway.
    pub fn check_not_ourselves(&self, address: SocketAddr) -> Result<(), Guarded> {
        let (canonical, inside) = spellings(address.ip());
        match std::iter::once(canonical).chain(inside).any(|ip| self.is_our_door(ip, address.port())) {
            true => Err(Guarded::Ourselves),
            false => Ok(()),
        }
    }

    /// A network that was opened does not open the gateway's own machine in it: that takes its very address.
    fn is_allowed_alone(&self, ip: IpAddr) -> bool {
        self.allow.iter().any(|network| network.addr() == ip && network.prefix_len() == network.max_prefix_len())
    }

    fn is_our_door(&self, ip: IpAddr, port: u16) -> bool {
        self.own.iter().filter(|own| own.port() == port).any(|own| {
            // A door on all addresses is at each address of this machine, those it will have tomorrow too. Where nobody
            // can tell, on our port, it is.
            own.ip().to_canonical() == ip || (own.ip().is_unspecified() && is_of_this_machine(ip) != Some(false))
        })
    }
}

/// The canonical address, and the IPv4 address inside it.
fn spellings(ip: IpAddr) -> (IpAddr, Option<IpAddr>) {
    let canonical = ip.to_canonical();
    match canonical {
        IpAddr::V4(_) => (canonical, None),
        IpAddr::V6(v6) => (canonical, embedded(v6).map(IpAddr::V4)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::own::outward_address;
    use super::*;

    fn opened(own: Vec<SocketAddr>, allow: Vec<IpNet>) -> Guard {
        Guard::new(own, allow, Vec::new())
    }

    fn check(guard: &Guard, address: &str) -> Result<(), Guarded> {
        let address = if address.contains("]:") || address.matches(':').count() == 1 {
            address.parse().unwrap()
        } else {
            SocketAddr::new(address.parse().unwrap(), 443)
        };
        guard.check(address)
    }

    #[test]
    fn special_addresses_are_refused_each_with_its_reason() {
        let guard = Guard::default();
        for (kind, addresses) in [
            (Guarded::Unspecified, "0.0.0.0 0.1.2.3 ::"),
            (Guarded::Loopback, "127.0.0.1 127.255.0.1 ::1"),
            (Guarded::LinkLocal, "169.254.0.1 fe80::1 febf::1"),
            (Guarded::Metadata, "169.254.169.254 100.100.100.200 168.63.129.16 fd00:ec2::254"),
            (Guarded::Multicast, "224.0.0.1 239.255.255.250 ff02::1"),
            (Guarded::Broadcast, "255.255.255.255"),
            (
                Guarded::Private,
                "10.0.0.1 172.16.0.1 172.31.9.9 192.168.1.1 100.64.0.1 100.127.0.1 fc00::1 fd12::1 fec0::1",
            ),
            (Guarded::Private, "64:ff9b:1::1"),
            (
                Guarded::Reserved,
                "192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1 240.0.0.1 2001:db8::1 2001::1 100::1 5f00::1",
            ),
        ] {
            for address in addresses.split(' ') {
                assert_eq!(check(&guard, address), Err(kind), "{address}");
            }
        }
    }

    #[test]
    fn the_public_internet_is_not() {
        let guard = Guard::default();
        let public = "1.1.1.1 172.15.0.1 172.32.0.1 100.63.0.1 100.128.0.1 192.167.0.1 169.253.1.1 223.255.255.1 \
                      2606:4700::1111 2001:41d0::1 2a00:1450::1 64:ff9b::1.1.1.1 2002:101:101::1";
        for address in public.split_ascii_whitespace() {
            assert_eq!(check(&guard, address), Ok(()), "{address}");
        }
    }

    #[test]
    fn no_spelling_hides_an_address() {
        let guard = Guard::default();
        for (kind, addresses) in [
            (Guarded::Loopback, "::ffff:127.0.0.1 ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 2002:7f00:1::"),
            (Guarded::Loopback, "2a00::5efe:127.0.0.1 2a00::200:5efe:127.0.0.1"),
            (Guarded::Private, "::ffff:10.0.0.1 ::10.0.0.1 64:ff9b::192.168.0.1 2002:a00:1::5 2002:c0a8:101:1::1"),
            (Guarded::Metadata, "::ffff:169.254.169.254 64:ff9b::169.254.169.254 2002:a9fe:a9fe::"),
        ] {
            for address in addresses.split(' ') {
                assert_eq!(check(&guard, address), Err(kind), "{address}");
            }
        }
    }

    #[test]
    fn a_network_can_be_opened_but_never_what_is_nobodys_or_everybodys() {
        let allow = "127.0.0.0/8 10.0.0.0/8 0.0.0.0/0 ::/0".split(' ').map(|n| n.parse().unwrap());
        let guard = opened(vec![], allow.clone().take(2).collect());
        for address in ["127.0.0.1", "10.9.8.7", "::ffff:10.9.8.7", "64:ff9b::10.9.8.7"] {
            assert_eq!(check(&guard, address), Ok(()), "{address}");
        }
        assert_eq!(check(&guard, "192.168.0.1"), Err(Guarded::Private));
        assert_eq!(check(&guard, "::1"), Err(Guarded::Loopback));
        let guard = opened(vec![], allow.collect());
        for address in ["0.0.0.0", "169.254.169.254", "fd00:ec2::254", "224.0.0.1", "255.255.255.255", "::", "ff02::1"]
        {
            assert!(check(&guard, address).is_err(), "{address}");
        }
    }

    #[test]
    fn our_own_doors_are_never_dialled_whatever_is_open() {
        let everything: Vec<IpNet> = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        let doors = vec!["127.0.0.1:3128".parse().unwrap(), "[2001:db8::7]:3128".parse().unwrap()];
        let guard = opened(doors, everything);
        for address in ["127.0.0.1:3128", "[::ffff:127.0.0.1]:3128", "[64:ff9b::127.0.0.1]:3128", "[2001:db8::7]:3128"]
        {
            assert_eq!(check(&guard, address), Err(Guarded::Ourselves), "{address}");
        }
        for address in ["127.0.0.1:3129", "127.0.0.2:3128", "[2001:db8::8]:3128"] {
            assert_eq!(check(&guard, address), Ok(()), "{address}");
        }
    }

    #[test]
    fn a_door_on_all_addresses_is_at_each_address_of_this_machine() {
        let everything: Vec<IpNet> = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        for door in ["0.0.0.0:3128", "[::]:3128"] {
            let guard = opened(vec![door.parse().unwrap()], everything.clone());
            let mut ours =
                vec!["127.0.0.1:3128".to_owned(), "127.8.8.8:3128".into(), "[::1]:3128".into(), "0.0.0.0:3128".into()];
            ours.extend(outward_address().map(|ip| format!("{ip}:3128")));
            for address in ours {
                assert_eq!(check(&guard, &address), Err(Guarded::Ourselves), "{address}");
            }
            assert_eq!(check(&guard, "127.0.0.1:80"), Ok(()));
            assert_eq!(check(&guard, "9.9.9.9:3128"), Ok(()), "a proxy of somebody else");
        }
    }

    #[test]
    fn the_machine_itself_is_closed_on_every_port_until_its_very_address_is_opened() {
        let Some(own) = outward_address() else { return };
        let network = |text: &str| -> IpNet { text.parse().unwrap() };
        let broad = opened(vec![], vec![network("0.0.0.0/0"), network("::/0")]);
        for address in [format!("{own}:22"), format!("[::ffff:{own}]:22"), format!("[64:ff9b::{own}]:8080")] {
            assert_eq!(check(&broad, &address), Err(Guarded::OwnMachine), "{address}");
        }
        let exact = opened(vec![], vec![network(&format!("{own}/32"))]);
        assert_eq!(check(&exact, &format!("{own}:22")), Ok(()));
        let door = opened(vec!["0.0.0.0:3128".parse().unwrap()], vec![network(&format!("{own}/32"))]);
        assert_eq!(check(&door, &format!("{own}:3128")), Err(Guarded::Ourselves));
    }

    #[test]
    fn the_operators_own_networks_are_closed_where_he_says_so_and_open_where_he_says_that() {
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpNet>>();
        let guard = Guard::new(
            vec![],
            networks(&["193.52.1.0/24"]),
            networks(&["193.52.0.0/16", "2001:660::/32", "10.0.0.0/8"]),
        );
        for address in ["193.52.2.1", "::ffff:193.52.2.1", "64:ff9b::193.52.2.1", "2002:c134:201::1", "2001:660::1"] {
            assert_eq!(check(&guard, address), Err(Guarded::Operator), "{address}");
        }
        assert_eq!(check(&guard, "10.0.0.1"), Err(Guarded::Private));
        for address in ["193.52.1.9", "193.53.0.1", "2001:661::1"] {
            assert_eq!(check(&guard, address), Ok(()), "{address}");
        }
    }

    #[test]
    fn nobody_else_is_asked_for_localhost() {
        let check = |name: &str| Guard::default().check_name(&HostName::parse(name).unwrap());
        for name in ["localhost", "LOCALHOST.", "a.localhost"] {
            assert_eq!(check(name), Err(Guarded::Loopback), "{name}");
        }
        for name in ["localhost.fr", "notlocalhost"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }
}

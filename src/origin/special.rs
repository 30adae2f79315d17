//! Addresses that are not on the public Internet, in every spelling (IANA special-purpose address registries).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Guarded;

/// What kind of special address it is; `None` for one of the public Internet. `address` is canonical (not v4-mapped).
pub(super) fn special(address: IpAddr) -> Option<Guarded> {
    match address {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

/// Whether an address may come in an answer from outside: it and what it carries are of the public Internet.
pub fn is_public(address: IpAddr) -> bool {
    let canonical = address.to_canonical();
    let carried = match canonical {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => embedded(v6),
    };
    special(canonical).is_none() && carried.is_none_or(|v4| special_v4(v4).is_none())
}

/// The IPv4 address that an IPv6 one is only another spelling of, or that a translator or tunnel brings it to.
pub(super) fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // v4-compatible (RFC 4291 §2.5.5.1), v4-mapped (§2.5.5.2), v4-translated (RFC 2765 §2.1).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        // NAT64 (RFC 6052 §2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        // 6to4 (RFC 3056 §2).
        [0x2002, high, low, ..] => v4(high, low),
        // ISATAP (RFC 5214 §6.1).
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => v4(high, low),
        _ => None,
    }
}

fn special_v4(v4: Ipv4Addr) -> Option<Guarded> {
    Some(match v4.octets() {
        [0, ..] => Guarded::Unspecified,
        [127, ..] => Guarded::Loopback,
        // AWS, GCP, Azure and others; Alibaba; Azure's host agent.
        [169, 254, 169, 254] | [100, 100, 100, 200] | [168, 63, 129, 16] => Guarded::Metadata,
        [169, 254, ..] => Guarded::LinkLocal,
        // RFC 1918, RFC 6598.
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Guarded::Private,
        [224..=239, ..] => Guarded::Multicast,
        [255, 255, 255, 255] => Guarded::Broadcast,
        // IETF protocol assignments, documentation, 6to4 relays, benchmarks, reserved.
        [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [240..=255, ..] => Guarded::Reserved,
        _ => return None,
    })
}

fn special_v6(v6: Ipv6Addr) -> Option<Guarded> {
    if let Some(found) = embedded(v6).and_then(special_v4) {
        return Some(found);
    }
    Some(match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Guarded::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Guarded::Loopback,
        // AWS; GCP.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => Guarded::Metadata,
        [0xff00..=0xffff, ..] => Guarded::Multicast,
        [0xfe80..=0xfebf, ..] => Guarded::LinkLocal,
        // Unique local (RFC 4193), the former site-local, NAT64 of a local network (RFC 8215).
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Guarded::Private,
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => return None,
        // Teredo, ORCHID, documentation.
        [0x2001, 0 | 0x10..=0x2f | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Guarded::Reserved,
        // Global unicast is 2000::/3 and nothing else is assigned.
        [0x2000..=0x3fff, ..] => return None,
        _ => Guarded::Reserved,
    })
}

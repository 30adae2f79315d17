//! A name answered by another's addresses: SafeSearch.

use std::net::IpAddr;
use std::time::Duration;

use super::kind;
use super::layout::{HEADER, Layout};
use super::question::Key;
use super::rewrite::Broken;
use super::stored::Stored;
use crate::access::HostName;

/// Both engines' own aliases live this long or longer; a change of policy is noticed within five minutes.
const ALIAS_TTL: u32 = 300;

/// The answer to `key`: it is an alias of `target`, which has these addresses for so long. A question for anything but
/// addresses gets the alias and nothing more, so that no record of the unsafe name is ever used.
pub fn alias(key: &Key, target: &HostName, addresses: &[IpAddr], ttl: Duration) -> Result<Stored, Broken> {
    // An answer without error, not verified: we made it ourselves.
    let mut wire = vec![0, 0, 0x80, 0x80, 0, 1, 0, 0, 0, 0, 0, 0];
    debug_assert_eq!(wire.len(), HEADER);
    wire.extend_from_slice(&key.section());
    let name = Key::of(target, 0, Default::default());
    let name = &name.as_slice()[..name.as_slice().len() - 3];
    push(&[0xc0, 12], kind::CNAME, ALIAS_TTL, name, &mut wire);
    let mut count: u16 = 1;
    // Never below a second: it was an answer just now.
    let ttl = ttl.clamp(Duration::from_secs(1), Duration::from_secs(ALIAS_TTL.into()));
    for address in addresses {
        let octets = match address {
            IpAddr::V4(v4) if key.kind() == kind::A => v4.octets().to_vec(),
            IpAddr::V6(v6) if key.kind() == kind::AAAA => v6.octets().to_vec(),
            _ => continue,
        };
        push(name, key.kind(), ttl.as_secs() as u32, &octets, &mut wire);
        count = count.saturating_add(1);
    }
    wire[6..8].copy_from_slice(&count.to_be_bytes());
    let layout = Layout::read(&wire).ok_or(Broken)?;
    let addresses = if count > 1 { addresses.to_vec() } else { Vec::new() };
    Ok(Stored::new(wire, &layout, ttl, addresses))
}

fn push(name: &[u8], of: u16, ttl: u32, octets: &[u8], wire: &mut Vec<u8>) {
    wire.extend_from_slice(name);
    wire.extend_from_slice(&of.to_be_bytes());
    wire.extend_from_slice(&1u16.to_be_bytes());
    wire.extend_from_slice(&ttl.to_be_bytes());
    // A name of 255 octets at most, or an address.
    wire.extend_from_slice(&(octets.len() as u16).to_be_bytes());
    wire.extend_from_slice(octets);
}

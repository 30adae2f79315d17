//! Lists of networks.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::access::Host;

use super::{Entry, Fault, single, without_comment};

/// `10.0.0.0/8`, `2001:db8::/32` or a single address; a comment after `#` or `;`.
pub fn parse_network(line: &str, sink: &mut dyn FnMut(Entry<'_>)) -> Result<(), Fault> {
    let text = without_comment(line.split(';').next().unwrap_or_default()).trim_ascii();
    if text.is_empty() {
        return Ok(());
    }
    if text.contains('/') {
        let network: IpNet = text.parse().map_err(|_| wrong("this is no network"))?;
        sink(Entry::Network(canonical(network.trunc())));
        return Ok(());
    }
    match Host::parse(text) {
        Ok(Host::Address(address)) => sink(single(address)),
        _ => return Err(wrong("this is no address")),
    }
    Ok(())
}

fn wrong(what: &str) -> Fault {
    Fault::new(what, "write `10.0.0.0/8`, `2001:db8::/32` or a single address")
}

/// A network of v4-mapped addresses is the IPv4 network that they carry.
fn canonical(network: IpNet) -> IpNet {
    let IpAddr::V6(v6) = network.network() else { return network };
    match (v6.to_ipv4_mapped(), network.prefix_len().checked_sub(96)) {
        (Some(v4), Some(prefix)) => Ipv4Net::new(v4, prefix).map_or(network, IpNet::V4),
        _ => network,
    }
}

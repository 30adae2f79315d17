//! Whether an address is one of this machine's. The kernel knows; nobody else does when addresses come and go.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::LazyLock;

/// Documentation addresses (RFC 5737, RFC 3849): no machine has them.
const NOBODYS_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const NOBODYS_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// `None`: the kernel could not be asked (no descriptor left).
pub(super) fn is_of_this_machine(ip: IpAddr) -> Option<bool> {
    // Linux takes a connection to `0.0.0.0` or `::` as one to itself.
    if ip.is_unspecified() || ip.is_loopback() {
        return Some(true);
    }
    match can_bind(ip)? {
        true if binds_to_anything(ip) => Some(is_own_source(ip)),
        bound => Some(bound),
    }
}

/// A socket can be bound to an address of this machine only.
fn can_bind(ip: IpAddr) -> Option<bool> {
    match UdpSocket::bind((ip, 0)) {
        Ok(_) => Some(true),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Some(false),
        // A family that this machine does not speak.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => Some(false),
        Err(_) => None,
    }
}

/// Unless the administrator let it bind to any (`net.ipv4.ip_nonlocal_bind`).
fn binds_to_anything(ip: IpAddr) -> bool {
    static V4: LazyLock<bool> = LazyLock::new(|| can_bind(NOBODYS_V4) == Some(true));
    static V6: LazyLock<bool> = LazyLock::new(|| can_bind(NOBODYS_V6) == Some(true));
    if ip.is_ipv4() { *V4 } else { *V6 }
}

/// Whoever speaks to himself speaks from the same address. (From the first one of a network that has several, so that
/// this is only the second-best question.) Connecting a UDP socket sends nothing.
fn is_own_source(ip: IpAddr) -> bool {
    let any = if ip.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        // RFC 863: the port does not matter.
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

/// An address of this machine besides loopback, if it has one.
#[cfg(test)]
pub(super) fn outward_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("9.9.9.9:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_our_addresses_from_others() {
        for ours in ["127.0.0.1", "127.200.0.9", "::1", "0.0.0.0", "::"] {
            assert_eq!(is_of_this_machine(ours.parse().unwrap()), Some(true), "{ours}");
        }
        for other in ["9.9.9.9", "2001:db8::9", "192.0.2.1"] {
            assert_eq!(is_of_this_machine(other.parse().unwrap()), Some(false), "{other}");
        }
        if let Some(own) = outward_address() {
            assert_eq!(is_of_this_machine(own.into()), Some(true), "{own}");
            assert!(is_own_source(own.into()));
            assert!(!is_own_source(NOBODYS_V4));
        }
    }
}

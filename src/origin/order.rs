//! The order in which addresses are tried (RFC 8305 §4).

/// IPv6 and IPv4 in turn, IPv6 first, each family in its own order: a family that does not work costs one attempt.
pub(super) fn interleave<T: Copy>(addresses: &[T], is_v6: impl Fn(&T) -> bool) -> Vec<T> {
    let mut v6 = addresses.iter().filter(|a| is_v6(a));
    let mut v4 = addresses.iter().filter(|a| !is_v6(a));
    let mut ordered = Vec::with_capacity(addresses.len());
    while ordered.len() < addresses.len() {
        ordered.extend(v6.next());
        ordered.extend(v4.next());
    }
    ordered
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    #[test]
    fn families_take_turns_and_keep_their_order() {
        let parse = |text: &str| text.split(' ').map(|a| a.parse().unwrap()).collect::<Vec<IpAddr>>();
        let check = |given: &str, expected: &str| {
            assert_eq!(super::interleave(&parse(given), IpAddr::is_ipv6), parse(expected));
        };
        check("1.1.1.1 1.1.1.2 1.1.1.3 2001:db8::1", "2001:db8::1 1.1.1.1 1.1.1.2 1.1.1.3");
        check("::1 ::2 ::3 1.1.1.1 1.1.1.2", "::1 1.1.1.1 ::2 1.1.1.2 ::3");
        check("1.1.1.1", "1.1.1.1");
        assert!(super::interleave::<IpAddr>(&[], IpAddr::is_ipv6).is_empty());
    }
}

//! The order in which addresses are tried (RFC 8305 §4).

/// Two families in turn, each in its own order: a family that does not work costs one attempt.
pub(super) fn interleave<T: Copy>(addresses: &[T], comes_first: impl Fn(&T) -> bool) -> Vec<T> {
    let mut first = addresses.iter().filter(|a| comes_first(a));
    let mut second = addresses.iter().filter(|a| !comes_first(a));
    let mut ordered = Vec::with_capacity(addresses.len());
    while ordered.len() < addresses.len() {
        ordered.extend(first.next());
        ordered.extend(second.next());
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

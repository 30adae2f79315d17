//! Tor's own handshake with its relays: a name that nobody has, `www.` + random letters + `.com` (`crypto_random_hostname`
//! in Tor's source), no ALPN and no session ticket. Bridges with a transport (obfs4, snowflake, meek) look like something else.

use super::signature::Signature;

/// `crypto_random_hostname(4, 25, "www.", ".com")`: four to twenty-five letters of base32. Below eight, chance rules.
const LABEL: std::ops::RangeInclusive<usize> = 8..=25;

/// The caller has made sure that there is no session ticket.
pub(super) fn is_shape(signature: &Signature) -> bool {
    let Some(name) = signature.sni.as_ref().filter(|_| signature.alpn.is_empty()) else { return false };
    let label = name.as_str().strip_prefix("www.").and_then(|rest| rest.strip_suffix(".com"));
    label.is_some_and(|label| is_random(label.as_bytes()))
}

/// Letters of base32, digits among the letters, and fewer vowels than anybody can pronounce: 5 of 26 by chance, 4 in 10 in
/// words.
fn is_random(label: &[u8]) -> bool {
    let digit_inside = label.windows(2).any(|two| two[0].is_ascii_digit() && two[1].is_ascii_lowercase());
    let letters = label.iter().filter(|b| b.is_ascii_lowercase()).count();
    let vowels = label.iter().filter(|b| matches!(b, b'a' | b'e' | b'i' | b'o' | b'u')).count();
    LABEL.contains(&label.len())
        && label.iter().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
        && digit_inside
        && vowels * 4 < letters
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Tls, Tor};
    use crate::detect::tests::from_client;
    use crate::detect::tests::hellos::{alpn, hello, server_name};

    #[test]
    fn tor_is_told_by_a_name_that_nobody_has() {
        for name in ["www.gfu7hbxpfp.com", "www.e6r5p57kbafwrxj3plz.com", "www.q4cyamnc6mtokjurvdclt.com"] {
            assert_eq!(from_client(hello(&[server_name(name)])), Tor, "{name}");
            assert_eq!(from_client(hello(&[server_name(name), alpn(&["h2"])])), Tls, "{name} with ALPN");
            assert_eq!(from_client(hello(&[server_name(name), (35, vec![])])), Tls, "{name} with a ticket");
        }
        // As Tor makes them: the length first, then each letter. Half are told from words.
        let mut state = 1u64;
        let mut dice = move |sides: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % sides
        };
        let mut letter = move |_| b"abcdefghijklmnopqrstuvwxyz234567"[dice(32) as usize];
        let labels = (0..2200).map(|i| (0..4 + i % 22).map(&mut letter).collect::<Vec<u8>>());
        let told = labels.filter(|label| super::is_random(label)).count();
        assert!((1000..1300).contains(&told), "{told} of 2200");
        for name in [
            "www.tv5monde.com",
            "www.radio24.com",
            "www.web24france.com",
            "www.example.com",
            "gfu7hbxpfp.com",
            "www.gfu7hbxpfp.net",
            "www.gfu7-hbxpfp.com",
            "www.gfu8hbxpfp.com",
        ] {
            assert_eq!(from_client(hello(&[server_name(name)])), Tls, "{name}");
        }
    }
}

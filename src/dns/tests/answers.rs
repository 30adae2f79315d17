//! Rewriting answers, and giving them again.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn service(message: &Message) -> &SVCB {
    match &message.answers[0].data {
        RData::HTTPS(https) => &https.0,
        other => panic!("{other:?}"),
    }
}

fn keys(message: &Message) -> Vec<SvcParamKey> {
    service(message).svc_params.iter().map(|(key, _)| *key).collect()
}

#[test]
fn an_answer_without_anything_to_hide_goes_on_byte_for_byte() {
    let message = answer(
        "www.example.fr.",
        RecordType::A,
        vec![
            Record::from_rdata(name("www.example.fr."), 60, RData::CNAME(CNAME(name("cdn.example.net.")))),
            a("cdn.example.net.", 300, "192.0.2.7"),
            rrsig("cdn.example.net.", RecordType::A),
        ],
    );
    let wire = message.to_vec().unwrap();
    let stored = rewrite(&wire, PLAIN, is_public).unwrap();
    let asked = question("WWW.example.FR.", RecordType::A, true);
    let mut out = Vec::new();
    stored.reply(&Question::parse(&asked).unwrap(), Duration::ZERO, Transport::Datagram, &mut out);
    assert_eq!(out[out.len() - 11 - (wire.len() - 32)..out.len() - 11], wire[32..], "the records");
    assert_eq!(out[..2], [0x12, 0x34], "the client's transaction");
    assert_eq!(out[12..32], asked[12..32], "the client's spelling");
    assert_eq!(stored.ttl, Duration::from_secs(60), "the least of all");
    assert_eq!(*stored.addresses, ["192.0.2.7".parse::<std::net::IpAddr>().unwrap()]);
    assert!(reply(&stored, &asked).metadata.authentic_data, "verified by the server that was asked");
}

#[test]
fn ech_is_taken_out_and_with_it_what_proved_the_record() {
    let of = RecordType::HTTPS;
    let mandatory = (
        SvcParamKey::Mandatory,
        SvcParamValue::Mandatory(Mandatory(vec![SvcParamKey::Alpn, SvcParamKey::EchConfigList])),
    );
    let message = answer(
        "example.fr.",
        of,
        vec![
            https("example.fr.", vec![mandatory, alpn(&["h3", "h2"]), ech()]),
            rrsig("example.fr.", of),
            rrsig("other.fr.", of),
        ],
    );
    let asked = question("example.fr.", of, true);
    let read = reply(&rewritten(&message, PLAIN), &asked);
    assert_eq!(keys(&read), [SvcParamKey::Mandatory, SvcParamKey::Alpn]);
    assert_eq!(service(&read).svc_params[0].1, SvcParamValue::Mandatory(Mandatory(vec![SvcParamKey::Alpn])));
    assert_eq!(service(&read).svc_params[1], alpn(&["h3", "h2"]), "HTTP/3 stays where policy leaves it");
    let signatures: Vec<_> =
        read.answers.iter().filter(|r| r.record_type() == RecordType::RRSIG).map(|r| r.name.to_string()).collect();
    assert_eq!(signatures, ["other.fr."], "the signature over the altered set is gone, another's stays");
    assert!(!read.metadata.authentic_data);
}

#[test]
fn http3_is_taken_out_where_policy_says_so() {
    let of = RecordType::HTTPS;
    let without = Rewriting { without_h3: true, ..PLAIN };
    let told = |params| {
        let message = answer("example.fr.", of, vec![https("example.fr.", params), rrsig("example.fr.", of)]);
        reply(&rewritten(&message, without), &question("example.fr.", of, true))
    };
    let read = told(vec![alpn(&["h3", "h3-29", "h2"])]);
    assert_eq!(service(&read).svc_params, [alpn(&["h2"])]);
    assert_eq!(read.answers.len(), 1, "the signature is gone");
    assert_eq!(keys(&told(vec![alpn(&["h3"])])), [], "what is left is the protocol that goes without saying");
    let only = told(vec![alpn(&["h3"]), (SvcParamKey::NoDefaultAlpn, SvcParamValue::NoDefaultAlpn)]);
    assert!(only.answers.is_empty(), "a service of HTTP/3 alone is none");
    let whole = told(vec![alpn(&["h2"])]);
    assert!(whole.metadata.authentic_data && whole.answers.len() == 2, "nothing was there, nothing is altered");
}

#[test]
fn an_answer_from_outside_never_leads_inside() {
    let hint = |address: &str| {
        (
            SvcParamKey::Ipv4Hint,
            SvcParamValue::Ipv4Hint(IpHint(vec![A(address.parse().unwrap()), A([192, 0, 2, 1].into())])),
        )
    };
    for (of, records) in [
        (RecordType::A, vec![a("evil.fr.", 60, "10.0.0.1")]),
        (RecordType::A, vec![a("evil.fr.", 60, "192.0.2.1"), a("evil.fr.", 60, "127.0.0.1")]),
        (RecordType::AAAA, vec![aaaa("evil.fr.", 60, "fd00::1")]),
        (RecordType::AAAA, vec![aaaa("evil.fr.", 60, "::ffff:10.0.0.1")]),
    ] {
        let message = answer("evil.fr.", of, records.clone());
        let asked = question("evil.fr.", of, true);
        let read = reply(&rewritten(&message, PLAIN), &asked);
        assert!(read.answers.is_empty() && !read.metadata.authentic_data, "{records:?}");
        assert_eq!(read.metadata.response_code, hickory_proto::op::ResponseCode::NoError);
        assert!(rewritten(&message, PLAIN).blocked && rewritten(&message, PLAIN).addresses.is_empty());
        let private = Rewriting { private: true, ..PLAIN };
        assert_eq!(reply(&rewritten(&message, private), &asked).answers, records, "the school's own name");
    }
    // Hints are addresses as well.
    let message = answer("evil.fr.", RecordType::HTTPS, vec![https("evil.fr.", vec![hint("10.0.0.1")])]);
    let stored = rewritten(&message, PLAIN);
    assert_eq!(*stored.addresses, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
}

#[test]
fn a_denial_is_believed_as_long_as_it_says_and_five_minutes_at_most() {
    let denied = |minimum: u32, ttl: u32| {
        let mut message = answer("gone.fr.", RecordType::A, vec![]);
        message.metadata.response_code = hickory_proto::op::ResponseCode::NXDomain;
        let soa = SOA::new(name("fr."), name("fr."), 1, 60, 60, 60, minimum);
        message.add_authority(Record::from_rdata(name("fr."), ttl, RData::SOA(soa)));
        rewritten(&message, PLAIN).ttl.as_secs()
    };
    assert_eq!((denied(60, 900), denied(900, 30), denied(86_400, 86_400)), (60, 30, 300));
    let unsaid = answer("gone.fr.", RecordType::A, vec![]);
    assert_eq!(rewritten(&unsaid, PLAIN).ttl.as_secs(), 1);
}

#[test]
fn seconds_count_down_and_none_is_longer_than_an_hour() {
    let message = answer("a.fr.", RecordType::A, vec![a("a.fr.", 90_000, "192.0.2.1"), a("a.fr.", 100, "192.0.2.2")]);
    let stored = rewritten(&message, PLAIN);
    let asked = question("a.fr.", RecordType::A, false);
    let ttls = |age: u64| {
        let mut out = Vec::new();
        stored.reply(&Question::parse(&asked).unwrap(), Duration::from_secs(age), Transport::Stream, &mut out);
        Message::from_vec(&out).unwrap().answers.iter().map(|record| record.ttl).collect::<Vec<_>>()
    };
    assert_eq!(ttls(0), [3600, 100]);
    assert_eq!(ttls(30), [3570, 70]);
    assert_eq!(ttls(5000), [0, 0]);
}

#[test]
fn what_does_not_fit_the_client_is_cut_and_said_to_be() {
    let records = (0..60).map(|i| a("many.fr.", 60, &format!("192.0.2.{i}"))).collect();
    let stored = rewritten(&answer("many.fr.", RecordType::A, records), PLAIN);
    let sent = |asked: &[u8], by| {
        let mut out = Vec::new();
        stored.reply(&Question::parse(asked).unwrap(), Duration::ZERO, by, &mut out);
        (out.len(), out[2] & 2 != 0, Message::from_vec(&out).unwrap().answers.len())
    };
    let mut plain = question("many.fr.", RecordType::A, false);
    assert_eq!(sent(&plain, Transport::Datagram).2, 60, "960 bytes fit into 1232");
    let end = plain.len();
    plain[end - 8..end - 6].copy_from_slice(&4096u16.to_be_bytes());
    assert!(sent(&plain, Transport::Datagram).0 <= DATAGRAM_MAX);
    plain.truncate(end - 11);
    plain[11] = 0;
    let (length, cut, records) = sent(&plain, Transport::Datagram);
    assert!(length <= 512 && cut && records == 0, "without EDNS 512 bytes");
    assert_eq!(sent(&plain, Transport::Stream), (25 + 60 * 16, false, 60));
}

#[test]
fn only_who_asks_whether_it_was_verified_hears_so() {
    let stored = rewritten(&answer("a.fr.", RecordType::A, vec![a("a.fr.", 60, "192.0.2.1")]), PLAIN);
    assert!(reply(&stored, &question("a.fr.", RecordType::A, true)).metadata.authentic_data);
    let mut plain = question("a.fr.", RecordType::A, false);
    assert!(!reply(&stored, &plain).metadata.authentic_data);
    plain[3] |= 0x20;
    assert!(reply(&stored, &plain).metadata.authentic_data, "AD in the question");
}

#[test]
fn an_alias_says_both_names_and_an_unsafe_record_never() {
    let limits = crate::policy::NameLimits { safe_search: true, ..Default::default() };
    let names = SafeNames::default();
    let target = names.of(&host("www.google.fr"), limits).unwrap();
    let safe = rewritten(
        &answer(
            "forcesafesearch.google.com.",
            RecordType::A,
            vec![a("forcesafesearch.google.com.", 86_400, "216.239.38.120")],
        ),
        PLAIN,
    );
    let told = |of: RecordType| {
        let asked = question("www.GOOGLE.fr.", of, true);
        let key = Question::parse(&asked).unwrap().key(Variant { safe: true, ..Variant::default() });
        reply(&alias(&key, target, &safe.addresses, safe.ttl).unwrap(), &asked)
    };
    let read = told(RecordType::A);
    let shown: Vec<String> =
        read.answers.iter().map(|r| format!("{} {} {}", r.name.to_string().to_lowercase(), r.ttl, r.data)).collect();
    assert_eq!(
        shown,
        ["www.google.fr. 300 forcesafesearch.google.com.", "forcesafesearch.google.com. 300 216.239.38.120"]
    );
    assert!(!read.metadata.authentic_data);
    assert_eq!(told(RecordType::HTTPS).answers.len(), 1, "the alias alone");
}

#[test]
fn a_refusal_says_who_blocks_and_may_be_kept_ten_seconds() {
    let asked = question("adult.test.", RecordType::AAAA, false);
    let read = Question::parse(&asked).unwrap();
    let mut out = Vec::new();
    say(&read, Rcode::NxDomain, &[], true, &mut out);
    assert!(out.ends_with(&[0, 6, 0, 15, 0, 2, 0, 15]), "RFC 8914: blocked");
    let message = Message::from_vec(&out).unwrap();
    assert_eq!(message.authorities[0].ttl, 10);
    let page: Vec<std::net::IpAddr> = vec!["10.131.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
    say(&read, Rcode::NoError, &page, true, &mut out);
    let message = Message::from_vec(&out).unwrap();
    assert_eq!(message.answers.len(), 1, "the family that was asked for");
    assert_eq!(message.answers[0].data, RData::AAAA(AAAA("fd00::1".parse().unwrap())));
    say(&read, Rcode::NoError, &page[..1], true, &mut out);
    assert_eq!(Message::from_vec(&out).unwrap().answers.len(), 0);
}

#[test]
fn what_cannot_be_read_is_no_answer() {
    let message = answer("a.fr.", RecordType::HTTPS, vec![https("a.fr.", vec![alpn(&["h2"]), ech()])]);
    let wire = message.to_vec().unwrap();
    for cut in 0..wire.len() {
        assert!(rewrite(&wire[..cut], PLAIN, is_public).is_err(), "cut after {cut}");
    }
    let mut short = answer("a.fr.", RecordType::A, vec![a("a.fr.", 60, "192.0.2.1")]).to_vec().unwrap();
    // An address of three bytes.
    let end = short.len();
    short[end - 5] = 3;
    short.pop();
    assert!(rewrite(&short, PLAIN, is_public).is_err());
}

proptest! {
    #[test]
    fn whatever_a_server_says_no_ech_and_no_private_address_comes_through(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        protocols in prop::collection::vec("h2|h3|h3-29|http/1.1", 1..4),
        private in any::<bool>(),
    ) {
        let protocols: Vec<&str> = protocols.iter().map(String::as_str).collect();
        let hint = if private { [10, 0, 0, 1] } else { [192, 0, 2, 1] };
        let hint = (SvcParamKey::Ipv4Hint, SvcParamValue::Ipv4Hint(IpHint(vec![A(hint.into())])));
        let records = vec![https("a.fr.", vec![alpn(&protocols), hint, ech()]), rrsig("a.fr.", RecordType::HTTPS)];
        let mut wire = answer("a.fr.", RecordType::HTTPS, records).to_vec().unwrap();
        for (at, byte) in flips {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        let rewriting = Rewriting { without_h3: true, private: false };
        if let Ok(stored) = rewrite(&wire, rewriting, is_public) {
            prop_assert!(stored.addresses.iter().all(|address| is_public(*address)));
            let mut out = Vec::new();
            let asked = question("a.fr.", RecordType::HTTPS, true);
            stored.reply(&Question::parse(&asked).unwrap(), Duration::ZERO, Transport::Stream, &mut out);
            let Ok(message) = Message::from_vec(&out) else { return Ok(()) };
            for record in &message.answers {
                if let RData::HTTPS(HTTPS(service)) | RData::SVCB(service) = &record.data {
                    for (key, value) in &service.svc_params {
                        prop_assert!(*key != SvcParamKey::EchConfigList);
                        if let SvcParamValue::Alpn(Alpn(protocols)) = value {
                            prop_assert!(!protocols.iter().any(|p| p == "h3"));
                        }
                    }
                }
            }
        }
    }
}

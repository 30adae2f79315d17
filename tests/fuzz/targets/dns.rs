//! What is asked and what is answered: whatever the bytes, no crash; and what comes through is free of what must not.

#![no_main]

use std::net::IpAddr;
use std::time::Duration;

use ecluse::access::HostName;
use ecluse::dns::{Question, Rcode, Rewriting, Transport, Variant, ech_configs, rewrite, say, spelt_at_random};
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::svcb::{Alpn, SvcParamKey, SvcParamValue};
use libfuzzer_sys::fuzz_target;

const ASKED: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x01a\x02fr\0\0\x41\0\x01\0\0\x29\x04\xd0\0\0\x80\0\0\0";

fuzz_target!(|bytes: &[u8]| {
    asked(bytes);
    answered(bytes);
    keys(bytes);
});

/// A list of keys is cut at its bound, names hosts, and says the same again.
fn keys(bytes: &[u8]) {
    let configs = ech_configs(bytes);
    assert!(configs.len() <= 16 && configs == ech_configs(bytes));
    for config in configs {
        assert_eq!(HostName::parse(config.public_name.as_str()).as_ref(), Ok(&config.public_name));
    }
}

fn asked(bytes: &[u8]) {
    let Ok(question) = Question::parse(bytes) else { return };
    question.asked();
    let key = question.key(Variant::default());
    assert!(key.section().eq_ignore_ascii_case(question.section));
    assert!(spelt_at_random(question.section, &[0x5a; 32]).eq_ignore_ascii_case(question.section));
    let mut out = Vec::new();
    say(&question, Rcode::NxDomain, &[], true, &mut out);
    assert!(out[2] & 0x80 != 0 && out[..2] == question.id.to_be_bytes());
}

fn answered(bytes: &[u8]) {
    let is_public = |address: IpAddr| !address.is_loopback();
    let Ok(stored) = rewrite(bytes, Rewriting { without_h3: true, private: false }, is_public) else { return };
    assert!(stored.addresses.iter().all(|address| is_public(*address)) && stored.ech.len() <= 32);
    // The answer's own question, as who asked it wrote it.
    let mut query = bytes.to_vec();
    query[2..12].copy_from_slice(&ASKED[2..12]);
    query[10..12].fill(0);
    let Ok(question) = Question::parse(&query) else { return };
    let mut out = Vec::new();
    for (by, age) in [(Transport::Datagram, 0), (Transport::Stream, 100_000)] {
        stored.reply(&question, Duration::from_secs(age), by, &mut out);
        assert!(by == Transport::Stream || out.len() <= 1232);
    }
    let Ok(message) = Message::from_vec(&out) else { return };
    for record in &message.answers {
        let (RData::HTTPS(hickory_proto::rr::rdata::HTTPS(service)) | RData::SVCB(service)) = &record.data else {
            continue;
        };
        for (key, value) in &service.svc_params {
            assert!(*key != SvcParamKey::EchConfigList, "ech came through");
            if let SvcParamValue::Alpn(Alpn(protocols)) = value {
                assert!(protocols.iter().all(|protocol| protocol != "h3"), "h3 came through");
            }
        }
    }
}

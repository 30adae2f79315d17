use super::*;
use crate::access::{ActionTaken, Ending, HostSource, IdentitySource, IdentityStrength, Protocol, Visit};

fn access() -> AccessRecord {
    AccessRecord {
        connection: 7,
        person: Some(Pseudonym([9; 16])),
        identity_source: IdentitySource::AddressMap,
        identity_strength: IdentityStrength::Weak,
        client_address: Some("2001:db8::7".parse().unwrap()),
        start: Timestamp::from_micros(1_795_421_700_123_456),
        end: Timestamp::from_micros(-1),
        method: "GET".into(),
        host: "example.fr".into(),
        host_source: HostSource::Asked,
        port: 80,
        protocol: Protocol::Http,
        path: "".into(),
        category: "adult".into(),
        action: ActionTaken::Refuse,
        rule: "eleves".into(),
        list: "ut1/adult".into(),
        entry: "example.fr (adult/domains:12)".into(),
        rules_version: "0123456789ab".into(),
        status: Some(403),
        bytes_up: 0,
        bytes_down: u64::MAX,
        finding: "".into(),
        visit: Visit::Visited,
        ending: Ending::Answered,
        asked: "".into(),
        earlier_rule: "".into(),
        reference: Some(Reference::from_random(0xdead_beef)),
        count: 1,
        flags: Flags::ECH,
    }
}

fn encoded(record: &impl Canonical) -> Vec<u8> {
    let mut out = Vec::new();
    record.encode(&mut out);
    out
}

#[test]
fn a_record_is_read_back_as_itself() {
    let record = access();
    assert_eq!(AccessRecord::decode(&encoded(&record)), Ok(record));
}

#[test]
fn a_record_cut_at_any_byte_is_refused() {
    let bytes = encoded(&access());
    for n in 0..bytes.len() {
        assert!(AccessRecord::decode(&bytes[..n]).is_err(), "cut at {n}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(AccessRecord::decode(&longer), Err(DecodeError::Trailing));
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    let mut record = access();
    record.path = format!("/{}", "é".repeat(TEXT_MAX)).into();
    let back = AccessRecord::decode(&encoded(&record)).unwrap();
    assert!(back.path.len() <= TEXT_MAX && back.path.ends_with('é'));
}

#[test]
fn a_number_has_one_form() {
    assert_eq!(take_unsigned(&mut &[0x80, 0x00][..]), None);
    assert_eq!(take_unsigned(&mut &[0xff; 11][..]), None);
    for value in [0, 1, 127, 128, u64::from(u32::MAX), u64::MAX] {
        let mut out = Vec::new();
        put_unsigned(value, &mut out);
        assert_eq!(take_unsigned(&mut &out[..]), Some(value));
    }
}

proptest::proptest! {
    /// Whatever bytes are accepted are the encoding of what they are read as.
    #[test]
    fn only_canonical_bytes_are_accepted(flips in proptest::collection::vec((0usize..200, 0u8..=255), 1..4)) {
        let mut bytes = encoded(&access());
        for (at, value) in flips {
            let n = bytes.len();
            bytes[at % n] = value;
        }
        if let Ok(record) = AccessRecord::decode(&bytes) {
            proptest::prop_assert_eq!(encoded(&record), bytes);
        }
    }
}

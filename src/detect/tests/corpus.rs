//! Real flows with known answers: the capture files of nDPI and JA4 (`flows-sample.jsonl`), found by ECLUSE_TEST_DATA. The
//! goals are shares, so that a larger set of the same kind is measured by the same tests.

use std::path::PathBuf;

use serde_json::Value;

use crate::access::{Carrier, HostName, Protocol};
use crate::detect::{Datagrams, Detector, Fault, Ja4, Signature, Step, detect_server};

/// Says loudly that it is skipped where there is no data, and fails where there must be.
fn flows() -> Option<Vec<Value>> {
    let Some(directory) = std::env::var_os("ECLUSE_TEST_DATA") else {
        let required = std::env::var("REQUIRE").is_ok_and(|r| r.contains("data"));
        assert!(!required, "REQUIRE has `data`, and ECLUSE_TEST_DATA does not say where it is");
        eprintln!("SKIPPED: flows-sample.jsonl is not here: set ECLUSE_TEST_DATA to the folder that holds it");
        return None;
    };
    let file = PathBuf::from(directory).join("flows-sample.jsonl");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap_or_default();
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// One flow, and what we say of it.
struct Flow<'a> {
    json: &'a Value,
    id: &'a str,
    /// The client's first bytes, or its first datagram.
    first: Vec<u8>,
    signature: Signature,
    ja4: Option<Ja4>,
}

impl<'a> Flow<'a> {
    fn of(json: &'a Value) -> Flow<'a> {
        let id = json["id"].as_str().unwrap_or("?");
        if json["l4"] == "udp" {
            let datagrams: Vec<Vec<u8>> = json["c2s_datagrams_hex"].as_array().unwrap().iter().map(bytes).collect();
            let (signature, ja4) = of_datagrams(&datagrams);
            return Flow { json, id, first: datagrams.into_iter().next().unwrap_or_default(), signature, ja4 };
        }
        let first = bytes(&json["c2s_hex"]);
        let signature = if first.is_empty() { of_server(&bytes(&json["s2c_hex"])) } else { of_segments(json, &first) };
        Flow { json, id, ja4: Ja4::of_stream(&first), first, signature }
    }

    fn expected(&self, what: &str) -> Option<&'a str> {
        self.json["expected"][what].as_str()
    }

    fn gate(&self) -> &'a str {
        self.expected("gate").unwrap_or_default()
    }

    /// nDPI has its answer from the bytes, and not from a port.
    fn is_sure(&self) -> bool {
        self.expected("confidence").is_none_or(|confidence| confidence.starts_with("DPI"))
    }

    fn told(&self) -> String {
        format!("{} ({}): {:?}", self.id, self.gate(), self.signature)
    }
}

/// In the segments that the capture holds.
fn of_segments(json: &Value, bytes: &[u8]) -> Signature {
    let mut detector = Detector::default();
    let mut end = 0;
    for segment in json["c2s_segments"].as_array().unwrap() {
        end = bytes.len().min(end + segment.as_u64().unwrap() as usize);
        if let Step::Done(signature) = detector.look(&bytes[..end]) {
            return signature;
        }
    }
    detector.conclude(bytes, Fault::Incomplete)
}

fn of_server(bytes: &[u8]) -> Signature {
    match detect_server(bytes) {
        Step::Done(signature) => signature,
        Step::Need => Signature::of(Protocol::Silent),
    }
}

fn of_datagrams(datagrams: &[Vec<u8>]) -> (Signature, Option<Ja4>) {
    let mut flow = Datagrams::default();
    let done = datagrams.iter().find_map(|datagram| match flow.look(datagram) {
        Step::Done(signature) => Some(signature),
        Step::Need => None,
    });
    let signature = done.unwrap_or_else(|| flow.conclude(Fault::Incomplete));
    let dtls = (signature.protocol == Protocol::Dtls).then(|| Ja4::of_dtls(&datagrams[0])).flatten();
    (signature, flow.ja4().or(dtls))
}

/// How many of all are wrong at most, in thousandths; and that there were enough to say so.
#[track_caller]
fn at_most(wrong: &[String], all: usize, thousandths: usize, least: usize) {
    assert!(all >= least, "only {all} flows");
    assert!(wrong.len() * 1000 <= all * thousandths, "{} of {all}: {wrong:#?}", wrong.len());
}

/// TLS that the client's first bytes are not: behind a PROXY header, STARTTLS, RDP's own beginning; and WhatsApp's
/// Noise, which nDPI counts as TLS.
fn begins_otherwise(bytes: &[u8]) -> bool {
    [&b"PROXY TCP"[..], b". CAPABILITY", b"\x03\x00\x00", b"WA"].iter().any(|start| bytes.starts_with(start))
}

#[test]
fn real_tls_and_http_are_recognised() {
    let Some(flows) = flows() else { return };
    for (gate, carrier, thousandths, least) in [("tls", Carrier::Tls, 5, 175), ("http", Carrier::Http, 10, 60)] {
        let flows: Vec<Flow<'_>> = flows.iter().filter(|flow| flow["l4"] == "tcp").map(Flow::of).collect();
        let (mut all, mut wrong) = (0, Vec::new());
        for flow in flows.iter().filter(|f| f.gate() == gate && f.is_sure() && !begins_otherwise(&f.first)) {
            all += 1;
            if flow.signature.protocol.carrier() != carrier {
                wrong.push(flow.told());
            }
        }
        at_most(&wrong, all, thousandths, least);
    }
}

#[test]
fn real_quic_is_recognised() {
    let Some(flows) = flows() else { return };
    let (mut all, mut wrong) = (0, Vec::new());
    for flow in flows.iter().map(Flow::of).filter(|flow| flow.gate() == "quic" && flow.is_sure()) {
        all += 1;
        if flow.signature.protocol != Protocol::Quic {
            wrong.push(flow.told());
        }
    }
    at_most(&wrong, all, 10, 40);
}

#[test]
fn the_server_name_of_every_real_flow_is_found() {
    let Some(flows) = flows() else { return };
    let (mut names, mut wrong) = (0, Vec::new());
    for flow in flows.iter().map(Flow::of) {
        let in_bytes = flow.json["sni_in_bytes"].as_str();
        // Of QUIC nDPI says the name alone.
        let in_quic = flow.expected("hostname").filter(|_| flow.gate() == "quic" && flow.is_sure());
        let Some(expected) = in_bytes.or(in_quic) else { continue };
        names += 1;
        if flow.signature.sni != HostName::parse(expected).ok() {
            wrong.push(format!("{expected}: {}", flow.told()));
        }
    }
    at_most(&wrong, names, 0, 97);
}

#[test]
fn other_protocols_are_not_taken_for_http_or_tls() {
    let Some(flows) = flows() else { return };
    let (mut all, mut taken) = (0, Vec::new());
    for flow in flows.iter().map(Flow::of).filter(|f| f.is_sure() && !matches!(f.gate(), "tls" | "http" | "quic")) {
        all += 1;
        if matches!(flow.signature.protocol.carrier(), Carrier::Tls | Carrier::Http | Carrier::Quic) {
            taken.push(flow.told());
        }
    }
    at_most(&taken, all, 5, 300);
}

#[test]
fn protocols_that_have_a_name_of_their_own_are_recognised() {
    let Some(flows) = flows() else { return };
    let names = [
        ("DNS", Protocol::Dns),
        ("MDNS", Protocol::Dns),
        ("LLMNR", Protocol::Dns),
        ("STUN", Protocol::Stun),
        ("SRTP", Protocol::Stun),
        ("OpenVPN", Protocol::OpenVpn),
        ("WireGuard", Protocol::WireGuard),
        ("SOCKS", Protocol::Socks),
        ("Jabber", Protocol::Xmpp),
        ("MQTT", Protocol::Mqtt),
        ("IRC", Protocol::Irc),
    ];
    let (mut all, mut wrong) = (0, Vec::new());
    for flow in flows.iter().map(Flow::of).filter(Flow::is_sure) {
        let proto = flow.expected("proto").unwrap_or_default();
        let Some((_, protocol)) = names.iter().find(|(name, _)| proto.split('.').next() == Some(*name)) else {
            continue;
        };
        all += 1;
        if flow.signature.protocol != *protocol {
            wrong.push(flow.told());
        }
    }
    // Flows that were caught in their middle are among them.
    at_most(&wrong, all, 30, 100);
}

/// nDPI's answer as the specification has it: nDPI writes `d` whether there is a name or not, and `ht` for `http/1.1`,
/// where FoxIO's own tools write `i` and `h1`.
fn by_the_book(theirs: &str, ours: &str) -> String {
    let mut theirs = theirs.to_owned();
    if theirs.is_char_boundary(10) && ours.len() == theirs.len() {
        theirs.replace_range(3..4, &ours[3..4]);
        if theirs.as_bytes()[8] == ours.as_bytes()[8] && &theirs[8..10] != "00" {
            theirs.replace_range(9..10, &ours[9..10]);
        }
    }
    theirs
}

#[test]
fn the_fingerprint_of_real_clients_is_theirs() {
    let Some(flows) = flows() else { return };
    let (mut all, mut wrong) = (0, Vec::new());
    for flow in flows.iter().map(Flow::of).filter(|flow| !begins_otherwise(&flow.first)) {
        let ours = flow.ja4.map(|ja4| ja4.to_string()).unwrap_or_default();
        let theirs = match (flow.expected("ja4_foxio"), flow.expected("ja4")) {
            (Some(foxio), _) => foxio.to_owned(),
            (None, Some(ndpi)) => by_the_book(ndpi, &ours),
            (None, None) => continue,
        };
        // nDPI's DTLS begins with two letters; a flow that begins as a call becomes DTLS later.
        if theirs.starts_with("dd") || flow.gate() == "dtls" {
            continue;
        }
        all += 1;
        if ours != theirs {
            wrong.push(format!("{ours} for {theirs}: {}", flow.told()));
        }
    }
    at_most(&wrong, all, 10, 150);
}

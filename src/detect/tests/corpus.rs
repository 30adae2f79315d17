//! Real flows with known answers: the capture files of nDPI and JA4 (`flows-sample.jsonl`), found by ECLUSE_TEST_DATA.

use std::path::PathBuf;

use serde_json::Value;

use crate::access::{HostName, Protocol};
use crate::detect::{Detector, Fault, Signature, Step};

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

fn first_bytes(flow: &Value) -> Vec<u8> {
    let hex = flow["c2s_hex"].as_str().unwrap_or_default();
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// In the segments that the capture holds.
fn signature(flow: &Value, bytes: &[u8]) -> Signature {
    let mut detector = Detector::default();
    let mut end = 0;
    for segment in flow["c2s_segments"].as_array().unwrap() {
        end = bytes.len().min(end + segment.as_u64().unwrap() as usize);
        if let Step::Done(signature) = detector.look(&bytes[..end]) {
            return signature;
        }
    }
    detector.conclude(bytes, Fault::Incomplete)
}

/// TCP flows whose answer nDPI has from the bytes, and in which the client said something.
fn judged(flows: &[Value]) -> impl Iterator<Item = (&str, &str, Vec<u8>, Signature)> {
    flows.iter().filter(|flow| flow["l4"] == "tcp").filter_map(|flow| {
        let bytes = first_bytes(flow);
        let sure = flow["expected"]["confidence"].as_str().is_some_and(|c| c.starts_with("DPI"));
        let signature = signature(flow, &bytes);
        let gate = flow["expected"]["gate"].as_str()?;
        (sure && !bytes.is_empty()).then(|| (flow["id"].as_str().unwrap_or("?"), gate, bytes, signature))
    })
}

/// TLS that the client's first bytes are not: behind a PROXY header, STARTTLS, RDP's own beginning; and WhatsApp's
/// Noise, which nDPI counts as TLS.
fn begins_otherwise(bytes: &[u8]) -> bool {
    [&b"PROXY TCP"[..], b". CAPABILITY", b"\x03\x00\x00", b"WA"].iter().any(|start| bytes.starts_with(start))
}

#[test]
fn real_flows_are_recognised() {
    let Some(flows) = flows() else { return };
    for (gate, protocol, count) in [("tls", Protocol::Tls, 175), ("http", Protocol::Http, 61)] {
        let mut all = 0;
        for (id, _, bytes, signature) in
            judged(&flows).filter(|(_, g, bytes, _)| *g == gate && !begins_otherwise(bytes))
        {
            all += 1;
            assert_eq!(signature.protocol, protocol, "{id}: {signature:?} of {} bytes", bytes.len());
        }
        assert_eq!(all, count, "flows of {gate}");
    }
}

#[test]
fn the_server_name_of_every_real_flow_is_found() {
    let Some(flows) = flows() else { return };
    let mut names = 0;
    for flow in &flows {
        let (Some(expected), "tcp") = (flow["sni_in_bytes"].as_str(), flow["l4"].as_str().unwrap()) else { continue };
        let signature = signature(flow, &first_bytes(flow));
        assert_eq!(signature.sni, HostName::parse(expected).ok(), "{}: {signature:?}", flow["id"]);
        names += 1;
    }
    assert_eq!(names, 97);
}

#[test]
fn other_protocols_are_not_taken_for_http_or_tls() {
    let Some(flows) = flows() else { return };
    let (mut all, mut taken) = (0, Vec::new());
    for (id, gate, _, signature) in judged(&flows).filter(|(_, gate, ..)| !matches!(*gate, "tls" | "http")) {
        all += 1;
        if matches!(signature.protocol, Protocol::Tls | Protocol::Http) {
            taken.push(format!("{id} ({gate}): {signature:?}"));
        }
    }
    assert!(all > 100, "{all}");
    assert!(taken.len() * 200 <= all, "{} of {all}: {taken:#?}", taken.len());
}

//! What the module promises, in bytes as they are on the wire.

mod answers;
mod ech;
mod memory;
mod questions;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::rdata::svcb::{Alpn, EchConfigList, IpHint, Mandatory, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, HTTPS, NULL, SOA, SVCB};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::*;
use crate::access::HostName;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

/// A question as `dig` writes it: EDNS with 1232 bytes, DO where `dnssec`.
fn question(text: &str, of: RecordType, dnssec: bool) -> Vec<u8> {
    let labels: Vec<&[u8]> = text.split_terminator('.').filter(|label| !label.is_empty()).map(str::as_bytes).collect();
    question_of(&labels, of, dnssec)
}

fn question_of(labels: &[&[u8]], of: RecordType, dnssec: bool) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in labels {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes.extend_from_slice(&u16::from(of).to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, u8::from(dnssec) << 7, 0, 0, 0]);
    bytes
}

/// What an upstream server says.
fn answer(text: &str, of: RecordType, records: Vec<Record>) -> Message {
    let mut message = Message::response(7, hickory_proto::op::OpCode::Query);
    message.metadata.recursion_available = true;
    message.metadata.authentic_data = true;
    message.add_query(Query::query(name(text), of));
    message.add_answers(records);
    message
}

fn a(text: &str, ttl: u32, address: &str) -> Record {
    Record::from_rdata(name(text), ttl, RData::A(A(address.parse().unwrap())))
}

fn aaaa(text: &str, ttl: u32, address: &str) -> Record {
    Record::from_rdata(name(text), ttl, RData::AAAA(AAAA(address.parse().unwrap())))
}

/// A signature over a type: what is behind the type is nobody's business here.
fn rrsig(text: &str, over: RecordType) -> Record {
    let mut data = u16::from(over).to_be_bytes().to_vec();
    data.extend_from_slice(&[13, 2, 0, 0, 1, 44, 0, 0, 0, 9, 0, 0, 0, 1, 0, 7, 0, 1, 2, 3]);
    let rdata = NULL::with(data);
    Record::from_rdata(name(text), 300, RData::Unknown { code: RecordType::RRSIG, rdata })
}

fn https(text: &str, params: Vec<(SvcParamKey, SvcParamValue)>) -> Record {
    Record::from_rdata(name(text), 300, RData::HTTPS(HTTPS(SVCB::new(1, Name::root(), params))))
}

fn alpn(protocols: &[&str]) -> (SvcParamKey, SvcParamValue) {
    let protocols = protocols.iter().map(|p| (*p).to_owned()).collect();
    (SvcParamKey::Alpn, SvcParamValue::Alpn(Alpn(protocols)))
}

fn ech() -> (SvcParamKey, SvcParamValue) {
    (SvcParamKey::EchConfigList, SvcParamValue::EchConfigList(EchConfigList(b"\x00\x03abc".to_vec())))
}

/// Where a client on the public Internet may go; the tests' private addresses are those of 10/8, 127/8 and fd00::/8.
fn is_public(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(v4) => !matches!(v4.octets()[0], 10 | 127),
        std::net::IpAddr::V6(v6) => v6.octets()[0] != 0xfd,
    }
}

const PLAIN: Rewriting = Rewriting { without_h3: false, private: false };

fn rewritten(message: &Message, rewriting: Rewriting) -> Stored {
    rewrite(&message.to_vec().unwrap(), rewriting, is_public).unwrap()
}

/// The answer to a question, as the client reads it.
fn reply(stored: &Stored, asked: &[u8]) -> Message {
    let mut out = Vec::new();
    stored.reply(&Question::parse(asked).unwrap(), Default::default(), Transport::Stream, &mut out);
    Message::from_vec(&out).unwrap()
}

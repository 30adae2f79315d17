//! An answer that can be given again: bytes, and where in them the seconds count down.

use std::net::IpAddr;
use std::time::Duration;

use super::ech::EchConfig;
use super::layout::{HEADER, Layout};
use super::question::{Key, Question};
use super::{DATAGRAM_MAX, kind};

/// Response codes (IANA "DNS RCODEs").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Rcode {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
}

/// How an answer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// It must fit what the client takes, and no more than 1232 bytes.
    Datagram,
    Stream,
}

/// An answer with its question, without its additional section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    wire: Box<[u8]>,
    question_end: usize,
    /// Offsets of the times to live.
    ttls: Box<[u32]>,
    /// How long it may be given again.
    pub ttl: Duration,
    /// The addresses that a client learns from it.
    pub addresses: Box<[IpAddr]>,
    /// The keys of encrypted ClientHellos that were taken out of it.
    pub ech: Box<[EchConfig]>,
    /// RFC 8914: why there is less in it than was asked for.
    pub blocked: bool,
}

/// "Blocked" (RFC 8914 §4.16): by who runs the resolver.
const EDE_BLOCKED: u16 = 15;
/// A refusal that is lifted is noticed within this time; a browser that asks three times asks us once.
const OWN_TTL: u32 = 10;
/// A pointer to the name of the question (RFC 1035 §4.1.4).
const THE_NAME: [u8; 2] = [0xc0, 12];
const RECURSION_AVAILABLE: u8 = 0x80;

impl Stored {
    /// `wire` laid out as `layout`; both end where the additional section would begin.
    pub(super) fn new(mut wire: Vec<u8>, layout: &Layout, ttl: Duration, addresses: Vec<IpAddr>) -> Stored {
        wire.truncate(layout.end);
        let ttls = layout.records().map(|span| span.ttl_at as u32).collect();
        Stored {
            wire: wire.into(),
            question_end: layout.question_end,
            ttls,
            ttl,
            addresses: addresses.into(),
            ech: Box::default(),
            blocked: false,
        }
    }

    /// SERVFAIL: nobody could say.
    pub fn failure(key: &Key) -> Stored {
        let mut wire = vec![0, 0, 0x80, RECURSION_AVAILABLE | Rcode::ServFail as u8, 0, 1, 0, 0, 0, 0, 0, 0];
        wire.extend_from_slice(&key.section());
        let end = wire.len();
        let layout = Layout { question_end: end, answers: Vec::new(), authorities: Vec::new(), end };
        Stored::new(wire, &layout, Duration::ZERO, Vec::new())
    }

    /// What it takes in memory, about.
    pub fn bytes(&self) -> usize {
        self.wire.len() + self.ttls.len() * 4 + self.addresses.len() * 17
    }

    pub fn rcode(&self) -> u8 {
        self.wire[3] & 15
    }

    pub fn is_authentic(&self) -> bool {
        self.wire[3] & 0x20 != 0
    }

    /// Writes the answer to `question`, `age` after it was learnt.
    pub fn reply(&self, question: &Question<'_>, age: Duration, by: Transport, out: &mut Vec<u8>) {
        // Whoever keeps answers finds them by their question; names and times in this one are told by where they stand in it.
        if HEADER + question.section.len() != self.question_end {
            begin(question, Rcode::ServFail as u8, out);
            return finish(question, self.blocked, out);
        }
        begin(question, self.rcode(), out);
        if self.is_authentic() && (question.dnssec() || question.authentic) {
            out[3] |= 0x20;
        }
        let records = &self.wire[self.question_end..];
        let opt = opt_bytes(question, self.blocked);
        if by == Transport::Datagram && out.len() + records.len() + opt > limit(question) {
            out[2] |= 0x02;
        } else {
            out[6..10].copy_from_slice(&self.wire[6..10]);
            out.extend_from_slice(records);
            let age = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
            for &at in &self.ttls {
                let at = at as usize;
                let Some(ttl) = out.get_mut(at..at + 4) else { continue };
                let left = u32::from_be_bytes([ttl[0], ttl[1], ttl[2], ttl[3]]).saturating_sub(age);
                ttl.copy_from_slice(&left.to_be_bytes());
            }
        }
        finish(question, self.blocked, out);
    }
}

/// Writes an answer of our own to `question`: `addresses` of the family it asks for, or none.
pub fn say(question: &Question<'_>, rcode: Rcode, addresses: &[IpAddr], blocked: bool, out: &mut Vec<u8>) {
    begin(question, rcode as u8, out);
    let mut count: u16 = 0;
    for address in addresses {
        let (of, octets): (u16, &[u8]) = match address {
            IpAddr::V4(v4) => (kind::A, &v4.octets()),
            IpAddr::V6(v6) => (kind::AAAA, &v6.octets()),
        };
        if of == question.kind {
            record(question.kind, octets, out);
            count += 1;
        }
    }
    out[6..8].copy_from_slice(&count.to_be_bytes());
    if count == 0 && matches!(rcode, Rcode::NoError | Rcode::NxDomain) {
        // RFC 2308 §3: without an SOA nobody may keep a denial, and a browser would ask again at once.
        let mut soa = THE_NAME.to_vec();
        soa.extend_from_slice(&THE_NAME);
        for number in [1, 3600, 600, 86_400, OWN_TTL] {
            soa.extend_from_slice(&number.to_be_bytes());
        }
        record(kind::SOA, &soa, out);
        out[8..10].copy_from_slice(&1u16.to_be_bytes());
    }
    finish(question, blocked, out);
}

/// Header and question.
fn begin(question: &Question<'_>, rcode: u8, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&question.id.to_be_bytes());
    out.push(0x80 | u8::from(question.recursion));
    out.push(RECURSION_AVAILABLE | u8::from(question.unchecked) << 4 | rcode);
    out.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    debug_assert_eq!(out.len(), HEADER);
    out.extend_from_slice(question.section);
}

fn record(of: u16, octets: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&THE_NAME);
    out.extend_from_slice(&of.to_be_bytes());
    out.extend_from_slice(&1u16.to_be_bytes());
    out.extend_from_slice(&OWN_TTL.to_be_bytes());
    // Ours are an address or two pointers and five numbers.
    out.extend_from_slice(&(octets.len() as u16).to_be_bytes());
    out.extend_from_slice(octets);
}

/// RFC 6891: who sent an OPT record gets one.
fn finish(question: &Question<'_>, blocked: bool, out: &mut Vec<u8>) {
    let Some(edns) = question.edns else { return };
    out[11] = 1;
    out.push(0);
    out.extend_from_slice(&kind::OPT.to_be_bytes());
    out.extend_from_slice(&(DATAGRAM_MAX as u16).to_be_bytes());
    out.extend_from_slice(&[0, 0, u8::from(edns.dnssec) << 7, 0]);
    if blocked {
        out.extend_from_slice(&[0, 6, 0, 15, 0, 2]);
        out.extend_from_slice(&EDE_BLOCKED.to_be_bytes());
    } else {
        out.extend_from_slice(&[0, 0]);
    }
}

fn opt_bytes(question: &Question<'_>, blocked: bool) -> usize {
    match (question.edns, blocked) {
        (None, _) => 0,
        (Some(_), false) => 11,
        (Some(_), true) => 17,
    }
}

fn limit(question: &Question<'_>) -> usize {
    question.edns.map_or(512, |edns| usize::from(edns.size).min(DATAGRAM_MAX))
}

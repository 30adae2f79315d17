//! What an upstream server said, made fit for a client of the school.
//!
//! Most answers go on byte for byte. Those that hold what must not pass are taken apart by `hickory-proto`, rewritten
//! and put together again; one that cannot be taken apart is none (the client hears SERVFAIL).

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::SVCB;
use hickory_proto::rr::rdata::svcb::{Alpn, EchConfigList, IpHint, Mandatory, SvcParamKey, SvcParamValue};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::ech::{EchConfig, ech_configs};
use super::kind;
use super::layout::Layout;
use super::stored::Stored;

/// What to take out of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewriting {
    /// `h3` out of `alpn`; `ech` always goes.
    pub without_h3: bool,
    /// Addresses of private networks may stand in it: the name is one of the school's own.
    pub private: bool,
}

/// It is no answer to this question, or cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer cannot be read")]
pub struct Broken;

/// An answer is never believed longer: a host that moved, or a rule that changed, is noticed within the hour.
pub(super) const TTL_MAX: u32 = 3600;
/// A name that was missing may be made any moment.
const NEGATIVE_TTL_MAX: u32 = 300;
/// Keys of encrypted ClientHellos of one answer: a name has a record or two, with a few keys each.
const ECH_MAX: usize = 32;
/// A denial without an SOA says not how long (RFC 2308 §5: it should not be kept; a crowd asks once all the same).
const NEGATIVE_TTL_UNSAID: u32 = 1;

/// Rewrites a whole message. `is_public` says which addresses may come from outside.
pub fn rewrite(wire: &[u8], rewriting: Rewriting, is_public: impl Fn(IpAddr) -> bool) -> Result<Stored, Broken> {
    let layout = Layout::read(wire).ok_or(Broken)?;
    let has_services = layout.records().any(|span| matches!(span.kind, kind::SVCB | kind::HTTPS));
    let mut ech = Vec::new();
    let (wire, layout) = match has_services {
        false => (wire.to_vec(), layout),
        true => match freed(wire, rewriting, &is_public, &mut ech)? {
            None => (wire.to_vec(), layout),
            Some(wire) => {
                let layout = Layout::read(&wire).ok_or(Broken)?;
                (wire, layout)
            }
        },
    };
    let addresses = addresses(&wire, &layout)?;
    if !rewriting.private && addresses.iter().any(|address| !is_public(*address)) {
        return Ok(rebinding(&wire, &layout));
    }
    let mut stored = stored(wire, layout, addresses)?;
    stored.ech = ech.into();
    Ok(stored)
}

/// The answer as it is kept: times to live within bounds.
fn stored(mut wire: Vec<u8>, layout: Layout, addresses: Vec<IpAddr>) -> Result<Stored, Broken> {
    let mut least = None;
    for span in layout.records() {
        let at = span.ttl_at;
        let ttl = u32::from_be_bytes([wire[at], wire[at + 1], wire[at + 2], wire[at + 3]]);
        // RFC 2181 §8: the highest bit means nothing.
        let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl.min(TTL_MAX) };
        wire[at..at + 4].copy_from_slice(&ttl.to_be_bytes());
        least = Some(least.map_or(ttl, |least: u32| least.min(ttl)));
    }
    let is_denial = !layout.answers.iter().any(|span| span.kind != kind::CNAME && span.kind != kind::RRSIG);
    let ttl = match least {
        Some(least) if !is_denial => least,
        least => {
            let soa = layout.authorities.iter().find(|span| span.kind == kind::SOA);
            let minimum = soa.and_then(|span| wire.get(span.data.1.checked_sub(4)?..span.data.1));
            let minimum = minimum.map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
            minimum.zip(least).map_or(NEGATIVE_TTL_UNSAID, |(minimum, least)| minimum.min(least).min(NEGATIVE_TTL_MAX))
        }
    };
    Ok(Stored::new(wire, &layout, Duration::from_secs(ttl.into()), addresses))
}

/// A name from outside leads inside: the client hears of no address, and why.
fn rebinding(wire: &[u8], layout: &Layout) -> Stored {
    let mut wire = wire[..layout.question_end].to_vec();
    // No error, nothing verified, no records.
    wire[3] &= 0x90;
    wire[6..12].fill(0);
    let layout = Layout {
        question_end: layout.question_end,
        answers: Vec::new(),
        authorities: Vec::new(),
        end: layout.question_end,
    };
    let ttl = Duration::from_secs(NEGATIVE_TTL_MAX.into());
    let mut stored = Stored::new(wire, &layout, ttl, Vec::new());
    stored.blocked = true;
    stored
}

/// The addresses in the answer section, hints of HTTPS records included; each once.
fn addresses(wire: &[u8], layout: &Layout) -> Result<Vec<IpAddr>, Broken> {
    let mut found = Vec::new();
    for span in &layout.answers {
        let octets = &wire[span.data.0..span.data.1];
        match span.kind {
            kind::A => found.push(IpAddr::from(<[u8; 4]>::try_from(octets).map_err(|_| Broken)?)),
            kind::AAAA => found.push(IpAddr::from(<[u8; 16]>::try_from(octets).map_err(|_| Broken)?).to_canonical()),
            kind::SVCB | kind::HTTPS => found.extend(hints(octets).ok_or(Broken)?),
            _ => {}
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// `ipv4hint` and `ipv6hint` of a record's data (RFC 9460 §7.3).
fn hints(data: &[u8]) -> Option<Vec<IpAddr>> {
    let mut at = super::layout::skip_name(data, 2)?;
    let mut found = Vec::new();
    while at < data.len() {
        let head = data.get(at..at + 4)?;
        let (key, length) = (u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]));
        let value = data.get(at + 4..at + 4 + usize::from(length))?;
        match key {
            4 => found.extend(value.chunks_exact(4).filter_map(|b| <[u8; 4]>::try_from(b).ok()).map(IpAddr::from)),
            6 => found.extend(
                value
                    .chunks_exact(16)
                    .filter_map(|b| <[u8; 16]>::try_from(b).ok())
                    .map(|b| IpAddr::from(b).to_canonical()),
            ),
            _ => {}
        }
        at += 4 + usize::from(length);
    }
    Some(found)
}

/// Takes out of HTTPS and SVCB records what must not pass, `ech` into the list; `None`: nothing of it is there.
fn freed(
    wire: &[u8],
    rewriting: Rewriting,
    is_public: &impl Fn(IpAddr) -> bool,
    ech: &mut Vec<EchConfig>,
) -> Result<Option<Vec<u8>>, Broken> {
    let mut message = Message::from_vec(wire).map_err(|_| Broken)?;
    let mut altered: Vec<(Name, RecordType)> = Vec::new();
    for records in [&mut message.answers, &mut message.authorities] {
        records.retain_mut(|record| {
            let of = record.record_type();
            let (RData::HTTPS(hickory_proto::rr::rdata::HTTPS(service)) | RData::SVCB(service)) = &mut record.data
            else {
                return true;
            };
            let freed = free(service, rewriting, is_public, ech);
            if freed != Freed::Whole {
                altered.push((record.name.clone(), of));
            }
            freed != Freed::Useless
        });
    }
    if altered.is_empty() {
        return Ok(None);
    }
    // A signature over what was altered proves nothing any more, and nothing here is verified (RFC 4035 §3.2.3).
    for records in [&mut message.answers, &mut message.authorities] {
        records.retain(|record| covered(record).is_none_or(|of| !altered.contains(&(record.name.clone(), of))));
    }
    message.metadata.authentic_data = false;
    message.additionals.clear();
    message.edns = None;
    message.signature = None;
    message.to_vec().map(Some).map_err(|_| Broken)
}

/// The type that a signature is over (RFC 4034 §3.1.1: its first two octets).
fn covered(record: &Record) -> Option<RecordType> {
    match &record.data {
        RData::Unknown { code: RecordType::RRSIG, rdata } => match rdata.anything.as_slice() {
            [a, b, ..] => Some(RecordType::from(u16::from_be_bytes([*a, *b]))),
            _ => None,
        },
        _ => None,
    }
}

#[derive(PartialEq, Eq)]
enum Freed {
    /// There was nothing to take out.
    Whole,
    Altered,
    /// What is left offers nothing.
    Useless,
}

fn free(
    service: &mut SVCB,
    rewriting: Rewriting,
    is_public: &impl Fn(IpAddr) -> bool,
    ech: &mut Vec<EchConfig>,
) -> Freed {
    let before = service.svc_params.len();
    let mut removed = Vec::new();
    let mut changed = false;
    service.svc_params.retain_mut(|(key, value)| {
        let keep = match value {
            SvcParamValue::EchConfigList(EchConfigList(list)) => {
                let room = ECH_MAX.saturating_sub(ech.len());
                ech.extend(ech_configs(list).into_iter().take(room));
                false
            }
            _ if *key == SvcParamKey::EchConfigList => false,
            SvcParamValue::Alpn(Alpn(protocols)) if rewriting.without_h3 => {
                let offered = protocols.len();
                protocols.retain(|protocol| !is_h3(protocol));
                changed |= protocols.len() != offered;
                !protocols.is_empty()
            }
            SvcParamValue::Ipv4Hint(IpHint(hints)) if !rewriting.private => {
                let offered = hints.len();
                hints.retain(|hint| is_public(IpAddr::V4(hint.0)));
                changed |= hints.len() != offered;
                !hints.is_empty()
            }
            SvcParamValue::Ipv6Hint(IpHint(hints)) if !rewriting.private => {
                let offered = hints.len();
                hints.retain(|hint| is_public(IpAddr::V6(hint.0).to_canonical()));
                changed |= hints.len() != offered;
                !hints.is_empty()
            }
            _ => true,
        };
        if !keep {
            removed.push(*key);
        }
        keep
    });
    if service.svc_params.len() == before && !changed {
        return Freed::Whole;
    }
    // RFC 9460 §8: what is mandatory must be there.
    service.svc_params.retain_mut(|(_, value)| match value {
        SvcParamValue::Mandatory(Mandatory(keys)) => {
            keys.retain(|key| !removed.contains(key));
            !keys.is_empty()
        }
        _ => true,
    });
    // No protocol of the list is left, and the one that goes without saying is excluded (RFC 9460 §7.1.1).
    let no_default = service.svc_params.iter().any(|(key, _)| *key == SvcParamKey::NoDefaultAlpn);
    match no_default && removed.contains(&SvcParamKey::Alpn) {
        true => Freed::Useless,
        false => Freed::Altered,
    }
}

/// HTTP/3, its drafts, and Google's QUIC before them.
fn is_h3(protocol: &str) -> bool {
    protocol == "h3" || protocol.starts_with("h3-") || protocol == "quic" || protocol.starts_with("hq")
}

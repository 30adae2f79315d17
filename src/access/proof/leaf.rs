//! The leaf of a row: two halves, each salted, each to be opened without the other.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

use super::hash::{Hash, Secret, hex_text};
use crate::access::encoding::Canonical;
use crate::access::{
    AccessRow, ActionTaken, CollegeCode, ConnectionRow, Ending, Flags, Gap, GatewayName, HostSource, IdentitySource,
    IdentityStrength, Protocol, Pseudonym, Reference, Row, RowKey, Stream, Timestamp, Visit,
};

/// 128 bits that nobody can guess: without the salt, a half's hash says nothing about what it hides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Salt(pub [u8; 16]);

hex_text!(Salt, 16);

/// The salts of one row's halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salts {
    pub who: Salt,
    pub what: Salt,
}

/// Which half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HalfName {
    /// When + who.
    Who,
    What,
}

/// Declares a half: its fields stand in the canonical encoding in this order.
macro_rules! half {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $kind:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $(pub $field: $kind),+ }
    };
}

half! {
    /// When somebody went somewhere, and who it was as far as is known.
    AccessWho {
        college: CollegeCode, gateway: GatewayName, lane: u64, sequence: u64, slice: u32,
        start: Timestamp, end: Timestamp, connection: u64, person: Option<Pseudonym>,
        identity_source: IdentitySource, identity_strength: IdentityStrength, client_address: Option<IpAddr>,
    }
}

half! {
    /// Where somebody went, and what became of it.
    AccessWhat {
        start: Timestamp, method: Arc<str>, host: Arc<str>, host_source: HostSource, port: u16, protocol: Protocol,
        path: Arc<str>, category: Arc<str>, action: ActionTaken, rule: Arc<str>, list: Arc<str>, entry: Arc<str>,
        rules_version: Arc<str>, status: Option<u16>, bytes_up: u64, bytes_down: u64, finding: Arc<str>, visit: Visit,
        ending: Ending, asked: Arc<str>, earlier_rule: Arc<str>, reference: Option<Reference>, count: u32, flags: Flags,
    }
}

half! {
    /// When a connection was, and whose; our own side of it belongs to the client, who is found by it (CPCE R. 10-13).
    ConnectionWho {
        college: CollegeCode, gateway: GatewayName, lane: u64, sequence: u64, slice: u32,
        start: Timestamp, end: Timestamp, person: Option<Pseudonym>,
        identity_source: IdentitySource, identity_strength: IdentityStrength, device: Arc<str>,
        client_address: Option<IpAddr>, client_port: Option<u16>,
        outward_address: Option<IpAddr>, outward_port: Option<u16>,
    }
}

half! {
    /// Where a connection went.
    ConnectionWhat {
        start: Timestamp, origin_address: Option<IpAddr>, origin_port: Option<u16>, protocol: Protocol,
        bytes_up: u64, bytes_down: u64, action: ActionTaken, ending: Ending, count: u32, flags: Flags,
    }
}

half! {
    /// When something is missing.
    GapWhen {
        college: CollegeCode, gateway: GatewayName, lane: u64, stream: Stream, since: Timestamp, until: Timestamp,
    }
}

half! {
    /// What is missing, and why.
    GapWhat { count: u64, segment: u32, cause: Arc<str> }
}

/// One half with its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Half {
    AccessWho(AccessWho),
    AccessWhat(AccessWhat),
    ConnectionWho(ConnectionWho),
    ConnectionWhat(ConnectionWhat),
    GapWhen(GapWhen),
    GapWhat(GapWhat),
}

/// Both halves of a row or a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halves {
    pub who: Half,
    pub what: Half,
}

impl Half {
    /// Of its kind of half, for ever: a half is never taken for one of another kind.
    fn tag(&self) -> u8 {
        match self {
            Half::AccessWho(_) => 0x10,
            Half::AccessWhat(_) => 0x11,
            Half::ConnectionWho(_) => 0x20,
            Half::ConnectionWhat(_) => 0x21,
            Half::GapWhen(_) => 0x30,
            Half::GapWhat(_) => 0x31,
        }
    }

    /// Reads a half of a row of `stream` from its fields.
    pub fn from_fields(stream: Stream, name: HalfName, fields: serde_json::Value) -> Result<Half, serde_json::Error> {
        use serde_json::from_value;
        Ok(match (stream, name) {
            (Stream::Accesses, HalfName::Who) => Half::AccessWho(from_value(fields)?),
            (Stream::Accesses, HalfName::What) => Half::AccessWhat(from_value(fields)?),
            (Stream::Connections, HalfName::Who) => Half::ConnectionWho(from_value(fields)?),
            (Stream::Connections, HalfName::What) => Half::ConnectionWhat(from_value(fields)?),
        })
    }

    /// The half's hash under its salt.
    pub fn hash(&self, salt: Salt) -> Hash {
        thread_local! {
            static BYTES: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
        }
        BYTES.with_borrow_mut(|bytes| {
            bytes.clear();
            match self {
                Half::AccessWho(half) => half.encode(bytes),
                Half::AccessWhat(half) => half.encode(bytes),
                Half::ConnectionWho(half) => half.encode(bytes),
                Half::ConnectionWhat(half) => half.encode(bytes),
                Half::GapWhen(half) => half.encode(bytes),
                Half::GapWhat(half) => half.encode(bytes),
            }
            Hash::of(&[&[self.tag()], &salt.0, bytes])
        })
    }
}

/// The leaf over two halves' hashes.
pub fn leaf(who: Hash, what: Hash) -> Hash {
    Hash::of(&[&[0], &who.0, &what.0])
}

impl Halves {
    pub fn of_row(row: &Row) -> Halves {
        match row {
            Row::Access(row) => Halves::of_access(row),
            Row::Connection(row) => Halves::of_connection(row),
        }
    }

    fn of_access(row: &AccessRow) -> Halves {
        let (RowKey { college, gateway, lane, sequence, slice }, r) = (row.key.clone(), row.record.clone());
        let who = AccessWho {
            college,
            gateway,
            lane,
            sequence,
            slice,
            start: r.start,
            end: r.end,
            connection: r.connection,
            person: r.person,
            identity_source: r.identity_source,
            identity_strength: r.identity_strength,
            client_address: r.client_address,
        };
        let what = AccessWhat {
            start: r.start,
            method: r.method,
            host: r.host,
            host_source: r.host_source,
            port: r.port,
            protocol: r.protocol,
            path: r.path,
            category: r.category,
            action: r.action,
            rule: r.rule,
            list: r.list,
            entry: r.entry,
            rules_version: r.rules_version,
            status: r.status,
            bytes_up: r.bytes_up,
            bytes_down: r.bytes_down,
            finding: r.finding,
            visit: r.visit,
            ending: r.ending,
            asked: r.asked,
            earlier_rule: r.earlier_rule,
            reference: r.reference,
            count: r.count,
            flags: r.flags,
        };
        Halves { who: Half::AccessWho(who), what: Half::AccessWhat(what) }
    }

    fn of_connection(row: &ConnectionRow) -> Halves {
        let (RowKey { college, gateway, lane, sequence, slice }, r) = (row.key.clone(), row.record.clone());
        let who = ConnectionWho {
            college,
            gateway,
            lane,
            sequence,
            slice,
            start: r.start,
            end: r.end,
            person: r.person,
            identity_source: r.identity_source,
            identity_strength: r.identity_strength,
            device: r.device,
            client_address: r.client_address,
            client_port: r.client_port,
            outward_address: r.outward_address,
            outward_port: r.outward_port,
        };
        let what = ConnectionWhat {
            start: r.start,
            origin_address: r.origin_address,
            origin_port: r.origin_port,
            protocol: r.protocol,
            bytes_up: r.bytes_up,
            bytes_down: r.bytes_down,
            action: r.action,
            ending: r.ending,
            count: r.count,
            flags: r.flags,
        };
        Halves { who: Half::ConnectionWho(who), what: Half::ConnectionWhat(what) }
    }

    pub fn of_gap(college: &CollegeCode, gateway: &GatewayName, lane: u64, stream: Stream, gap: &Gap) -> Halves {
        let (college, gateway) = (college.clone(), gateway.clone());
        let when = GapWhen { college, gateway, lane, stream, since: gap.since, until: gap.until };
        let what = GapWhat { count: gap.count, segment: gap.segment, cause: gap.cause.as_str().into() };
        Halves { who: Half::GapWhen(when), what: Half::GapWhat(what) }
    }

    pub fn leaf(&self, salts: Salts) -> Hash {
        leaf(self.who.hash(salts.who), self.what.hash(salts.what))
    }
}

/// Derives the salts of a tree.
pub(super) struct Salter(hmac::Key);

impl Salter {
    pub(super) fn new(secret: &Secret) -> Self {
        Salter(secret.key())
    }

    /// The first half of HMAC-SHA-256 over kind (1), number (8) and slice (4), big-endian. A row's number is its sequence, a
    /// gap's its place among the gaps of its tree.
    fn salt(&self, kind: u8, number: u64, slice: u32) -> Salt {
        let mut message = [kind; 13];
        message[1..9].copy_from_slice(&number.to_be_bytes());
        message[9..].copy_from_slice(&slice.to_be_bytes());
        let mut salt = [0; 16];
        salt.copy_from_slice(&hmac::sign(&self.0, &message).as_ref()[..16]);
        Salt(salt)
    }

    pub(super) fn of_row(&self, sequence: u64, slice: u32) -> Salts {
        Salts { who: self.salt(0, sequence, slice), what: self.salt(1, sequence, slice) }
    }

    pub(super) fn of_gap(&self, place: u64) -> Salts {
        Salts { who: self.salt(2, place, 0), what: self.salt(3, place, 0) }
    }
}

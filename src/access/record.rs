//! What is kept: the two streams of ARCHITECTURE "Data that is kept", one type each.
//!
//! The fields are the columns, in every store and export, under the same names. A record is everything but its key;
//! a row is key and record. These types are final: a later version adds fields at the end and raises
//! [`super::encoding::VERSION`].

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::client::{IdentitySource, IdentityStrength, Pseudonym};
use super::ids::{Reference, RowKey};
use super::outcome::Ending;
use super::reason::ActionTaken;
use super::target::{Ech, HostSource, Protocol, Visit};
use super::text_enum::text_enum;
use super::time::Timestamp;

text_enum! {
    /// The two legal things that are kept, with separate tables, readers and durations (CPCE R. 10-13; circulaire 2004-035).
    pub enum Stream {
        Connections = "connections",
        Accesses = "accesses",
    }
}

/// Circumstances that change what a row is worth. Stored as a number, shown as words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flags(pub u32);

impl Flags {
    /// A help-line: no person, address, port nor device is kept and the time is the hour.
    pub const HELP_LINE: Flags = Flags(1);
    /// A person had set a bypass.
    pub const BYPASS: Flags = Flags(1 << 1);
    /// A dependency was down and policy let it pass.
    pub const FAILED_OPEN: Flags = Flags(1 << 2);
    /// A dependency was down and policy refused.
    pub const FAILED_CLOSED: Flags = Flags(1 << 3);
    /// The clock was doubtful when the row was made.
    pub const CLOCK_DOUBTFUL: Flags = Flags(1 << 4);
    /// A rule would have refused it and only logs.
    pub const LOG_ONLY: Flags = Flags(1 << 5);
    /// The ClientHello carries an encrypted one.
    pub const ECH: Flags = Flags(1 << 6);
    /// The client dialled another address than its name has; `asked` holds it.
    pub const ORIGIN_MISMATCH: Flags = Flags(1 << 7);
    /// A rule wanted it opened, and it could not be.
    pub const NOT_INSPECTED: Flags = Flags(1 << 8);
    /// Beside [`Flags::ECH`]: the keys of the encrypted ClientHello are known, so that the name that was seen hides another one.
    pub const ECH_REAL: Flags = Flags(1 << 9);
    /// A rule wanted it scanned, and it passed without a verdict; `finding` says why.
    pub const NOT_SCANNED: Flags = Flags(1 << 10);
    /// The client dialled an address that our DNS did not give it.
    pub const NO_DNS: Flags = Flags(1 << 11);

    const WORDS: [(Flags, &str); 12] = [
        (Flags::HELP_LINE, "help-line"),
        (Flags::BYPASS, "bypass"),
        (Flags::FAILED_OPEN, "failed-open"),
        (Flags::FAILED_CLOSED, "failed-closed"),
        (Flags::CLOCK_DOUBTFUL, "clock-doubtful"),
        (Flags::LOG_ONLY, "log-only"),
        (Flags::ECH, "ech"),
        (Flags::ORIGIN_MISMATCH, "origin-mismatch"),
        (Flags::NOT_INSPECTED, "not-inspected"),
        (Flags::ECH_REAL, "ech-real"),
        (Flags::NOT_SCANNED, "not-scanned"),
        (Flags::NO_DNS, "no-dns"),
    ];

    pub fn contains(self, flag: Flags) -> bool {
        self.0 & flag.0 == flag.0
    }

    pub fn insert(&mut self, flag: Flags) {
        self.0 |= flag.0;
    }

    /// What a row says of an encrypted ClientHello.
    pub fn of_ech(ech: Option<Ech>) -> Flags {
        match ech {
            None => Flags::default(),
            Some(Ech::Unknown) => Flags::ECH,
            Some(Ech::Real) => Flags(Flags::ECH.0 | Flags::ECH_REAL.0),
        }
    }

    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Flags::WORDS.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, word)| word)
    }
}

impl Serialize for Flags {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.words())
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut flags = Flags::default();
        for word in Vec::<String>::deserialize(d)? {
            let known = Flags::WORDS.iter().find(|(_, w)| *w == word);
            let (flag, _) = known.ok_or_else(|| serde::de::Error::custom(format!("unknown flag `{word}`")))?;
            flags.insert(*flag);
        }
        Ok(flags)
    }
}

/// One access. Text fields are empty where there is nothing to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRecord {
    /// Sequence, in the same lane, of the connection row it went through; 0 = none (sequences start at 1).
    pub connection: u64,
    pub person: Option<Pseudonym>,
    pub identity_source: IdentitySource,
    pub identity_strength: IdentityStrength,
    /// `None` only for a help-line.
    pub client_address: Option<IpAddr>,
    pub start: Timestamp,
    pub end: Timestamp,
    pub method: Arc<str>,
    /// Canonical name, or address without brackets; empty when the client named none.
    pub host: Arc<str>,
    pub host_source: HostSource,
    pub port: u16,
    pub protocol: Protocol,
    /// Only where policy says so; never the query.
    pub path: Arc<str>,
    pub category: Arc<str>,
    pub action: ActionTaken,
    pub rule: Arc<str>,
    pub list: Arc<str>,
    /// The entry's text and place: `example.net (adult/domains:1234)`.
    pub entry: Arc<str>,
    pub rules_version: Arc<str>,
    pub status: Option<u16>,
    pub bytes_up: u64,
    pub bytes_down: u64,
    pub finding: Arc<str>,
    pub visit: Visit,
    pub ending: Ending,
    /// The name asked (CONNECT) where `host` is another (SNI); the address dialled where the host was found at another.
    pub asked: Arc<str>,
    /// The rule of a first decision that differed from the last.
    pub earlier_rule: Arc<str>,
    pub reference: Option<Reference>,
    /// How many like it this row stands for; 1 but under flood.
    pub count: u32,
    pub flags: Flags,
}

impl AccessRecord {
    /// Takes out of a help-line's access what could lead to a person, and flags it.
    pub fn strip_help_line(&mut self) {
        self.flags.insert(Flags::HELP_LINE);
        // No join with a connection, and none by a unique code or path.
        self.connection = 0;
        self.reference = None;
        self.path = "".into();
        self.person = None;
        self.identity_source = IdentitySource::Nothing;
        self.identity_strength = IdentityStrength::Nobody;
        self.client_address = None;
        (self.start, self.end) = (self.start.hour(), self.start.hour());
    }

    /// Strips it where it is flagged as a help-line's: to be called whenever such a record has changed.
    pub fn strip_if_help_line(&mut self) {
        if self.flags.contains(Flags::HELP_LINE) {
            self.strip_help_line();
        }
    }

    /// Whether there is nothing left to strip, if it is a help-line's.
    pub fn is_stripped(&self) -> bool {
        let mut stripped = self.clone();
        stripped.strip_help_line();
        stripped == *self
    }
}

/// One client connection together with one origin connection, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    pub start: Timestamp,
    pub end: Timestamp,
    pub person: Option<Pseudonym>,
    pub identity_source: IdentitySource,
    pub identity_strength: IdentityStrength,
    pub device: Arc<str>,
    /// `None` only for a help-line.
    pub client_address: Option<IpAddr>,
    pub client_port: Option<u16>,
    pub outward_address: Option<IpAddr>,
    pub outward_port: Option<u16>,
    /// `None` where no origin was dialled, and for a help-line.
    pub origin_address: Option<IpAddr>,
    pub origin_port: Option<u16>,
    pub protocol: Protocol,
    /// Bytes that we sent to the origin and received from it, all included.
    pub bytes_up: u64,
    pub bytes_down: u64,
    pub action: ActionTaken,
    pub ending: Ending,
    pub count: u32,
    pub flags: Flags,
}

impl ConnectionRecord {
    /// Takes out of a help-line's connection what could lead to a person or to the help-line, and flags it.
    pub fn strip_help_line(&mut self) {
        self.flags.insert(Flags::HELP_LINE);
        self.person = None;
        self.identity_source = IdentitySource::Nothing;
        self.identity_strength = IdentityStrength::Nobody;
        self.device = "".into();
        (self.client_address, self.client_port) = (None, None);
        // Our own port together with the school's address and the operator's log would name the client too.
        (self.outward_address, self.outward_port) = (None, None);
        (self.origin_address, self.origin_port) = (None, None);
        (self.start, self.end) = (self.start.hour(), self.start.hour());
    }

    /// Strips it where it is flagged as a help-line's: to be called whenever such a record has changed.
    pub fn strip_if_help_line(&mut self) {
        if self.flags.contains(Flags::HELP_LINE) {
            self.strip_help_line();
        }
    }

    /// Whether there is nothing left to strip, if it is a help-line's.
    pub fn is_stripped(&self) -> bool {
        let mut stripped = self.clone();
        stripped.strip_help_line();
        stripped == *self
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRow {
    #[serde(flatten)]
    pub key: RowKey,
    #[serde(flatten)]
    pub record: AccessRecord,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRow {
    #[serde(flatten)]
    pub key: RowKey,
    #[serde(flatten)]
    pub record: ConnectionRecord,
}

/// A row of either stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Access(Box<AccessRow>),
    Connection(Box<ConnectionRow>),
}

impl Row {
    pub fn stream(&self) -> Stream {
        match self {
            Row::Access(_) => Stream::Accesses,
            Row::Connection(_) => Stream::Connections,
        }
    }

    pub fn key(&self) -> &RowKey {
        match self {
            Row::Access(row) => &row.key,
            Row::Connection(row) => &row.key,
        }
    }

    /// The instant that decides its day: the start.
    pub fn start(&self) -> Timestamp {
        match self {
            Row::Access(row) => row.record.start,
            Row::Connection(row) => row.record.start,
        }
    }
}

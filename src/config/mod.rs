//! TOML as written, checked whole, handed on as known good.
//!
//! Three steps, each in its file: [`written`] reads the text and keeps where everything stands; [`check`] turns what is
//! written into a [`Config`] and collects *every* problem with file, line, column and cure; [`default`] holds each
//! default once, with its reason. A configuration with any problem is none: [`Config::load`] gives all or nothing.
//!
//! This module reads files and the environment, synchronously. It opens no socket and knows nothing of what its
//! values are used for. Type to read first: [`Config`].

mod check;
pub mod default;
mod paths;
mod problem;
pub mod starter;
pub(crate) mod suggest;
pub(crate) mod written;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::access::{CollegeCode, GatewayName, Host, HostName};

pub(crate) use check::network;
pub use paths::Paths;
pub(crate) use problem::read_text;
pub use problem::{Problem, Problems};

/// The whole configuration, known good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from; `None`: embedded defaults.
    pub file: Option<PathBuf>,
    pub role: Role,
    pub college: College,
    pub gateway: GatewayName,
    pub listen: Listen,
    pub transparent: Transparent,
    pub resolver: Resolver,
    pub dns: Dns,
    pub rules: Rules,
    pub journal: Journal,
    pub store: Store,
    pub retention: Retention,
    pub proof: Proof,
    pub persons: Persons,
    pub limits: Limits,
    pub guard: Guard,
    /// The proxy that this gateway goes through; `None`: it reaches origins itself.
    pub parent: Option<Parent>,
    pub inspection: Inspection,
    pub antivirus: Antivirus,
    pub log: Log,
    pub paths: Paths,
    /// What works and deserves a word all the same.
    pub notes: Vec<Problem>,
}

/// Which halves of the product this machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    pub gateway: bool,
    pub central: bool,
}

/// The school, as its pages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct College {
    pub code: CollegeCode,
    pub name: String,
    /// Mail address for corrections and questions; empty: the pages say "the school's office".
    pub contact: String,
    /// How to reach the data-protection officer.
    pub data_protection_officer: String,
    /// Who answers for the school.
    pub head: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Where browsers set to use a proxy come in.
    pub explicit: Vec<SocketAddr>,
    /// Where the network brings connections to port 80. Empty: nowhere.
    pub transparent_http: Vec<SocketAddr>,
    /// Where it brings all others. Empty: nowhere.
    pub transparent_tls: Vec<SocketAddr>,
    /// Where it brings datagrams to the very same ports. Empty: nowhere.
    pub transparent_udp: Vec<SocketAddr>,
    /// Where our DNS answers, by datagrams and streams. Empty: nowhere.
    pub dns: Vec<SocketAddr>,
}

/// Connections that clients meant for somebody else, and the network brought here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transparent {
    pub mode: Divert,
    /// Where the network brings them from: names of interfaces, for `ecluse nftables`.
    pub interfaces: Vec<String>,
    /// Destinations that it does not bring here, for `ecluse nftables`.
    pub except: Vec<IpNet>,
    pub origin_mismatch: OriginMismatch,
    /// Origins see the client's own address.
    pub keep_client_address: bool,
    /// A client silent for so long waits for the other side to speak.
    pub silence: Duration,
}

/// How the network brings connections here, which says where the address stands that the client dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Divert {
    /// The destination is rewritten (REDIRECT); connection tracking knows what it was.
    Redirect,
    /// It stays, and our socket bears it (TPROXY).
    Tproxy,
}

/// What happens where the name that a client says does not have the address that it dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OriginMismatch {
    /// An address that our own resolver gives for the name is dialled.
    DialResolved,
    Refuse,
    /// The address that the client dialled is.
    Allow,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// Empty: those of the system.
    pub servers: Vec<SocketAddr>,
    pub timeout: Duration,
    pub cache_entries: usize,
}

/// The DNS that the gateway answers itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Who may ask.
    pub clients: Vec<IpNet>,
    /// The school's own names, and who knows them.
    pub zones: Vec<Zone>,
    /// Names whose answers may lead into private networks, with their subdomains.
    pub private_names: Vec<HostName>,
    pub refused: RefusedName,
    /// The gateway as its clients reach it. Empty: the address that was asked.
    pub own_addresses: Vec<IpAddr>,
    pub cache_entries: usize,
    pub questions_per_second: NonZeroU32,
    pub question_burst: NonZeroU32,
    /// How long the gateway must be up before it says of a flow that our DNS never gave its address.
    pub no_dns_after: Duration,
}

/// A name with all below it, and the servers that are asked for it instead of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    pub name: HostName,
    pub servers: Vec<SocketAddr>,
}

/// What is answered to a question for a name that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedName {
    /// That it does not exist.
    NxDomain,
    /// The gateway's own address, where a browser in clear finds the page that says why.
    BlockPage,
}

impl Dns {
    /// The zone that a name is in; the narrowest of several.
    pub fn zone(&self, name: &HostName) -> Option<&Zone> {
        let within = self.zones.iter().filter(|zone| name.is_within(&zone.name));
        within.max_by_key(|zone| zone.name.as_str().len())
    }

    /// Whether somebody at this (canonical) address may ask.
    pub fn may_ask(&self, client: IpAddr) -> bool {
        self.clients.iter().any(|network| network.contains(&client))
    }

    pub fn may_be_private(&self, name: &HostName) -> bool {
        self.private_names.iter().any(|parent| name.is_within(parent))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Holds `policy.toml`, `people.csv` and `lists/*.toml`.
    pub directory: PathBuf,
    /// The directory is ours: the starter set is written there by [`starter::write_to`] before it is read.
    pub starter: bool,
}

/// What happens to traffic that cannot be written down because the disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFull {
    /// Nothing that cannot be traced passes.
    Refuse,
    /// It passes, and a gap record says since when, until when and how many.
    Allow,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    pub directory: PathBuf,
    pub segment_bytes: u64,
    pub segment_age: Duration,
    /// Appends within this window share one fsync.
    pub sync: Duration,
    pub max_bytes: u64,
    /// A flow still open after this time gets a row for the slice.
    pub slice: Duration,
    pub on_full: OnFull,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// SQLite, one file a UTC day.
    Embedded,
    /// A server, or the nodes of a cluster: see [`Server`].
    ClickHouse,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub kind: StoreKind,
    /// Of the embedded store; and where this machine notes when its clock was last believed.
    pub directory: PathBuf,
    /// Says nothing where the kind is another.
    pub server: Server,
}

/// How ClickHouse is reached, and how much is sent to it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `https://host:port`, nodes of one cluster, tried in turn.
    pub endpoints: Vec<String>,
    pub database: String,
    /// Empty: `gw_` and the gateway's name.
    pub user: String,
    /// Holds the password in one line; read when the store is opened, never shown.
    pub password_file: Option<PathBuf>,
    /// The authorities that sign the endpoints' certificates; `None`: those of the machine.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate chain and its key (PEM).
    pub identity: Option<(PathBuf, PathBuf)>,
    /// A connection stands within this time, TLS included.
    pub connect: Duration,
    /// A piece of a batch goes out within this time.
    pub send: Duration,
    /// The server answers within this time.
    pub answer: Duration,
    /// A batch leaves when it has so many rows…
    pub batch_rows: usize,
    /// …or after this time.
    pub batch: Duration,
    /// What the server acknowledged stays in the journal for this time, while there is room.
    pub keep: Duration,
}

/// How long rows are kept, in days: signed policy of the school, not a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub accesses_days: u32,
    pub connections_days: u32,
}

/// What makes the log provable, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The gateway's key; `None`: one is made in the state directory.
    pub key_file: Option<PathBuf>,
    /// Signed roots are appended to this file too.
    pub witness: Option<PathBuf>,
    /// A time-stamping authority (RFC 3161) that stamps exports.
    pub tsa: Option<url::Url>,
}

/// Who can turn a pseudonym back into a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipients {
    /// Nobody: no person is recorded.
    Nobody,
    /// A trial: the process makes a key of its own in this file at its start, and says so.
    Trial { key_file: PathBuf },
    /// `age1…` recipients, checked.
    Given(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persons {
    pub recipients: Recipients,
}

/// Bounds and deadlines of every wait and every buffer on the path of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A request's head must be complete within this time.
    pub header: Duration,
    pub header_bytes: usize,
    pub header_fields: usize,
    /// A client connection may wait this long for its next request.
    pub keep_alive: Duration,
    /// A body or a response may stand still this long.
    pub body_idle: Duration,
    /// While we wait for a client to send a body or to take an answer, 1 KiB must move in this time.
    pub pace: Duration,
    pub tunnel_idle: Duration,
    /// A flow of datagrams has no end: without any for so long it is over.
    pub datagram_idle: Duration,
    pub dial: Duration,
    /// The first bytes of a tunnel: after this time the client counts as silent.
    pub detect: Duration,
    /// Client connections, tunnels included, and accesses: at once, of all clients together.
    pub flows: usize,
    pub connections_per_client: usize,
    pub requests_per_second: NonZeroU32,
    /// So many requests of one client may come at once before the rate counts.
    pub request_burst: NonZeroU32,
    /// At the end, open flows have this long to finish.
    pub drain: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Networks that are refused as origins unless they stand here: loopback, private, link-local…
    pub allow: Vec<IpNet>,
    /// The operator's own networks on the public Internet: refused as origins.
    pub refuse: Vec<IpNet>,
}

/// A proxy between this gateway and the Internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    pub host: Host,
    pub port: u16,
    /// Holds `user:password`; read when the rules are loaded, never shown.
    pub credentials_file: Option<PathBuf>,
    pub fallback: Fallback,
    pub no_proxy: NoProxy,
}

/// What happens to traffic whose parent proxy cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// It fails, and its row is flagged `failed-closed`.
    Refuse,
    /// It goes to the origin without the parent, and its row is flagged `failed-open`.
    Direct,
}

/// What is reached without the parent proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoProxy {
    /// With all their subdomains.
    pub names: Vec<HostName>,
    pub networks: Vec<IpNet>,
}

/// With what TLS is opened, where policy says so; and how refused names are told over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// `None`: nothing is opened.
    pub authority: Option<AuthorityFiles>,
    pub block_page_https: BlockPageHttps,
    /// Authorities that origins are believed by, beside those of the machine (PEM).
    pub origin_ca_file: Option<PathBuf>,
}

/// The authority whose certificates clients are shown (PEM, both).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What a client is told over TLS of a name that it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockPageHttps {
    /// The page that HTTP gets, under a certificate of ours for that name.
    Page,
    /// An alert of TLS; a proxy's client gets 403.
    Alert,
}

/// What looks into the bodies that policy wants scanned, and what becomes of those that it cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Antivirus {
    /// `None`: nothing is scanned.
    pub scanner: Option<ScannerPlace>,
    /// clamd's own configuration, where it is on this machine: compared with what we send.
    pub clamd_conf: Option<PathBuf>,
    /// The scanner is away, or has no verdict.
    pub on_failure: Unscanned,
    /// A body is larger than policy's `max_bytes`, or than the scanner's own limits.
    pub over_limit: Unscanned,
    /// An archive or a document that takes a password.
    pub encrypted: Unscanned,
    /// A content coding that we cannot take off.
    pub unknown_coding: Unscanned,
    pub connect: Duration,
    /// For each of: a piece to be taken, the answer after the last.
    pub verdict: Duration,
    /// Bodies scanned at once, of all clients together.
    pub at_once: usize,
    /// Bytes out for each byte in, beyond the first MiB.
    pub max_ratio: u64,
    /// Codings around each other.
    pub max_codings: usize,
    /// Time of the processor to take the codings off one body.
    pub decode: Duration,
}

/// Where a scanner is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScannerPlace {
    ClamdUnix(PathBuf),
    ClamdTcp(String, u16),
    /// The service with its first slash.
    Icap {
        host: String,
        port: u16,
        service: String,
    },
}

/// What becomes of a body that was to be scanned and could not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unscanned {
    Block,
    /// It passes, and its row says so.
    Allow,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

impl Config {
    /// Reads and checks `file`, or takes the embedded defaults for a trial: loopback only, loopback origins allowed,
    /// the starter rules. `state` overrides the state directory.
    ///
    /// # Errors
    /// Every problem of the file at once.
    pub fn load(file: Option<&Path>, state: Option<&Path>) -> Result<Config, Problems> {
        match Config::read(file, state)? {
            (config, problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(Problems(problems)),
        }
    }

    /// The same for who wants to find more problems elsewhere: what is wrong in the file, and a configuration in which
    /// the default stands in for it. Never to be run.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(file: Option<&Path>, state: Option<&Path>) -> Result<(Config, Vec<Problem>), Problems> {
        let state = paths::state_directory(state, |name| std::env::var_os(name));
        match file {
            None => Ok((check::embedded(&state), Vec::new())),
            Some(file) => Ok(check::check(file, &read_text(file, "the configuration")?, &state)),
        }
    }
}

#[cfg(test)]
mod tests;

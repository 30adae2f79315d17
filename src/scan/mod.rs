//! What looks into bodies: clamd, or a service that speaks ICAP; and the codings taken off before.
//!
//! An [`Examination`] is given a body's bytes as they come and answers with one [`Verdict`]: before the end where it is sure
//! already, else at the end. What becomes of the body is not decided here, nor is what is to be scanned: this module knows
//! neither policy nor any client. Nothing of a body is written anywhere but into the scanner's connection.
//!
//! Types to read first: [`Scanner`], [`Examination`].

pub mod clamd;
pub mod coding;
mod examination;
pub mod icap;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use clamd::ClamdAddress;
use clamd::Instream;
use clamd::reply::Reply;
use coding::CodingLimits;
pub use examination::Examination;
use icap::Transaction;
pub use icap::{Icap, IcapAddress};

/// The name of what was found, in the scanner's words: printable, 200 bytes at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Arc<str>);

impl Signature {
    pub fn new(text: &str) -> Self {
        const LONGEST: usize = 200;
        let shown = text.trim().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
        let mut name = String::new();
        for c in shown {
            if name.len() + c.len_utf8() > LONGEST {
                break;
            }
            name.push(c);
        }
        Signature(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an examination came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Clean,
    Found(Signature),
    /// It, or what is inside of it, is larger than what is scanned.
    OverLimit,
    /// An archive or a document that takes a password.
    Encrypted,
    /// A coding that nobody here knows, or bytes that are not in it.
    Undecodable,
    /// It unpacks to far more than it is, or takes too long to.
    Bomb,
}

/// Why there is no verdict. Side: the scanner, a dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("it did not answer in time")]
    TimedOut,
    #[error("it hung up without an answer")]
    HungUp,
    #[error("it answered what makes no sense: {0}")]
    Invalid(String),
    #[error("it could not scan: {0}")]
    Failed(String),
    #[error("as many bodies as may be are being scanned")]
    Busy,
}

/// How long a scanner is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    pub connect: Duration,
    /// For each of: a piece to be taken, the answer after the last.
    pub verdict: Duration,
}

/// Where bodies are sent to.
#[derive(Debug)]
pub enum Service {
    Clamd(ClamdAddress),
    Icap(Icap),
}

/// What a scanner is told of a body; clamd is told nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub method: String,
    /// Without its query.
    pub url: String,
    pub content_type: Option<String>,
    /// Of the answer whose body it is; `None`: it is a request's.
    pub status: Option<u16>,
}

/// Bounds of one examination, and of all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    pub waits: Waits,
    /// Examinations at once.
    pub at_once: usize,
    pub coding: CodingLimits,
}

/// A scanner that is configured.
#[derive(Debug)]
pub struct Scanner {
    service: Service,
    limits: ScanLimits,
    places: Arc<Semaphore>,
}

impl Scanner {
    pub fn new(service: Service, limits: ScanLimits) -> Self {
        Scanner { service, limits, places: Arc::new(Semaphore::new(limits.at_once)) }
    }

    pub fn service(&self) -> &Service {
        &self.service
    }

    pub fn limits(&self) -> &ScanLimits {
        &self.limits
    }

    /// A place among those that may be examined at once, waited for as long as for a connection.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Fault> {
        match tokio::time::timeout(self.limits.waits.connect, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Fault::Busy),
        }
    }

    async fn open(&self, subject: &Subject) -> Result<Session, Fault> {
        let waits = self.limits.waits;
        match &self.service {
            Service::Clamd(address) => Ok(Session::Clamd(Box::new(Instream::open(address, waits).await?))),
            Service::Icap(icap) => Ok(Session::Icap(Box::new(icap.begin(subject, waits).await?))),
        }
    }
}

/// One body on its way to a scanner.
enum Session {
    Clamd(Box<Instream>),
    Icap(Box<Transaction>),
}

impl Session {
    async fn feed(&mut self, bytes: &[u8]) -> Result<Option<Verdict>, Fault> {
        match self {
            Session::Clamd(instream) => instream.feed(bytes).await?.map(of_clamd).transpose(),
            Session::Icap(transaction) => transaction.feed(bytes).await,
        }
    }

    async fn finish(self) -> Result<Verdict, Fault> {
        match self {
            Session::Clamd(instream) => of_clamd(instream.finish().await?),
            Session::Icap(transaction) => transaction.finish().await,
        }
    }
}

fn of_clamd(reply: Reply) -> Result<Verdict, Fault> {
    match reply {
        Reply::Clean => Ok(Verdict::Clean),
        Reply::Found(name) => Ok(of_signature(name)),
        Reply::OverLimit => Ok(Verdict::OverLimit),
        Reply::Error(words) => Err(Fault::Failed(words)),
    }
}

/// clamd tells with names of its own what is no virus: `AlertEncrypted` and `AlertExceedsMax` of clamd.conf(5).
fn of_signature(name: Signature) -> Verdict {
    match name.as_str() {
        text if text.starts_with("Heuristics.Encrypted.") => Verdict::Encrypted,
        text if text.starts_with("Heuristics.Limits.Exceeded") => Verdict::OverLimit,
        _ => Verdict::Found(name),
    }
}

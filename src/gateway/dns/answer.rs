//! From a message to its answer: the steps of a question, in order.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::access::{Access, HostName, Target, Visit};
use crate::config::RefusedName;
use crate::dns::{Asked, Fault, Key, Question, Rcode, Special, Stored, Transport, Variant, kind, say, special};
use crate::identity::identify;
use crate::metrics::METRICS;
use crate::policy::{NameLimits, Youtube};

use super::super::allowances::count_up_to;
use super::super::{Gateway, Snapshot, judge};

/// Answers that may wait for a name server at once, whoever asked.
const WAITING_MAX: usize = 4096;

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    pub client: SocketAddr,
    /// Our address that was asked.
    pub local: IpAddr,
    pub by: Transport,
}

/// What becomes of a message.
pub enum Reply {
    /// Nobody is answered.
    Nothing,
    /// The answer is written.
    Now,
    /// Somebody has to be asked first.
    Later(Box<Pending>),
}

/// A question whose answer is not known yet.
pub struct Pending {
    asker: Asker,
    message: Vec<u8>,
    key: Key,
    host: Option<HostName>,
}

/// What a step found.
enum Step {
    Done(Reply),
    Go(Variant),
}

impl Gateway {
    /// Answers a message into `out`, from what is known.
    pub fn answer_names(&self, message: &[u8], asker: Asker, out: &mut Vec<u8>) -> Reply {
        METRICS.names_asked.add(1);
        let snapshot = self.snapshot();
        let client = asker.client.ip().to_canonical();
        // Who is not of the school hears so, in fewer bytes than a lie would need; nobody is flooded by our answers.
        let is_ours = snapshot.config.dns.may_ask(client);
        let rate_of = if is_ours { client } else { IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED) };
        if !self.names.may_ask(rate_of) {
            METRICS.names_dropped.add(1);
            return Reply::Nothing;
        }
        let question = match Question::parse(message) {
            Ok(question) => question,
            Err(fault) => return refuse_message(message, fault, is_ours, out),
        };
        if !is_ours || question.is_meta() {
            let rcode = if is_ours { Rcode::NotImp } else { Rcode::Refused };
            say(&question, rcode, &[], false, out);
            return Reply::Now;
        }
        let host = match question.asked() {
            Asked::Host(host) => Some(host),
            Asked::Root => None,
            Asked::Nameless => {
                say(&question, Rcode::NxDomain, &[], false, out);
                return Reply::Now;
            }
        };
        let variant = match &host {
            None => Variant::default(),
            Some(host) => match self.judge_name(&snapshot, &question, host, asker, out) {
                Step::Done(reply) => return reply,
                Step::Go(variant) => variant,
            },
        };
        let key = question.key(Variant { dnssec: question.dnssec(), unchecked: question.unchecked, ..variant });
        match self.names.cache.find(&key, Instant::now()) {
            Some((stored, age)) => {
                METRICS.names_from_cache.add(1);
                stored.reply(&question, age, asker.by, out);
                self.remember(&asker, host.as_ref(), &stored, age);
                Reply::Now
            }
            None if count_up_to(&self.names.waiting, WAITING_MAX) => {
                Reply::Later(Box::new(Pending { asker, message: message.to_vec(), key, host }))
            }
            None => {
                say(&question, Rcode::ServFail, &[], false, out);
                Reply::Now
            }
        }
    }

    /// The answer to what [`Gateway::answer_names`] left open.
    pub async fn answer_pending(self: &Arc<Self>, pending: Pending, out: &mut Vec<u8>) {
        let Pending { asker, message, key, host } = pending;
        let client = asker.client.ip().to_canonical();
        let learnt = self.learn(client, key, host.clone()).await;
        self.names.waiting.fetch_sub(1, Ordering::Relaxed);
        let Ok(question) = Question::parse(&message) else { return };
        match learnt {
            Some(stored) => {
                stored.reply(&question, Default::default(), asker.by, out);
                self.remember(&asker, host.as_ref(), &stored, Default::default());
            }
            None => {
                METRICS.names_failed.add(1);
                say(&question, Rcode::ServFail, &[], false, out);
            }
        }
    }

    /// What the name itself says, and what policy says of it.
    fn judge_name(
        &self,
        snapshot: &Snapshot,
        question: &Question<'_>,
        host: &HostName,
        asker: Asker,
        out: &mut Vec<u8>,
    ) -> Step {
        let config = &snapshot.config;
        match special(host).filter(|_| config.dns.zone(host).is_none()) {
            None => {}
            Some(Special::Signal) => return said(question, Rcode::NxDomain, &[], true, out),
            Some(Special::Nowhere) => return said(question, Rcode::NxDomain, &[], false, out),
            Some(Special::Localhost) => {
                let itself = [std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
                return said(question, Rcode::NoError, &itself, false, out);
            }
            Some(Special::OurPages) => {
                return said(question, Rcode::NoError, &own_addresses(snapshot, asker), false, out);
            }
        }
        // Addresses are named there, not hosts.
        if host.as_str().ends_with(".arpa") {
            return Step::Go(Variant::default());
        }
        let client = Arc::new(identify(snapshot.rules.people(), asker.client));
        let access = Access {
            client,
            target: Target::name(host.clone()),
            method: "".into(),
            visit: Visit::Unknown,
            start: self.clock.now(),
        };
        match judge::name(snapshot, &access) {
            Ok(limits) => Step::Go(self.variant(host, question.kind, limits)),
            Err(judgement) => {
                METRICS.names_refused.add(1);
                self.note_refused_name(&access, host, &judgement);
                match config.dns.refused {
                    RefusedName::NxDomain => said(question, Rcode::NxDomain, &[], true, out),
                    RefusedName::BlockPage => {
                        said(question, Rcode::NoError, &own_addresses(snapshot, asker), true, out)
                    }
                }
            }
        }
    }

    /// Only what changes the answer to this very question, so that as many as can share it.
    fn variant(&self, host: &HostName, of: u16, limits: NameLimits) -> Variant {
        let addresses = matches!(of, kind::A | kind::AAAA | kind::HTTPS | kind::SVCB | kind::CNAME);
        let safe = addresses && self.names.safe.of(host, limits).is_some();
        Variant {
            without_h3: limits.without_h3 && matches!(of, kind::HTTPS | kind::SVCB),
            safe,
            moderate: safe && limits.youtube == Youtube::Moderate,
            ..Variant::default()
        }
    }

    fn remember(&self, asker: &Asker, host: Option<&HostName>, stored: &Stored, age: std::time::Duration) {
        let Some(host) = host else { return };
        let client = asker.client.ip().to_canonical();
        self.names.given.remember(client, host, &stored.addresses, stored.ttl.saturating_sub(age), Instant::now());
    }
}

fn said(question: &Question<'_>, rcode: Rcode, addresses: &[IpAddr], blocked: bool, out: &mut Vec<u8>) -> Step {
    say(question, rcode, addresses, blocked, out);
    Step::Done(Reply::Now)
}

/// The gateway as this client reaches it.
fn own_addresses(snapshot: &Snapshot, asker: Asker) -> Vec<IpAddr> {
    match &snapshot.config.dns.own_addresses[..] {
        [] => vec![asker.local.to_canonical()],
        configured => configured.to_vec(),
    }
}

/// A message that is no question of ours: as much of an answer as its header allows.
fn refuse_message(message: &[u8], fault: Fault, is_ours: bool, out: &mut Vec<u8>) -> Reply {
    let (rcode, extended) = match fault {
        Fault::Silence => return Reply::Nothing,
        _ if !is_ours => return Reply::Nothing,
        Fault::Malformed => (Rcode::FormErr as u8, None),
        Fault::NotImplemented => (Rcode::NotImp as u8, None),
        // RFC 6891 §6.1.3: BADVERS is 16, whose upper bits stand in the OPT record.
        Fault::EdnsVersion => (0, Some([0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0])),
    };
    out.clear();
    // `Fault::Silence` was everything shorter than a header.
    out.extend_from_slice(&message[..2]);
    out.extend_from_slice(&[
        0x80 | (message[2] & 0x79),
        0x80 | rcode,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        u8::from(extended.is_some()),
    ]);
    out.extend_from_slice(extended.as_ref().map_or(&[][..], |opt| &opt[..]));
    Reply::Now
}

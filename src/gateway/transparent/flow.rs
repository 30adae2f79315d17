//! One connection that is one access: TLS, or whatever is not HTTP.

use std::sync::Arc;

use ::http::HeaderMap;
use tokio::net::TcpStream;

use crate::access::{Access, Ending, Flags, Host, HostSource, Protocol, Target, Visit};
use crate::detect::{self, Detected, Prefixed, Signature};
use crate::metrics::METRICS;
use crate::policy::RelayPermit;
use crate::relay::{self, RelayLimits};

use super::super::connection::{ClientConnection, Opened};
use super::super::origins::Origins;
use super::super::phase::Phase;
use super::super::reach::{self, Reached};
use super::super::record::{Judgement, access_record, decide_anew};
use super::super::reply::Reply;
use super::super::tunnel::{ALERT_ACCESS_DENIED, Intents, write_intents};
use super::super::way::{self, NoWay, Way};
use super::super::{Snapshot, judge, parting};
use super::{Heard, hang_up, listen};

/// A client, and what it wants as far as that is known.
pub struct Flow {
    connection: ClientConnection,
    snapshot: Arc<Snapshot>,
    access: Access,
    client: TcpStream,
}

/// An origin that has been dialled, and its rows.
struct Dialled {
    origin: Reached,
    judgement: Judgement,
    intents: Intents,
}

impl Flow {
    /// Of the target nothing is known but the address dialled.
    pub fn new(opened: Opened, snapshot: Arc<Snapshot>, client: TcpStream) -> Self {
        let connection = opened.connection(Phase::new());
        // Every transparent door knows it.
        let dialled = connection.dialled.unwrap_or(connection.local);
        let mut target = Target::tunnel(Host::Address(dialled.ip()), dialled.port());
        target.host_source = HostSource::Address;
        let access = Access {
            client: Arc::new(connection.identify(&snapshot)),
            target,
            method: "".into(),
            visit: Visit::Unknown,
            start: connection.gateway.clock.now(),
        };
        Flow { connection, snapshot, access, client }
    }

    /// Judges the first bytes, dials and relays.
    pub async fn pass(mut self, detected: Detected) {
        let signature = &detected.signature;
        self.learn(signature);
        if self.is_turned_down() {
            return;
        }
        let found = self.find_by_first_bytes(signature).await;
        let (way, permit, judgement) = match found {
            Ok(found) => found,
            Err(no_way) => return self.refuse(no_way).await,
        };
        let judged = self.access.target.address;
        let mut dialled = match self.dial(way, judgement).await {
            Ok(dialled) => dialled,
            Err(no_way) => return self.part(matches!(no_way, NoWay::Refused(_))).await,
        };
        self.tell_of_ech(signature, &dialled.intents);
        // Another address answered than the one that was judged.
        let permit = if self.access.target.address == judged { Some(permit) } else { self.judge_flow(&mut dialled) };
        match permit {
            Some(permit) => self.relay(permit, detected, dialled).await,
            None => {
                end(&mut dialled.intents, Ending::Answered);
                self.part(true).await;
            }
        }
    }

    /// Dials for a client that is silent, and listens to both sides until one of them speaks.
    pub async fn look(mut self) {
        if self.is_turned_down() {
            return;
        }
        let found = match judge::connection(&self.snapshot, &self.access) {
            Ok(judgement) => self.find_way(judgement).await,
            Err(judgement) => Err(NoWay::Refused(judgement)),
        };
        let (way, judgement) = match found {
            Ok(found) => found,
            Err(no_way) => return self.refuse(no_way).await,
        };
        let mut dialled = match self.dial(way, judgement).await {
            Ok(dialled) => dialled,
            Err(no_way) => return self.part(matches!(no_way, NoWay::Refused(_))).await,
        };
        let (mut client_spoke, mut origin_spoke) = ([0], [0]);
        let limits = self.snapshot.config.limits;
        let heard = tokio::select! {
            biased;
            spoke = self.client.peek(&mut client_spoke) => match spoke {
                Ok(0) | Err(_) => Heard::Nobody,
                Ok(_) => listen(&mut self.client, &limits).await,
            },
            _ = dialled.origin.stream.stream.peek(&mut origin_spoke) => Heard::Silence,
            () = tokio::time::sleep(limits.keep_alive) => return end(&mut dialled.intents, Ending::TimedOut),
        };
        match heard {
            Heard::Nobody => end(&mut dialled.intents, Ending::ClientClosed),
            // The origin speaks first: the client waits for it, as with mail.
            Heard::Silence => self.go_on(silent(), dialled).await,
            // A name, or HTTP that has many: that is judged as if it had come at once, and perhaps goes elsewhere.
            Heard::Words(detected) if detected.signature.sni.is_some() => {
                end(&mut dialled.intents, Ending::Complete);
                drop(dialled);
                self.pass(detected).await;
            }
            Heard::Words(detected) if detected.signature.protocol == Protocol::Http => {
                end(&mut dialled.intents, Ending::Complete);
                drop(dialled);
                self.serve(detected).await;
            }
            Heard::Words(detected) => self.go_on(detected, dialled).await,
        }
    }

    /// The row of a client that left before it said anything.
    pub async fn client_left(mut self) {
        self.access.target.protocol = Protocol::Silent;
        let judgement = match judge::connection(&self.snapshot, &self.access) {
            Ok(judgement) => judgement,
            Err(judgement) => *judgement,
        };
        self.reply().write_ended(&self.access, &judgement, Ending::ClientClosed);
        self.connection.close(Ending::ClientClosed);
    }

    /// Somebody spoke to an origin that was dialled already.
    async fn go_on(mut self, detected: Detected, mut dialled: Dialled) {
        self.learn(&detected.signature);
        self.tell_of_ech(&detected.signature, &dialled.intents);
        let permit = match self.hidden_name(&detected.signature) {
            Some(judgement) => {
                self.note(&mut dialled, judgement);
                None
            }
            None => self.judge_flow(&mut dialled),
        };
        match permit {
            Some(permit) => self.relay(permit, detected, dialled).await,
            None => {
                METRICS.accesses_refused.add(1);
                end(&mut dialled.intents, Ending::Answered);
                self.part(true).await;
            }
        }
    }

    fn learn(&mut self, signature: &Signature) {
        let target = &mut self.access.target;
        target.protocol = signature.protocol;
        if let Some(sni) = &signature.sni {
            target.host = Host::Name(sni.clone());
            target.host_source = HostSource::Sni;
        }
    }

    fn tell_of_ech(&self, signature: &Signature, intents: &Intents) {
        let (protocol, ech) = (signature.protocol, signature.ech.is_some());
        intents.connection.flow.amend(|record| {
            record.protocol = protocol;
            if ech {
                record.flags.insert(Flags::ECH);
            }
        });
        if ech {
            intents.access.amend(|record| record.flags.insert(Flags::ECH));
        }
    }

    /// Whether the client has asked too much, and was told so by a reset. Help-lines pass in every mode.
    fn is_turned_down(&self) -> bool {
        let Some(obstacle) = self.connection.obstacle() else { return false };
        if judge::is_help_line(&self.snapshot, &self.access) {
            return false;
        }
        let _ = self.client.set_zero_linger();
        let ending = obstacle.failure.ending();
        // Its row counts it with its like.
        drop(self.reply().failed(&self.access, obstacle.failure, ending));
        self.connection.close(ending);
        true
    }

    async fn find_by_first_bytes(&mut self, signature: &Signature) -> Result<(Way, RelayPermit, Judgement), NoWay> {
        if let Some(judgement) = self.hidden_name(signature) {
            return Err(NoWay::Refused(Box::new(judgement)));
        }
        let first = judge::connection(&self.snapshot, &self.access).map_err(NoWay::Refused)?;
        let (way, first) = self.find_way(first).await?;
        match judge::flow(&self.snapshot, &self.access) {
            Ok((permit, judgement)) => Ok((way, permit, judgement.after(&first))),
            Err(judgement) => Err(NoWay::Refused(Box::new(judgement.after(&first)))),
        }
    }

    async fn find_way(&mut self, judgement: Judgement) -> Result<(Way, Judgement), NoWay> {
        let way = way::find(&self.connection, &self.snapshot, &mut self.access).await?;
        Ok((way, judgement))
    }

    /// A server might read a name there that we do not.
    fn hidden_name(&self, signature: &Signature) -> Option<Judgement> {
        let fault = signature.fault.filter(|fault| fault.may_hide_a_name())?;
        tracing::debug!(host = %self.access.target.host, %fault, "a flow may hide a name");
        Some(self.reply().hidden_name(&self.access))
    }

    /// Writes both intents and dials. An error has its rows.
    async fn dial(&mut self, way: Way, judgement: Judgement) -> Result<Dialled, NoWay> {
        let intents = match write_intents(&self.connection, &self.access, &judgement, &way) {
            Ok(intents) => intents,
            Err(no_way) => return Err(self.write_refused(no_way)),
        };
        let both = (&intents.access, &intents.connection);
        match reach::reach(&self.connection, &self.snapshot, &mut self.access, way, both).await {
            Ok(origin) => Ok(Dialled { origin, judgement, intents }),
            Err(no_way) => {
                let ending = no_way.ending();
                let is_refusal = matches!(no_way, NoWay::Refused(_) | NoWay::Guarded(_));
                if is_refusal {
                    let judgement = self.reply().wordless(&self.access, no_way);
                    self.decide_anew(&intents, &judgement);
                    intents.connection.flow.finish(None, ending);
                    intents.access.finish(None, ending);
                    return Err(NoWay::Refused(Box::new(judgement)));
                }
                METRICS.accesses_failed.add(1);
                intents.connection.flow.finish(None, ending);
                intents.access.finish(None, ending);
                Err(no_way)
            }
        }
    }

    /// The last question, with an origin at hand; the answer is noted.
    fn judge_flow(&self, dialled: &mut Dialled) -> Option<RelayPermit> {
        let (permit, judgement) = match judge::flow(&self.snapshot, &self.access) {
            Ok((permit, judgement)) => (Some(permit), judgement),
            Err(judgement) => (None, *judgement),
        };
        self.note(dialled, judgement);
        permit
    }

    /// The last decision is the one the row keeps; a first one that differed is noted.
    fn note(&self, dialled: &mut Dialled, judgement: Judgement) {
        let judgement = judgement.after(&dialled.judgement);
        self.decide_anew(&dialled.intents, &judgement);
        let action = judgement.action;
        dialled.intents.connection.flow.amend(|record| record.action = action);
        dialled.judgement = judgement;
    }

    fn decide_anew(&self, intents: &Intents, judgement: &Judgement) {
        let log = &self.connection.gateway.log;
        intents.access.amend(|record| {
            let decided = access_record(log, &self.access, judgement, record.connection);
            decide_anew(record, decided);
        });
    }

    async fn relay(self, permit: RelayPermit, detected: Detected, dialled: Dialled) {
        METRICS.accesses_tunnelled.add(1);
        let Dialled { origin, mut intents, .. } = dialled;
        let idle = self.snapshot.config.limits.tunnel_idle;
        let Flow { connection, client, snapshot, .. } = self;
        // It may last for hours: rules that were replaced do not stay in memory for it.
        drop(snapshot);
        let client = Prefixed::new(detected.bytes, client);
        let counts = intents.access.counts().clone();
        let limits = RelayLimits { idle, total: None };
        let ended = relay::relay(permit, client, origin.stream.stream, limits, &counts).await;
        end(&mut intents, ended.ending());
        drop(intents);
        drop(connection);
    }

    /// HTTP of a client that was silent at first.
    async fn serve(self, detected: Detected) {
        let limits = self.snapshot.config.limits;
        let ClientConnection { gateway, client, local, taken, dialled, .. } = self.connection;
        let origins = Origins::new(&gateway.idle_links, limits.flows);
        let opened = Opened { gateway, ends: (client, local), taken, origins, inside: None, dialled };
        opened.serve_boxed(self.client, detected.bytes, limits).await;
    }

    /// It is not to be, and no intent was written: the row, and the word.
    async fn refuse(self, no_way: NoWay) {
        let no_way = self.write_refused(no_way);
        self.part(matches!(no_way, NoWay::Refused(_) | NoWay::Guarded(_))).await;
    }

    fn write_refused(&self, no_way: NoWay) -> NoWay {
        let ending = no_way.ending();
        let is_refusal = matches!(no_way, NoWay::Refused(_) | NoWay::Guarded(_));
        let judgement = self.reply().wordless(&self.access, no_way);
        self.reply().write_ended(&self.access, &judgement, ending);
        self.connection.close(ending);
        if is_refusal { NoWay::Refused(Box::new(judgement)) } else { NoWay::Untraceable }
    }

    /// Says no in the client's own language. Where it was no refusal, a reset says that there is no connection.
    async fn part(self, is_refusal: bool) {
        let Flow { connection, client, access, .. } = self;
        match access.target.protocol {
            Protocol::Tls if is_refusal => parting::say_goodbye(client, &ALERT_ACCESS_DENIED).await,
            _ => hang_up(client),
        }
        drop(connection);
    }

    fn reply(&self) -> Reply<'_> {
        Reply::new(&self.connection.gateway, &self.snapshot, &HeaderMap::new())
    }
}

/// Both rows end alike: such an access is nothing but its bytes.
fn end(intents: &mut Intents, ending: Ending) {
    intents.access.if_dropped(ending);
    intents.connection.flow.if_dropped(ending);
}

/// The origin spoke first.
fn silent() -> Detected {
    let signature = Signature::of(Protocol::Silent);
    Detected { signature, bytes: bytes::Bytes::new(), stop: detect::Stop::TimedOut }
}

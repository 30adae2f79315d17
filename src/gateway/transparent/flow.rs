//! One connection that is one access: TLS, or whatever is not HTTP.

use std::sync::Arc;

use ::http::HeaderMap;
use tokio::net::TcpStream;

use crate::access::{Access, Carrier, Ending, Protocol};
use crate::detect::{Detected, Signature};
use crate::metrics::METRICS;
use crate::relay::Side;

use super::super::connection::{ClientConnection, Opened};
use super::super::inspect::{Opening, can_open};
use super::super::judge::Passage;
use super::super::origins::Origins;
use super::super::phase::Phase;
use super::super::reach::{self, Reached};
use super::super::record::{Judgement, access_record, decide_anew};
use super::super::reply::Reply;
use super::super::say_no::Refusal;
use super::super::tunnel::{Intents, Passing, first_words, unread, write_intents};
use super::super::way::{self, NoWay, Way};
use super::super::{Snapshot, judge, parting};
use super::{access_by_address, learn, listen};

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
        let access = access_by_address(&connection, &snapshot);
        Flow { connection, snapshot, access, client }
    }

    /// Judges the first bytes and dials. `None`: it has ended without a relay.
    pub async fn pass(mut self, detected: Detected) -> Option<Passing> {
        let signature = &detected.signature;
        self.learn(signature);
        if self.is_turned_down() {
            return None;
        }
        let (way, permit, judgement) = match self.find_by_first_bytes(signature).await {
            Ok(found) => found,
            Err(no_way) => {
                self.refuse(no_way, detected).await;
                return None;
            }
        };
        let judged = self.access.target.address;
        let mut dialled = self.dial(way, judgement).await?;
        dialled.intents.tell_of_first_bytes(&self.access.target);
        // Another address answered than the one that was judged.
        let permit =
            if self.access.target.address == judged { Some(permit) } else { self.judge_flow(&mut dialled, signature) };
        self.go_through(permit, detected, dialled).await
    }

    /// Dials for a client that is silent, and listens to both sides until one of them speaks.
    pub async fn look(mut self) -> Option<Passing> {
        if self.is_turned_down() {
            return None;
        }
        let found = match judge::connection(&self.snapshot, &self.access) {
            Ok(judgement) => self.find_way(judgement).await,
            Err(judgement) => Err(NoWay::Refused(judgement)),
        };
        let (way, judgement) = match found {
            Ok(found) => found,
            Err(no_way) => {
                self.refuse(no_way, unread(Signature::of(Protocol::Silent))).await;
                return None;
            }
        };
        let mut dialled = self.dial(way, judgement).await?;
        let mut client_spoke = [0];
        let limits = self.snapshot.config.limits;
        let detected = tokio::select! {
            biased;
            spoke = self.client.peek(&mut client_spoke) => match spoke {
                Ok(0) | Err(_) => None,
                Ok(_) => listen(&mut self.client, &limits).await,
            },
            // The origin speaks first, and the client waits for it, as with mail.
            signature = first_words(&dialled.origin.stream.stream, limits.detect) => Some(unread(signature)),
            () = tokio::time::sleep(limits.keep_alive) => {
                dialled.intents.end(Ending::TimedOut);
                return None;
            }
        };
        let Some(detected) = detected else {
            dialled.intents.end(Ending::ClientClosed);
            return None;
        };
        // A name, or HTTP that has many: that is judged as if it had come at once, and perhaps goes elsewhere.
        if detected.signature.sni.is_some() {
            dialled.intents.end(Ending::Complete);
            drop(dialled);
            return self.pass(detected).await;
        }
        if detected.signature.protocol.carrier() == Carrier::Http {
            dialled.intents.end(Ending::Complete);
            drop(dialled);
            self.serve(detected).await;
            return None;
        }
        self.learn(&detected.signature);
        dialled.intents.tell_of_first_bytes(&self.access.target);
        let permit = match self.hidden_name(&detected.signature) {
            Some(judgement) => {
                self.note(&mut dialled, judgement);
                None
            }
            None => self.judge_flow(&mut dialled, &detected.signature),
        };
        self.go_through(permit, detected, dialled).await
    }

    /// The row of a client that left before it said anything.
    pub fn client_left(mut self) {
        self.access.target.protocol = Protocol::Silent;
        let judgement = match judge::connection(&self.snapshot, &self.access) {
            Ok(judgement) => judgement,
            Err(judgement) => *judgement,
        };
        self.reply().write_ended(&self.access, &judgement, Ending::ClientClosed);
        self.connection.close(Ending::ClientClosed);
    }

    /// The last word of policy on an origin that has been dialled.
    async fn go_through(self, passage: Option<Passage>, detected: Detected, mut dialled: Dialled) -> Option<Passing> {
        let Some(passage) = passage else {
            METRICS.accesses_refused.add(1);
            dialled.intents.end(Ending::Answered);
            let Dialled { origin, judgement, intents } = dialled;
            drop((origin, intents));
            self.part(Some(judgement), detected).await;
            return None;
        };
        let Dialled { origin, intents, .. } = dialled;
        let client = Side { first: detected.bytes, stream: self.client };
        let permit = match passage {
            Passage::Tunnel(permit) => permit,
            Passage::Inspect(permit) => {
                let opening = Opening::of(self.connection, self.snapshot, self.access, intents);
                Box::pin(opening.open(permit, client, origin)).await;
                return None;
            }
        };
        METRICS.accesses_tunnelled.add(1);
        let idle = self.snapshot.config.limits.tunnel_idle;
        let taken = self.connection.taken;
        Some(Passing { permit, client, origin: origin.stream.stream, idle, intents, taken })
    }

    fn learn(&mut self, signature: &Signature) {
        learn(&mut self.access, signature, self.connection.gateway.ech_of(&self.snapshot, signature));
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

    async fn find_by_first_bytes(&mut self, signature: &Signature) -> Result<(Way, Passage, Judgement), NoWay> {
        if let Some(judgement) = self.hidden_name(signature) {
            return Err(NoWay::Refused(Box::new(judgement)));
        }
        let first = judge::connection(&self.snapshot, &self.access).map_err(NoWay::Refused)?;
        let (way, first) = self.find_way(first).await?;
        match judge::flow(&self.snapshot, &self.access, self.can_open(signature)) {
            Ok((permit, judgement)) => Ok((way, permit, judgement.after(&first))),
            Err(judgement) => Err(NoWay::Refused(Box::new(judgement.after(&first)))),
        }
    }

    fn can_open(&self, signature: &Signature) -> judge::CanOpen {
        can_open(&self.connection.gateway, &self.snapshot, &self.access, signature)
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

    /// Writes both intents and dials. `None`: the rows are written and the client has been told.
    async fn dial(&mut self, way: Way, judgement: Judgement) -> Option<Dialled> {
        let intents = match write_intents(&self.connection, &self.access, &judgement, &way) {
            Ok(intents) => intents,
            Err(no_way) => {
                self.write_refused(no_way);
                return None;
            }
        };
        let both = (&intents.access, &intents.connection);
        match reach::reach(&self.connection, &self.snapshot, &mut self.access, way, both).await {
            Ok(origin) => Some(Dialled { origin, judgement, intents }),
            Err(no_way) => {
                let ending = no_way.ending();
                let refuses = is_refusal(&no_way);
                let last = self.reply().wordless(&self.access, no_way);
                if refuses {
                    self.decide_anew(&intents, &last);
                }
                intents.connection.flow.finish(None, ending);
                intents.access.finish(None, ending);
                None
            }
        }
    }

    /// The last question, with an origin at hand; the answer is noted.
    fn judge_flow(&self, dialled: &mut Dialled, signature: &Signature) -> Option<Passage> {
        let (permit, judgement) = match judge::flow(&self.snapshot, &self.access, self.can_open(signature)) {
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
        let (action, help_line) = (judgement.action, judgement.duties.help_line);
        dialled.intents.connection.flow.amend(|record| {
            record.action = action;
            // The first bytes named what the address did not.
            if help_line {
                record.strip_help_line();
            }
        });
        dialled.judgement = judgement;
    }

    fn decide_anew(&self, intents: &Intents, judgement: &Judgement) {
        let log = &self.connection.gateway.log;
        intents.access.amend(|record| {
            let decided = access_record(log, &self.access, judgement, record.connection);
            decide_anew(record, decided);
        });
    }

    /// HTTP of a client that was silent at first.
    async fn serve(self, detected: Detected) {
        let limits = self.snapshot.config.limits;
        let ClientConnection { gateway, client, local, taken, row, dialled, .. } = self.connection;
        let origins = Origins::new(&gateway.idle_links, limits.flows);
        let opened = Opened { gateway, ends: (client, local), taken, origins, row, inside: None, dialled };
        opened.serve_boxed(self.client.into(), detected.bytes, limits).await;
    }

    /// It is not to be, and no intent was written: the row, and the word.
    async fn refuse(self, no_way: NoWay, detected: Detected) {
        let refuses = is_refusal(&no_way);
        let judgement = self.write_refused(no_way);
        self.part(Some(judgement).filter(|_| refuses), detected).await;
    }

    fn write_refused(&self, no_way: NoWay) -> Judgement {
        let ending = no_way.ending();
        let judgement = self.reply().wordless(&self.access, no_way);
        self.reply().write_ended(&self.access, &judgement, ending);
        self.connection.close(ending);
        judgement
    }

    /// Says no in the client's own language. Where it was no refusal, a reset says that there is no connection.
    async fn part(self, refused: Option<Judgement>, detected: Detected) {
        let Flow { connection, snapshot, client, access } = self;
        match refused {
            Some(judgement) if access.target.protocol.carrier() == Carrier::Tls => {
                let gateway = connection.gateway.clone();
                Refusal { gateway, snapshot, access, judgement }.say(client, detected).await;
            }
            _ => parting::hang_up(client),
        }
        drop(connection);
    }

    fn reply(&self) -> Reply<'_> {
        Reply::on(&self.connection, &self.snapshot, &HeaderMap::new())
    }
}

fn is_refusal(no_way: &NoWay) -> bool {
    matches!(no_way, NoWay::Refused(_) | NoWay::Guarded(_))
}

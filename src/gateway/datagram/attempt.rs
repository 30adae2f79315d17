//! One flow of datagrams that is one access: judged by its first ones, refused or reached.

use std::sync::Arc;

use ::http::HeaderMap;

use crate::access::{Access, Ending};
use crate::detect::Signature;
use crate::listen::DivertedDoor;
use crate::metrics::METRICS;
use crate::origin::{self, OriginDatagrams, ResolveError};
use crate::policy::RelayPermit;
use crate::relay::{DatagramRelay, RelayEnd};

use super::super::allowances::Taken;
use super::super::answer::Failure;
use super::super::connection::{ClientConnection, Destination, Opened};
use super::super::judge::{CanOpen, Passage, Verdict};
use super::super::origins::Origins;
use super::super::phase::Phase;
use super::super::reach::note_ends;
use super::super::record::{Judgement, access_record, decide_anew};
use super::super::reply::Reply;
use super::super::tunnel::{Intents, write_intents};
use super::super::way::{self, NoWay, Via, Way};
use super::super::{Gateway, Snapshot, judge, transparent};
use super::Ends;

/// Who sends datagrams, and what they are after as far as that is known.
pub struct Attempt {
    connection: ClientConnection,
    snapshot: Arc<Snapshot>,
    pub access: Access,
}

impl Attempt {
    pub fn new(gateway: &Arc<Gateway>, ends: Ends, taken: Arc<Taken>) -> Self {
        let snapshot = gateway.snapshot.load_full();
        let opened = Opened {
            gateway: gateway.clone(),
            ends: (ends.client, ends.dialled),
            taken,
            origins: Origins::new(&gateway.idle_links, snapshot.config.limits.flows),
            row: Default::default(),
            inside: None,
            dialled: Some(Destination::of(gateway, ends.client.ip(), ends.dialled)),
        };
        let connection = opened.connection(Phase::new());
        let access = transparent::access_by_address(&connection, &snapshot);
        Attempt { connection, snapshot, access }
    }

    /// The answer of policy to what the first datagrams say.
    pub fn judge(&mut self, signature: &Signature) -> Verdict<Judgement> {
        let ech = self.connection.gateway.ech_of(&self.snapshot, signature);
        transparent::learn(&mut self.access, signature, ech);
        if let Some(fault) = signature.fault.filter(|fault| fault.may_hide_a_name()) {
            tracing::debug!(host = %self.access.target.host, %fault, "a flow of datagrams may hide a name");
            return Err(Box::new(self.reply().hidden_name(&self.access)));
        }
        let judgement = judge::connection(&self.snapshot, &self.access)?;
        match Via::of(&self.snapshot, &self.access.target.host) {
            Via::Nobody => Ok(judgement),
            Via::Parent(_) | Via::AroundParent => Err(Box::new(self.reply().no_datagrams(&self.access))),
        }
    }

    /// Both rows of one that is not to be.
    pub fn refuse(&self, judgement: Box<Judgement>) {
        self.write_ended(NoWay::Refused(judgement));
    }

    /// It is one too many: a row that counts it with its like.
    pub fn turn_away(&self, failure: Failure) {
        self.reply().failed_wordless(&self.access, failure);
    }

    /// Reaches the origin and relays until the flow is over; `first` was the answer of policy so far, `farewell` is what
    /// the client is told if nobody is there.
    pub async fn pass(
        mut self,
        first: Judgement,
        relay: Arc<DatagramRelay>,
        (ends, door, farewell): (Ends, Arc<DivertedDoor>, Option<Vec<u8>>),
    ) {
        let say_farewell = || farewell.as_ref().is_some_and(|farewell| ends.say(&door, farewell));
        // What comes before the relay is large and short, and has its memory apart.
        let reached = Box::pin(self.reach(first)).await;
        let Some((origin, permit, mut intents)) = reached else {
            relay.end(RelayEnd::Complete, true);
            say_farewell();
            return;
        };
        METRICS.accesses_tunnelled.add(1);
        let idle = self.snapshot.config.limits.datagram_idle;
        // Rules that were replaced do not stay in memory for it.
        drop(self);
        let counts = intents.access.counts().clone();
        let end = relay.run(permit, origin.socket, &counts, idle, |datagram| ends.say(&door, datagram)).await;
        if let RelayEnd::Origin(_) = end
            && counts.down() == 0
        {
            say_farewell();
        }
        intents.end(match end {
            // Nobody says goodbye in datagrams.
            RelayEnd::Idle if counts.down() > 0 => Ending::Complete,
            end => end.ending(),
        });
    }

    /// `None`: it has ended, and its rows are written.
    async fn reach(&mut self, first: Judgement) -> Option<(OriginDatagrams, RelayPermit, Intents)> {
        let found = match way::find(&self.connection, &self.snapshot, &mut self.access).await {
            Ok(way) => self.judge_flow(way, &first),
            Err(no_way) => Err(no_way),
        };
        let written = found.and_then(|(way, permit, judgement)| {
            let intents = write_intents(&self.connection, &self.access, &judgement, &way)?;
            Ok((way, permit, intents))
        });
        let (way, permit, intents) = match written {
            Ok(written) => written,
            Err(no_way) => {
                self.write_ended(no_way);
                return None;
            }
        };
        intents.tell_of_first_bytes(&self.access.target);
        match dial(way, &intents).await {
            Ok(origin) => Some((origin, permit, intents)),
            Err(no_way) => {
                let ending = no_way.ending();
                let judgement = self.reply().wordless(&self.access, no_way);
                intents.access.amend(|record| {
                    let decided =
                        access_record(&self.connection.gateway.log, &self.access, &judgement, record.connection);
                    decide_anew(record, decided);
                });
                intents.connection.flow.finish(None, ending);
                intents.access.finish(None, ending);
                None
            }
        }
    }

    /// The last question: the address is known.
    fn judge_flow(&self, way: Way, first: &Judgement) -> Result<(Way, RelayPermit, Judgement), NoWay> {
        // Nothing that comes in datagrams is opened here; what policy wants opened it has refused by now.
        match judge::flow(&self.snapshot, &self.access, CanOpen::No) {
            Ok((Passage::Tunnel(permit) | Passage::Inspect(permit), judgement)) => {
                Ok((way, permit, judgement.after(first)))
            }
            Err(judgement) => Err(NoWay::Refused(Box::new(judgement.after(first)))),
        }
    }

    fn write_ended(&self, no_way: NoWay) {
        let ending = no_way.ending();
        let judgement = self.reply().wordless(&self.access, no_way);
        self.reply().write_ended(&self.access, &judgement, ending);
        self.connection.close(ending);
    }

    fn reply(&self) -> Reply<'_> {
        Reply::on(&self.connection, &self.snapshot, &HeaderMap::new())
    }
}

/// Only the address that was judged: there is no second one to fall back to, since nobody answers to a connection.
async fn dial(way: Way, intents: &Intents) -> Result<OriginDatagrams, NoWay> {
    intents.connection.is_durable().await?;
    let peer = way.first().ok_or(NoWay::Unresolved(ResolveError::NoAddress))?;
    let origin = origin::dial_datagrams(way.permit, peer).await.map_err(NoWay::Undialled)?;
    note_ends(&intents.connection, origin.peer, origin.local);
    Ok(origin)
}

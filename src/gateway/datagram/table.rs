//! The flows of one door: one for each client and address dialled, for as long as something comes.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use crate::config::Limits;
use crate::detect::{self, Fault};
use crate::listen::DivertedDoor;
use crate::relay::{DatagramRelay, Handed};
use crate::tasks;

use super::super::Gateway;
use super::super::allowances::{Standing, Taken};
use super::super::answer::Failure;
use super::Ends;
use super::attempt::Attempt;
use super::hearing::{Heard, Hearing};
use super::open::{Open, Passed};
use super::watch::{Watch, Watched};

/// Flows whose beginning waits for more of it. Beyond that one is judged by what there is.
const HEARING_MAX: usize = 1024;
/// A refused client of QUIC gives up at the first answer; what it has sent before that is still the same flow.
const TOLD_LINGERS: Duration = Duration::from_secs(5);
/// Who gets no answer tries again, from the same port: WireGuard every 5 s, others up to every 16 s.
const UNTOLD_LINGERS: Duration = Duration::from_secs(30);
/// Answers to one flow that does not listen.
const ANSWERS_MAX: u8 = 8;
/// How late a flow's time may be noticed to be over, while some wait and while none do.
const SOON: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_secs(1);

/// Every flow of one door.
pub struct FlowTable {
    gateway: Arc<Gateway>,
    door: Arc<DivertedDoor>,
    flows: HashMap<Ends, Entry>,
    /// Those of them whose beginning waits.
    hearing: usize,
    house_kept_at: Instant,
    draining: bool,
}

struct Entry {
    stage: Stage,
    /// Its part of what its client may have.
    taken: Arc<Taken>,
}

enum Stage {
    Hearing(Box<Hearing>),
    Open(Box<Open>),
    Refused(Box<Refused>),
}

/// One whose rows are written, and which has nothing to hope for.
struct Refused {
    watch: Watch,
    until: Instant,
    lingers: Duration,
    answers: u8,
}

impl FlowTable {
    pub fn new(gateway: Arc<Gateway>, door: Arc<DivertedDoor>) -> Self {
        let house_kept_at = Instant::now();
        FlowTable { gateway, door, flows: HashMap::new(), hearing: 0, house_kept_at, draining: false }
    }

    /// From now on none begins.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Ready when [`FlowTable::keep_house`] has something to do, perhaps.
    pub fn due(&self) -> impl Future<Output = ()> + use<> {
        let at = self.house_kept_at + if self.hearing > 0 { SOON } else { LATER };
        let nothing = self.flows.is_empty();
        async move {
            match nothing {
                true => std::future::pending().await,
                false => sleep_until(at).await,
            }
        }
    }

    /// A datagram came.
    pub fn take(&mut self, ends: Ends, datagram: &[u8]) {
        let Some(entry) = self.flows.get_mut(&ends) else { return self.begin(ends, datagram) };
        let passed = match &mut entry.stage {
            Stage::Refused(refused) => refused.again(ends, &self.door, datagram),
            Stage::Open(open) => open.pass(datagram, &self.gateway),
            Stage::Hearing(_) => {
                if let Some(Entry { stage: Stage::Hearing(hearing), taken }) = self.flows.remove(&ends) {
                    self.hearing -= 1;
                    self.hear(ends, *hearing, taken, datagram);
                }
                return;
            }
        };
        match passed {
            Passed::On => {}
            Passed::Unheard => self.is_unheard(ends, Some(datagram)),
            Passed::Anew(others) => {
                self.flows.remove(&ends);
                others.iter().for_each(|other| self.take(ends, other));
            }
        }
    }

    /// An allowed flow whose origin is not there: from now on its client is told so.
    fn is_unheard(&mut self, ends: Ends, datagram: Option<&[u8]>) {
        if let Some(Entry { stage: Stage::Open(open), taken }) = self.flows.remove(&ends) {
            let mut refused = Refused::new(open.into_watch());
            if let Some(datagram) = datagram {
                refused.answer(ends, &self.door, datagram);
            }
            self.flows.insert(ends, Entry { stage: Stage::Refused(Box::new(refused)), taken });
        }
    }

    /// What time alone makes due: beginnings that stay what they are, and flows that are over.
    pub fn keep_house(&mut self) {
        let now = Instant::now();
        self.house_kept_at = now;
        let late = |entry: &Entry| matches!(&entry.stage, Stage::Hearing(hearing) if hearing.until <= now);
        let late: Vec<Ends> = self.flows.iter().filter(|(_, entry)| late(entry)).map(|(ends, _)| *ends).collect();
        for ends in late {
            if let Some(Entry { stage: Stage::Hearing(hearing), taken }) = self.flows.remove(&ends) {
                self.hearing -= 1;
                self.decide(ends, hearing.conclude(Fault::Incomplete), taken);
            }
        }
        let mut unheard = Vec::new();
        self.flows.retain(|ends, entry| match &entry.stage {
            Stage::Hearing(_) => true,
            Stage::Refused(refused) => refused.until > now,
            Stage::Open(open) => match open.relay.over() {
                None | Some(Handed::On) => true,
                Some(Handed::Over { unheard: true }) => {
                    unheard.push(*ends);
                    true
                }
                Some(Handed::Over { unheard: false }) => false,
            },
        });
        for ends in unheard {
            self.is_unheard(ends, None);
        }
    }

    fn begin(&mut self, ends: Ends, datagram: &[u8]) {
        if self.draining {
            return;
        }
        let limits = self.gateway.snapshot().config.limits;
        let allowances = &self.gateway.datagram_allowances;
        let taken = Arc::new(allowances.take(ends.client.ip(), &of_datagrams(&limits)));
        match taken.standing {
            Standing::Within if taken.may_ask() => {
                let hearing = Hearing::new(Instant::now() + limits.detect);
                self.hear(ends, hearing, taken, datagram);
            }
            Standing::Within => self.turn_away(ends, taken, Failure::TooManyRequests),
            Standing::ClientOver => self.turn_away(ends, taken, Failure::TooManyConnections),
            Standing::AllOver | Standing::FarOver => {
                // Who sends under many addresses is not whom the last one names.
                let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
                self.turn_away(Ends { client: nobody, ..ends }, taken, Failure::TooBusy);
            }
        }
    }

    /// Not answered: whoever sends so much is not to be sent as much.
    fn turn_away(&self, ends: Ends, taken: Arc<Taken>, failure: Failure) {
        Attempt::new(&self.gateway, ends, taken).turn_away(failure);
    }

    fn hear(&mut self, ends: Ends, hearing: Hearing, taken: Arc<Taken>, datagram: &[u8]) {
        match hearing.hear(datagram, ends, &self.door) {
            Ok(heard) => self.decide(ends, heard, taken),
            Err(hearing) if self.hearing >= HEARING_MAX => {
                self.decide(ends, hearing.conclude(Fault::Incomplete), taken);
            }
            Err(hearing) => {
                self.hearing += 1;
                self.flows.insert(ends, Entry { stage: Stage::Hearing(Box::new(hearing)), taken });
            }
        }
    }

    /// The rows of what is refused are written here, and nothing is said before; what is allowed goes its way in a task.
    fn decide(&mut self, ends: Ends, heard: Heard, taken: Arc<Taken>) {
        let Heard { signature, datagrams, detector } = heard;
        let mut attempt = Attempt::new(&self.gateway, ends, taken.clone());
        let stage = match attempt.judge(&signature) {
            Err(judgement) => {
                attempt.refuse(judgement);
                let mut refused = Refused::new(Watch::new(signature, detector));
                if let Some(datagram) = datagrams.last() {
                    refused.answer(ends, &self.door, datagram);
                }
                Stage::Refused(Box::new(refused))
            }
            Ok(judgement) => {
                let relay = Arc::new(DatagramRelay::default());
                hand_all(&relay, &datagrams);
                let watch = Watch::new(signature, detector);
                let open = Open::new(relay.clone(), attempt.access.clone(), watch);
                let farewell = datagrams.first().and_then(|first| detect::quic_refusal(first));
                let way = (ends, self.door.clone(), farewell);
                tasks::spawn("flow of datagrams", attempt.pass(judgement, relay, way));
                Stage::Open(Box::new(open))
            }
        };
        self.flows.insert(ends, Entry { stage, taken });
    }
}

/// What came while it was heard, in its order.
fn hand_all(relay: &DatagramRelay, datagrams: &[Bytes]) {
    for datagram in datagrams {
        relay.hand(datagram);
    }
}

/// Half as many flows of datagrams as of connections: each needs one socket where those need two.
fn of_datagrams(limits: &Limits) -> Limits {
    Limits { flows: (limits.flows / 2).max(1), ..*limits }
}

impl Refused {
    fn new(watch: Watch) -> Self {
        let lingers = if watch.is_quic() { TOLD_LINGERS } else { UNTOLD_LINGERS };
        Refused { watch, until: Instant::now() + lingers, lingers, answers: 0 }
    }

    fn again(&mut self, ends: Ends, door: &DivertedDoor, datagram: &[u8]) -> Passed {
        self.until = Instant::now() + self.lingers;
        match self.watch.look(datagram) {
            Watched::Another(others) => return Passed::Anew(others),
            Watched::Same(_) => self.answer(ends, door, datagram),
            Watched::Held | Watched::Foreign => {}
        }
        Passed::On
    }

    fn answer(&mut self, ends: Ends, door: &DivertedDoor, datagram: &[u8]) {
        if self.answers < ANSWERS_MAX && ends.turn_down(door, datagram) {
            self.answers += 1;
        }
    }
}

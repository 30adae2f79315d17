//! Where the pieces meet: the only module that sees them all.
//!
//! A connection's story in packet order: [`connection`] (accepted, served) → [`http`] (one request) or [`tunnel`]
//! (CONNECT) → [`way`] (resolve, guard, judge the address) → [`intent`] → [`reach`] (dial, or the parent proxy) → [`origins`] (the client's own origin connections)
//! → [`body`] (bytes through, the access ends with the last). [`judge`] puts the questions to policy, [`reply`] words
//! the answers, [`record`] says what is kept and [`flows`] knows what is open.
//!
//! Nothing here knows that a console, an auditor or a fleet exists; `control` answers a Unix socket.
//!
//! Type to read first: [`Gateway`].

mod allowances;
mod alt_svc;
pub mod answer;
pub mod antivirus;
mod asking;
mod body;
mod client_io;
mod client_row;
mod connection;
pub mod control;
mod counted;
mod datagram;
mod dns;
mod ends;
mod expectation;
mod flows;
mod forward;
mod headers;
mod http;
mod inspect;
mod intent;
mod judge;
mod origin_fault;
mod origin_head;
mod origins;
mod own_pages;
mod pace;
mod parting;
mod phase;
mod reach;
mod record;
mod repeats;
mod reply;
mod say_no;
mod transparent;
mod tunnel;
mod upgrade;
mod way;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Notify, watch};

use crate::access::{Ending, Timestamp};
use crate::accesslog::AccessLog;
use crate::clock::Clock;
use crate::config::Config;
use crate::listen::{DatagramDoor, DivertedDoor, Listener, ListenerKind};
use crate::metrics::METRICS;
use crate::origin::{Guard, Memory, Parent, Resolver};
use crate::policy::Ruleset;
use crate::tasks;
use crate::tls::{Inspection, Pinned};

use allowances::Allowances;
use antivirus::{Antivirus, Notices};
use control::Rejected;
use dns::NameGuard;
pub use dns::{Asker, Reply};
use flows::{AccessFlows, ConnectionFlows};
use headers::ViaName;
use origins::IdleLinks;
use repeats::Repeats;

/// Everything an answer depends on that a reload may change: one pointer, so that each answer comes from one of them.
pub struct Snapshot {
    pub rules: Arc<Ruleset>,
    pub config: Config,
    pub guard: Guard,
    /// The proxy that we go through ourselves, if any.
    pub parent: Option<Arc<Parent>>,
    /// With what TLS is opened, where policy says so.
    pub inspection: Option<Arc<Inspection>>,
    /// What looks into bodies, where policy says so.
    pub antivirus: Option<Arc<Antivirus>>,
    pub installed: Timestamp,
}

/// A running gateway.
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    log: AccessLog,
    resolver: Resolver,
    memory: Memory,
    clock: Clock,
    via: ViaName,
    accesses: Arc<AccessFlows>,
    connections: Arc<ConnectionFlows>,
    allowances: Allowances,
    /// Of flows of datagrams, which anybody can begin under any address: they take no connection's place.
    datagram_allowances: Allowances,
    idle_links: Arc<IdleLinks>,
    repeats: Repeats,
    names: NameGuard,
    /// Hosts whose clients believe no certificate of ours.
    pinned: Pinned,
    /// What clients are to be told on their next page.
    notices: Notices,
    draining: watch::Sender<bool>,
    /// Told to all connections while nearly as many are open as may be.
    place_wanted: Notify,
    started: Timestamp,
    /// The last reload that was refused, until one succeeds.
    rejected: ArcSwapOption<Rejected>,
}

impl Gateway {
    pub fn new(snapshot: Snapshot, log: AccessLog, resolver: Resolver, clock: Clock) -> Arc<Self> {
        let slice = snapshot.config.journal.slice;
        let via = ViaName::new(&snapshot.config.gateway);
        let names = NameGuard::new(&snapshot.config);
        Arc::new(Gateway {
            snapshot: ArcSwap::from_pointee(snapshot),
            log,
            resolver,
            memory: Memory::default(),
            via,
            accesses: AccessFlows::new(slice, clock.clone()),
            connections: ConnectionFlows::new(slice, clock.clone()),
            allowances: Allowances::default(),
            datagram_allowances: Allowances::told_by(&METRICS.datagram_flows),
            idle_links: Arc::default(),
            repeats: Repeats::default(),
            names,
            pinned: Pinned::default(),
            notices: Notices::default(),
            draining: watch::Sender::new(false),
            place_wanted: Notify::new(),
            started: clock.now(),
            rejected: ArcSwapOption::empty(),
            clock,
        })
    }

    /// The rules in force.
    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Puts a whole new snapshot in force: the next question is answered from it, what is under way keeps its own.
    pub fn install(&self, snapshot: Snapshot) {
        self.log.set_roster(snapshot.rules.people().names());
        self.snapshot.store(Arc::new(snapshot));
        self.names.begin_anew();
        self.rejected.store(None);
        METRICS.rules_installed.add(1);
    }

    /// A reload was refused: nothing changed, and `status` says why.
    pub fn reject(&self, why: String) {
        METRICS.rules_rejected.add(1);
        self.rejected.store(Some(Arc::new(Rejected { at: self.clock.now(), why })));
    }

    /// Serves a listener until the gateway drains.
    pub async fn serve(self: Arc<Self>, listener: Listener) {
        let mut draining = self.draining.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = drain_begins(&mut draining) => return,
            };
            match accepted {
                Ok(accepted) => {
                    METRICS.connections_accepted.add(1);
                    match accepted.listener {
                        ListenerKind::Dns => tasks::spawn("stream of questions", dns::stream(self.clone(), accepted)),
                        ListenerKind::Explicit | ListenerKind::TransparentHttp(_) | ListenerKind::TransparentTls(_) => {
                            tasks::spawn("client connection", connection::serve(self.clone(), accepted))
                        }
                    };
                }
                Err(error) => {
                    tracing::error!(door = %listener.local(), %error, "a door is broken for good; restart the gateway");
                    return;
                }
            }
        }
    }

    /// Answers the questions that come in through a door for datagrams, until the gateway drains.
    pub async fn serve_names(self: Arc<Self>, door: DatagramDoor) {
        dns::datagrams(self, door).await;
    }

    /// Serves the datagrams that the network brings through a door, as long as the gateway lives: those of flows that are
    /// open still pass while it drains.
    pub async fn serve_datagrams(self: Arc<Self>, door: DivertedDoor) {
        datagram::serve(self, door).await;
    }

    /// Asks idle connections to leave while nine tenths of the places are taken: new clients come first.
    pub async fn keep_places(self: Arc<Self>) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            let flows = self.snapshot().config.limits.flows as u64;
            if METRICS.connections_open.value() * 10 >= flows * 9 {
                METRICS.places_wanted.add(1);
                self.place_wanted.notify_waiters();
            }
        }
    }

    /// What time alone makes due, for ever: slices of long flows, rows of repeats, clients that left.
    pub async fn keep_house(self: Arc<Self>) {
        // No slice comes much later than it is due.
        let slice = self.snapshot().config.journal.slice;
        let mut tick = tokio::time::interval((slice / 8).clamp(Duration::from_secs(1), Duration::from_secs(15)));
        loop {
            tick.tick().await;
            self.repeats.complete_old();
            self.allowances.forget_gone();
            self.datagram_allowances.forget_gone();
            self.names.keep_house();
            self.accesses.slice_old();
            self.connections.slice_old();
        }
    }

    /// Stops accepting, lets what is open end, and gives up after `limit`. Says how many flows were still open.
    pub async fn drain(&self, limit: Duration) -> usize {
        self.draining.send_replace(true);
        let all_ended = async {
            while !self.accesses.is_empty() {
                self.repeats.complete_all();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        // What outlasts the limit is ended here, so that its row says so.
        let _ = tokio::time::timeout(limit, all_ended).await;
        let open = self.open_accesses();
        self.accesses.end_all(Ending::Drained);
        self.connections.end_all(Ending::Drained);
        open
    }

    /// Without the rows that only wait for repeats of what was answered long ago.
    pub fn open_accesses(&self) -> usize {
        self.accesses.len().saturating_sub(self.repeats.len())
    }

    pub fn open_origin_connections(&self) -> usize {
        self.connections.len()
    }

    pub fn started(&self) -> Timestamp {
        self.started
    }

    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}

/// Returns when the gateway drains, or is gone.
async fn drain_begins(draining: &mut watch::Receiver<bool>) {
    // An error means that the gateway is gone, which is an end as well.
    let _ = draining.wait_for(|draining| *draining).await;
}

//! The running program: start in phases, reload, drain.
//!
//! [`run`] is the list of phases in order. What can fail because of the machine fails before the first client is
//! accepted, each with its own message and cure ([`StartError`]). Nothing here touches a client's bytes.

mod descriptors;
mod hints;
mod retention;
pub mod rules;
mod shipping;
mod state;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::accesslog::proof::{ProofError, ProofSettings, Proofs};
use crate::accesslog::{AccessLog, JournalSettings, OpenError, UnsealError, trial_recipient};
use crate::clock::Clock;
use crate::config::{Config, Recipients};
use crate::gateway::control::ControlSocket;
use crate::gateway::{Gateway, Snapshot};
use crate::listen::{BindError, DatagramDoor, DivertedDoor, Inherited, Listener, ListenerKind};
use crate::origin::{self, Resolver, ResolverError};
use crate::tasks;

pub use rules::RulesError;
pub use state::StateError;

/// Why the gateway does not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Journal(#[from] OpenError),
    #[error(
        "{0}\n  help: nothing that passes could be proven; the folder must belong to the user that runs the gateway, and `[proof] key_file` names a key elsewhere"
    )]
    Proof(#[from] ProofError),
    #[error("the key of the trial: {0}")]
    TrialKey(#[from] UnsealError),
    #[error(transparent)]
    Listen(#[from] BindError),
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    #[error("the control socket {path} cannot be opened: {error}")]
    Control { path: PathBuf, error: io::Error },
    #[error(
        "origins cannot be reached from the clients' own addresses: {0}\n  help: that takes CAP_NET_ADMIN (`ecluse-keep-client-address.conf`); or set `keep_client_address = false` in `[transparent]`"
    )]
    ClientAddress(io::Error),
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    #[error("the runtime cannot be started: {0}")]
    Runtime(io::Error),
    #[error("this configuration has no gateway: `[role] gateway = true` makes this machine one")]
    NoGateway,
}

/// Runs a gateway until it is told to stop.
///
/// `config_file` and `state` are those it was loaded from: a reload reads them again.
pub fn run(config: Config, config_file: Option<&Path>, state: Option<&Path>) -> Result<(), StartError> {
    if !config.role.gateway {
        return Err(StartError::NoGateway);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)?;
    runtime.block_on(serve(config, config_file, state))
}

async fn serve(mut config: Config, config_file: Option<&Path>, state: Option<&Path>) -> Result<(), StartError> {
    let mut signals = Signals::new().map_err(StartError::Signals)?;
    let clock = Clock::default();

    descriptors::fit(&mut config);

    // The machine: one gateway a state directory, every door open before anybody is let in.
    let _lock = state::take(&config)?;
    check_addresses(&config)?;
    let Doors { listeners, names, diverted } = bind(&config)?;
    let own: Vec<SocketAddr> = listeners.iter().map(Listener::local).collect();

    // The rules, checked whole.
    let snapshot = rules::build(config.clone(), &own, &clock).await?;

    // The log, before anything that it must hold.
    let log = AccessLog::open(journal_settings(&config)?, clock.clone())?;
    log.set_roster(snapshot.rules.people().names());
    let resolver =
        Resolver::new(&config.resolver.servers, config.resolver.timeout, config.resolver.cache_entries as u64)?;
    let proofs = open_proofs(&config, &clock)?;
    proofs.set_rules(snapshot.rules.version().as_str());
    let shipping = shipping::start(&config, &log, &proofs);

    // Traffic.
    let gateway = Gateway::new(snapshot, log, resolver, clock.clone());
    let control = ControlSocket::bind(&config.paths.control_socket)
        .map_err(|error| StartError::Control { path: config.paths.control_socket.clone(), error })?;
    tasks::spawn("control socket", control.serve(gateway.clone()));
    tasks::spawn("places", gateway.clone().keep_places());
    tasks::spawn("housekeeping", gateway.clone().keep_house());
    if let Some(store) = shipping.store() {
        tasks::spawn("retention", retention::keep(store, proofs.clone(), gateway.clone(), clock.clone()));
    }
    for listener in listeners {
        tasks::spawn("listener", gateway.clone().serve(listener));
    }
    for door in names {
        tasks::spawn("names", gateway.clone().serve_names(door));
    }
    for door in diverted {
        tasks::spawn("datagrams", gateway.clone().serve_datagrams(door));
    }
    notify(&[sd_notify::NotifyState::Ready]);
    hints::ready(&config, &own);
    rules::look_through(&gateway.snapshot().rules, config.paths.image.clone());
    rules::scanner::look_at(&gateway.snapshot());

    while let Wake::Reload = signals.next().await {
        notify(&[sd_notify::NotifyState::Reloading]);
        reload(&gateway, config_file, state, &own, &clock).await;
        proofs.set_rules(gateway.snapshot().rules.version().as_str());
        notify(&[sd_notify::NotifyState::Ready]);
    }

    notify(&[sd_notify::NotifyState::Stopping]);
    let open = gateway.drain(config.limits.drain).await;
    if open > 0 {
        tracing::warn!(open, "accesses were still open at the end of the drain; their rows say `drained`");
    }
    shipping.finish().await;
    Ok(())
}

/// Every open door.
struct Doors {
    listeners: Vec<Listener>,
    /// Of the DNS guard.
    names: Vec<DatagramDoor>,
    diverted: Vec<DivertedDoor>,
}

fn bind(config: &Config) -> Result<Doors, BindError> {
    let (listen, divert) = (&config.listen, config.transparent.mode);
    let kinds = [
        (&listen.explicit, ListenerKind::Explicit),
        (&listen.transparent_http, ListenerKind::TransparentHttp(divert)),
        (&listen.transparent_tls, ListenerKind::TransparentTls(divert)),
        (&listen.dns, ListenerKind::Dns),
    ];
    let mut inherited = Inherited::take();
    let mut listeners = Vec::new();
    for (doors, kind) in kinds {
        for &door in doors {
            listeners.push(Listener::open(door, kind, &mut inherited)?);
        }
    }
    let diverted = &listen.transparent_udp;
    let diverted = diverted.iter().map(|&door| DivertedDoor::open(door, &mut inherited)).collect::<Result<_, _>>()?;
    inherited.close_others();
    // The same port for both, also where the system chose it.
    let names = listeners.iter().filter(|listener| listener.kind() == ListenerKind::Dns);
    let names = names.map(|stream| DatagramDoor::bind(stream.local())).collect::<Result<_, _>>()?;
    Ok(Doors { listeners, names, diverted })
}

/// Said at the start and not by every dial that fails.
fn check_addresses(config: &Config) -> Result<(), StartError> {
    match config.transparent.keep_client_address {
        true => origin::can_bear_others_addresses().map_err(StartError::ClientAddress),
        false => Ok(()),
    }
}

fn journal_settings(config: &Config) -> Result<JournalSettings, UnsealError> {
    let mut settings =
        JournalSettings::new(&config.journal.directory, config.college.code.clone(), config.gateway.clone());
    settings.recipients = match &config.persons.recipients {
        Recipients::Nobody => Vec::new(),
        Recipients::Given(recipients) => recipients.clone(),
        Recipients::Trial { key_file } => vec![trial_recipient(key_file)?],
    };
    settings.segment_bytes = config.journal.segment_bytes;
    settings.segment_age = config.journal.segment_age;
    settings.sync_window = config.journal.sync;
    settings.max_bytes = config.journal.max_bytes;
    settings.on_full = config.journal.on_full;
    Ok(settings)
}

/// The gateway's key and its chains of roots.
pub fn open_proofs(config: &Config, clock: &Clock) -> Result<Proofs, ProofError> {
    let settings = ProofSettings { folder: config.paths.proofs.clone(), key_file: config.proof.key_file.clone() };
    Proofs::open(&settings, clock.clone())
}

/// Builds new rules aside and installs them; broken ones change nothing and are explained.
async fn reload(
    gateway: &Arc<Gateway>,
    config_file: Option<&Path>,
    state: Option<&Path>,
    own: &[SocketAddr],
    clock: &Clock,
) {
    let built = async {
        let mut config = Config::load(config_file, state).map_err(|problems| problems.to_string())?;
        descriptors::fit(&mut config);
        rules::build(config, own, clock).await.map_err(|error| error.to_string())
    };
    match built.await {
        Ok(snapshot) => {
            say_what_needs_a_restart(&gateway.snapshot(), &snapshot);
            let version = snapshot.rules.version().clone();
            let (rules, image) = (snapshot.rules.clone(), snapshot.config.paths.image.clone());
            gateway.install(snapshot);
            rules::look_through(&rules, image);
            rules::scanner::look_at(&gateway.snapshot());
            tracing::info!(rules = %version, "new rules are in force");
        }
        Err(why) => {
            tracing::error!("the reload changed nothing; the rules in force stay:\n{why}");
            gateway.reject(why);
        }
    }
}

/// Doors, journal and store are taken at the start; a reload does not move them.
fn say_what_needs_a_restart(old: &Snapshot, new: &Snapshot) {
    let (old, new) = (&old.config, &new.config);
    let fixed = [
        ("[listen]", old.listen != new.listen),
        ("[transparent] mode", old.transparent.mode != new.transparent.mode),
        ("[journal]", old.journal != new.journal),
        ("[store]", old.store != new.store),
        ("[resolver]", old.resolver != new.resolver),
        (
            "[dns] cache_entries, questions_per_second or question_burst",
            (old.dns.cache_entries, old.dns.questions_per_second, old.dns.question_burst)
                != (new.dns.cache_entries, new.dns.questions_per_second, new.dns.question_burst),
        ),
        ("[persons]", old.persons != new.persons),
        ("[proof]", old.proof != new.proof),
        ("[college] code or [gateway] name", old.college.code != new.college.code || old.gateway != new.gateway),
    ];
    for (part, _) in fixed.iter().filter(|(_, changed)| *changed) {
        tracing::warn!("{part} changed: that takes effect at the next start (`systemctl restart ecluse`)");
    }
}

/// Tells systemd; without it there is nobody to tell.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

enum Wake {
    Reload,
    Stop,
}

struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Wake {
        tokio::select! {
            _ = self.reload.recv() => Wake::Reload,
            _ = self.terminate.recv() => Wake::Stop,
            _ = self.interrupt.recv() => Wake::Stop,
        }
    }
}

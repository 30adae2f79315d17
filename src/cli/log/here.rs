//! The log of this machine: where its store, its journal and its sealed names are, and what is on the way.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use jiff::tz::TimeZone;

use super::{Exports, LogArgs, Places};
use crate::access::{PersonName, Pseudonym, Timestamp};
use crate::accesslog::proof::HandOn;
use crate::accesslog::{ShipSettings, sealed_folder, ship_dead_lanes, unseal};
use crate::audit::Pending;
use crate::clock::Clock;
use crate::config::{Config, StoreKind};
use crate::gateway::control::ask_status;
use crate::process::open_proofs;
use crate::store::{AnyStore, Filter};

/// People here read the time of the school.
const ZONE: &str = "Europe/Paris";

/// Runs a `log` command on the store of this machine.
pub fn run(args: LogArgs, config: Option<&Path>, state: Option<&Path>) -> anyhow::Result<ExitCode> {
    // Verifying wants a package and nothing else: no state, no configuration.
    if let Some(verify) = args.verify() {
        return Ok(ExitCode::from(verify.run(&mut std::io::stdout().lock(), &mut std::io::stderr().lock())));
    }
    let config = match Config::load(config, state) {
        Ok(config) => config,
        Err(problems) => return Ok(crate::cli::wrong(&problems)),
    };
    let store = AnyStore::open_read_only(&config)?;
    let places = Places {
        exports: exports(&config),
        store,
        state: config.paths.state.clone(),
        clock: Clock::System,
        zone: TimeZone::get(ZONE).context("the time zone of the school")?,
        width: terminal_width(),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime does not start")?;
    let code = runtime.block_on(async {
        let pending = pending(&config).await;
        super::run(
            args,
            &places,
            async || bring_in(&config).await,
            || pending.clone(),
            |identity, person, filter| pseudonyms_of(&config, identity, person, filter),
            &mut std::io::stdout().lock(),
            &mut std::io::stderr().lock(),
        )
        .await
    });
    Ok(ExitCode::from(code))
}

/// What an export is signed and stamped with.
fn exports(config: &Config) -> Exports {
    Exports {
        folder: config.paths.proofs.clone(),
        key_file: config.proof.key_file.clone(),
        college: config.college.code.clone(),
        gateway: config.gateway.clone(),
        tsa: config.proof.tsa.clone(),
    }
}

fn terminal_width() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    std::env::var("COLUMNS").ok()?.parse().ok()
}

/// What a gateway that died left in its journal is brought into the store first; a running one ships its own.
async fn bring_in(config: &Config) -> anyhow::Result<()> {
    if !config.journal.directory.exists() {
        return Ok(());
    }
    let store = AnyStore::open(config)?;
    let proofs = open_proofs(config, &Clock::System)?;
    let settings = ShipSettings { proofs: Some(proofs.clone()), ..ShipSettings::of(config) };
    let shipped = ship_dead_lanes(&config.journal.directory, &store, &settings).await;
    HandOn::new(proofs, config.proof.witness.clone()).turn(&store).await?;
    match shipped.problems.into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(problem.into()),
    }
}

/// What the running gateway has not shipped yet. Without one, everything was just brought in; but what the gateways of
/// others have not shipped to the centre, the centre cannot know.
async fn pending(config: &Config) -> Pending {
    let now = Clock::System.now();
    match ask_status(&config.paths.control_socket).await {
        Err(_) if config.store.kind == StoreKind::ClickHouse && !config.role.gateway => {
            Pending { complete_up_to: None, waiting: Vec::new() }
        }
        Err(_) => Pending::nothing(now),
        Ok(status) => {
            let figure = |name: &str| status.figures.get(name).copied().unwrap_or(0);
            let complete = i64::try_from(figure("shipped_up_to_us")).ok().filter(|micros| *micros > 0);
            let rows = figure("backlog_rows");
            Pending {
                complete_up_to: complete.map(Timestamp::from_micros),
                waiting: if rows == 0 { Vec::new() } else { vec![(config.gateway.clone(), rows)] },
            }
        }
    }
}

/// The pseudonyms that a person had, opened with the identity of who may.
fn pseudonyms_of(
    config: &Config,
    identity: &Path,
    person: &PersonName,
    filter: &Filter,
) -> anyhow::Result<Vec<Pseudonym>> {
    let (first, last) = (filter.from.map_or(i32::MIN, Timestamp::day), filter.to.map_or(i32::MAX, Timestamp::day));
    let unsealed = unseal(&sealed_folder(&config.journal.directory), identity, first..=last)?;
    for problem in &unsealed.problems {
        tracing::warn!("{problem}");
    }
    Ok(unsealed.people.into_iter().filter(|(_, name)| name == person).map(|(pseudonym, _)| pseudonym).collect())
}

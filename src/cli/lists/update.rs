//! `ecluse lists update`: fetch, check, compile, tell the gateway.

mod output;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::clock::Clock;
use crate::config::{Config, starter};
use crate::fleet::install::{Reload, reload};
use crate::fleet::{Ending, FetchLimits, Fetcher, Lock, LockError, Report, UpdateError, Updater};
use crate::lists::{Catalogue, Image, Source, compile};
use crate::origin::Resolver;

use output::{Watch, say};

pub use output::provenance;

/// `EX_DATAERR`: a list came and was refused.
const EXIT_REFUSED: u8 = 65;
/// `EX_TEMPFAIL`: a list could not be fetched, or another update is at work; later is another time.
const EXIT_LATER: u8 = 75;

/// Fetch the lists of the catalogue, check them whole, put them in place of the old ones, and tell a running gateway.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// These sources only; all that have `urls` when none is named.
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Take a list that lost or gained more entries than the catalogue allows.
    #[arg(long)]
    accept_change: bool,
    /// Fetch also what has not changed.
    #[arg(long)]
    force: bool,
    /// Put the version before the last update in place again.
    #[arg(long, requires = "sources", conflicts_with_all = ["force", "accept_change"])]
    restore: bool,
    /// Compile, and leave a running gateway with the rules it has.
    #[arg(long)]
    no_reload: bool,
    /// Certificate authorities (PEM) that are believed beside those of this machine.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Give a mirror up after this many seconds without a byte.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// One JSON object a source on stdout.
    #[arg(long)]
    json: bool,
}

/// 0: everything is up to date. 1: this machine or the gateway. 64: the catalogue, or a name. 65: a list was refused.
/// 75: a mirror could not be reached, or another update is at work.
pub fn run(args: &UpdateArgs, config: &Config) -> anyhow::Result<ExitCode> {
    if config.rules.starter {
        let directory = &config.rules.directory;
        starter::write_to(directory)
            .with_context(|| format!("cannot write the starter rules to {}: use --state", directory.display()))?;
    }
    let (rules, lists) = (config.rules.directory.join("lists"), &config.paths.lists);
    let sources = match Catalogue::read_sources(&rules, lists) {
        Ok(sources) => sources,
        Err(problems) => return super::wrong(&problems),
    };
    let chosen = match choose(args, &sources) {
        Ok(chosen) => chosen,
        Err(why) => return Ok(super::super::wrong(&why)),
    };
    let _lock = match Lock::take(lists) {
        Ok(lock) => lock,
        Err(error @ LockError::Taken { .. }) => {
            super::super::complain(&error.into());
            return Ok(ExitCode::from(EXIT_LATER));
        }
        Err(error) => return Err(error.into()),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime does not start")?;
    runtime.block_on(async {
        let code = update(args, config, &chosen).await?;
        let after = take_effect(args, config, &rules).await?;
        // What went wrong on this machine comes first: the person has to act.
        Ok(if after == ExitCode::SUCCESS { ExitCode::from(code) } else { after })
    })
}

/// The sources that are meant.
fn choose<'a>(args: &UpdateArgs, sources: &'a [Source]) -> Result<Vec<&'a Source>, String> {
    let fetched = || sources.iter().filter(|source| source.upstream.is_some());
    if args.sources.is_empty() {
        return Ok(fetched().collect());
    }
    let find = |name: &String| {
        fetched().find(|source| source.name == *name).ok_or_else(|| {
            let known: Vec<&str> = fetched().map(|source| source.name.as_str()).collect();
            format!("no source with `urls` is named `{name}`; there are: {}", known.join(", "))
        })
    };
    args.sources.iter().map(find).collect()
}

async fn update(args: &UpdateArgs, config: &Config, chosen: &[&Source]) -> anyhow::Result<u8> {
    let mut err = io::stderr().lock();
    if chosen.is_empty() {
        writeln!(err, "no source of the catalogue has `urls`: there is nothing to fetch")?;
    }
    let names = &config.resolver;
    let resolver = Resolver::new(&names.servers, names.timeout, names.cache_entries as u64)?;
    let limits = FetchLimits { silence: Duration::from_secs(args.timeout), ..FetchLimits::default() };
    let fetcher = Fetcher::new(resolver, args.ca_file.as_deref(), limits)?;
    let updater = Updater {
        fetcher: &fetcher,
        lists: &config.paths.lists,
        clock: Clock::default(),
        accept_change: args.accept_change,
        force: args.force,
    };
    let mut worst = 0;
    for source in chosen {
        if !source.is_fetched() {
            let (name, path) = (&source.name, source.path.display());
            writeln!(
                err,
                "{name}: not fetched: the catalogue reads {path}, which goes first\n  help: remove that copy"
            )?;
            continue;
        }
        let report = one(args, &updater, source).await;
        say(args.json, &report, &mut io::stdout().lock(), &mut err)?;
        worst = worse(worst, code_of(report.ending));
    }
    Ok(worst)
}

async fn one(args: &UpdateArgs, updater: &Updater<'_>, source: &Source) -> Report {
    if args.restore {
        return updater.restore(source).unwrap_or_else(|error| Report {
            source: source.name.clone(),
            ending: if matches!(error, UpdateError::Disk { .. }) { Ending::Failed } else { Ending::Refused },
            receipt: crate::fleet::receipt_of(updater.lists, source),
            entries_before: None,
            why: vec![error.to_string()],
        });
    }
    let mut watch = Watch::new(&source.name);
    match &source.upstream {
        Some(upstream) => updater.update(source, upstream, &mut |step| watch.show(step)).await,
        None => Report {
            source: source.name.clone(),
            ending: Ending::Unchanged,
            receipt: None,
            entries_before: None,
            why: Vec::new(),
        },
    }
}

fn code_of(ending: Ending) -> u8 {
    match ending {
        Ending::Updated | Ending::Unchanged | Ending::Restored => 0,
        Ending::Failed => 1,
        Ending::Refused => EXIT_REFUSED,
        Ending::Unreachable => EXIT_LATER,
    }
}

/// What a person must do something about goes before what time may heal.
fn worse(one: u8, other: u8) -> u8 {
    let rank = |code: u8| [0, EXIT_LATER, EXIT_REFUSED, 1].iter().position(|known| *known == code);
    if rank(other) > rank(one) { other } else { one }
}

/// Compiles what changed, also by an earlier run that was interrupted, and tells the gateway.
async fn take_effect(args: &UpdateArgs, config: &Config, rules: &std::path::Path) -> anyhow::Result<ExitCode> {
    let catalogue = match Catalogue::read(rules, &config.paths.lists) {
        Ok(catalogue) => catalogue,
        Err(problems) => return super::wrong(&problems),
    };
    let image = &config.paths.image;
    let mut err = io::stderr().lock();
    let is_stale = Image::open(image).map(|image| image.source_fingerprint()).ok() != Some(catalogue.fingerprint());
    if is_stale {
        let report = compile(&catalogue, image)?;
        report.problems.iter().try_for_each(|problem| writeln!(err, "{problem}"))?;
        super::summary(&mut err, &report, image)?;
    }
    if args.no_reload {
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = reload(&config.paths.control_socket, Some(image)).await;
    if is_stale && matches!(outcome, Reload::NobodyRuns) {
        writeln!(err, "no gateway is running: the lists are in force at its next start")?;
    }
    tell(outcome, &mut err)
}

/// What a running gateway made of it.
pub fn tell(outcome: Reload, err: &mut impl Write) -> anyhow::Result<ExitCode> {
    match outcome {
        Reload::NobodyRuns | Reload::NotNeeded => return Ok(ExitCode::SUCCESS),
        Reload::Done(status) => {
            writeln!(err, "the gateway (process {}) has the rules {} in force", status.pid, status.rules_version)?;
            return Ok(ExitCode::SUCCESS);
        }
        Reload::Refused(why) => {
            writeln!(err, "the gateway refuses the new rules and keeps the old ones:\n{why}")?;
        }
        Reload::Silent => {
            writeln!(err, "the gateway does not say whether it took the lists\n  help: ask it with `ecluse status`")?;
        }
        Reload::Forbidden(why) => {
            let help = "run this as the gateway's user, or `systemctl reload ecluse`";
            writeln!(err, "the gateway cannot be told: {why}\n  help: {help}")?;
        }
    }
    Ok(ExitCode::FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_sources_the_one_that_a_person_must_see_decides_the_exit_code() {
        for (codes, expected) in
            [(&[][..], 0), (&[0, 75], 75), (&[75, 0, 65], 65), (&[65, 75], 65), (&[1, 65], 1), (&[75, 1], 1)]
        {
            assert_eq!(codes.iter().fold(0, |worst, code| worse(worst, *code)), expected, "{codes:?}");
        }
    }
}

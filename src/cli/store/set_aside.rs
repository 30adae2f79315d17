//! `ecluse store set-aside`: what the store refused, or would not have kept for its date, and the way back.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::tell;
use crate::access::{Row, Timestamp};
use crate::accesslog::{Aside, AsideFile, Dates, SetAside, ShipSettings, set_aside};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{AnyStore, Batch, StoreError};

#[derive(Debug, Args)]
pub(super) struct SetAsideArgs {
    /// Send to the store what it takes now; a file goes when the store has all of it
    #[arg(long)]
    send: bool,
}

/// Shows or sends; 1 where something stays set aside.
pub(super) async fn run(args: &SetAsideArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let spool = &config.journal.directory;
    let files = set_aside(spool).with_context(|| format!("the journal {}", spool.display()))?;
    if files.is_empty() {
        tell("nothing is set aside");
        return Ok(ExitCode::SUCCESS);
    }
    if !args.send {
        for file in &files {
            tell(about(file, &read(file)?));
        }
        tell("`ecluse store set-aside --send` sends them again, once the reason is mended");
        return Ok(ExitCode::FAILURE);
    }
    let (store, dates) = (AnyStore::open(config)?, ShipSettings::of(config).dates);
    let mut stays = false;
    for file in &files {
        let found = read(file)?;
        let left = send(&store, &found, dates).await?;
        if left.is_empty() && found.problems.is_empty() {
            file.remove().with_context(|| file.path.display().to_string())?;
            tell(format_args!("{}: {} rows are in the store", file.path.display(), found.rows.len()));
            continue;
        }
        stays = true;
        tell(format_args!("{}: {} of {} rows stay set aside", file.path.display(), left.len(), found.rows.len()));
        left.iter().chain(&found.problems).take(5).for_each(|why| tell(format_args!("  {why}")));
    }
    Ok(if stays { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn read(file: &AsideFile) -> anyhow::Result<SetAside> {
    file.read().with_context(|| file.path.display().to_string())
}

fn about(file: &AsideFile, found: &SetAside) -> String {
    let why = match file.why {
        Aside::Poison => "the store refused them",
        Aside::Quarantine => "their dates cannot be right",
    };
    let starts = || found.rows.iter().map(Row::start);
    let span = match (starts().min(), starts().max()) {
        (Some(first), Some(last)) => format!(", from {first} to {last}"),
        _ => String::new(),
    };
    let at = found.at.map(|at| format!(" (set aside {at})")).unwrap_or_default();
    format!("{}: {} rows of {}{span}: {why}{at}", file.path.display(), found.rows.len(), found.stream)
}

/// Sends what the store takes; answers why the others stay. Where it refuses some rows, their halves are tried, until those that it
/// refuses are alone.
async fn send(store: &AnyStore, file: &SetAside, dates: Dates) -> anyhow::Result<Vec<String>> {
    let now = Clock::System.now();
    let (kept, mut left) = sorted(file, dates, now);
    let mut parts = vec![kept];
    let mut gaps = file.gaps.clone();
    while let Some(mut rows) = parts.pop() {
        let Some(mut batch) = Batch::of(&rows) else { continue };
        batch.gaps = std::mem::take(&mut gaps);
        match store.bring_back(&batch).await {
            Ok(()) => {}
            Err(StoreError::Poison(why)) if rows.len() == 1 => {
                gaps = batch.gaps;
                left.push(format!("{:?}: {why}", rows[0].key()));
            }
            Err(StoreError::Poison(_)) => {
                gaps = batch.gaps;
                let half = rows.split_off(rows.len() / 2);
                parts.extend([half, rows]);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(left)
}

/// The rows whose dates the store keeps, and what is wrong with the others.
fn sorted(file: &SetAside, dates: Dates, now: Timestamp) -> (Vec<Row>, Vec<String>) {
    let (mut kept, mut left) = (Vec::new(), Vec::new());
    for row in &file.rows {
        if dates.keep(file.stream, row.start(), now) {
            kept.push(row.clone());
        } else {
            left.push(format!("{:?}: it began at {}, which the store does not keep", row.key(), row.start()));
        }
    }
    (kept, left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Stream;
    use crate::store::Embedded;
    use crate::store::suite::sample::{self, Dice};
    use crate::store::suite::{self, everything, insert};

    /// Two rows of twenty that the store refuses, for it has others under their keys.
    #[tokio::test]
    async fn all_but_the_rows_that_are_refused_come_back_and_each_of_those_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = Embedded::open(folder.path()).unwrap();
        let now = Clock::System.now();
        let mut rows = sample::rows(&mut Dice::seeded(12), Stream::Accesses, 20);
        rows.iter_mut().for_each(|row| sample::set_start(row, now));
        let mut others = vec![rows[3].clone(), rows[11].clone()];
        others.iter_mut().for_each(|row| sample::set_start(row, now.minus(std::time::Duration::from_secs(1))));
        insert(&store, &others).await;
        sample::set_start(&mut rows[5], "1970-01-01T00:00:05Z".parse().unwrap());
        let found =
            SetAside { stream: Stream::Accesses, at: None, rows: rows.clone(), gaps: Vec::new(), problems: Vec::new() };
        let any = AnyStore::Embedded(store.clone());
        for _ in 0..2 {
            let left = send(&any, &found, Dates::default()).await.unwrap();
            assert_eq!(left.len(), 3, "{left:?}");
            assert!(left[0].contains("1970-01-01"), "{left:?}");
            let kept = suite::search(&store, &everything(Stream::Accesses)).await;
            assert_eq!(kept.len(), 20 - 3 + 2, "each once, and those that were there");
        }
    }
}

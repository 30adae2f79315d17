//! `ecluse store reconcile`: what the server acknowledged and this gateway still has, held against what the server has.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::{server, tell};
use crate::access::{Row, Stream};
use crate::accesslog::acknowledged;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::Batch;
use crate::store::clickhouse::Compared;

#[derive(Debug, Args)]
pub(super) struct ReconcileArgs {
    /// Send again, under a new token, what the server has not
    #[arg(long)]
    send: bool,
}

/// Rows compared, and sent again, at once.
const AT_ONCE: usize = 20_000;

/// Runs it; 1 where the two differ and nothing was done about it.
pub(super) async fn run(args: &ReconcileArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let store = server(config)?;
    let (mut looked_for, mut differ) = (0, false);
    for stream in Stream::ALL {
        let mut lanes: BTreeMap<u64, BTreeMap<(u64, u32), Row>> = BTreeMap::new();
        acknowledged(&config.journal.directory, *stream, |kept| {
            let rows = lanes.entry(kept.lane).or_default();
            rows.extend(kept.rows.into_iter().map(|row| ((row.key().sequence, row.key().slice), row)));
        })
        .with_context(|| format!("the journal {}", config.journal.directory.display()))?;
        for (lane, rows) in lanes {
            looked_for += rows.len();
            let rows: Vec<Row> = rows.into_values().collect();
            let mut found = Compared::default();
            for rows in rows.chunks(AT_ONCE) {
                let Compared { missing, doubled } = store.compare(rows).await?;
                found.doubled += doubled;
                found.missing.extend(missing);
            }
            if found.doubled > 0 {
                differ = true;
                tell(format_args!("{stream} of lane {lane}: {} rows are there more than once", found.doubled));
            }
            if found.missing.is_empty() {
                continue;
            }
            tell(format_args!("{stream} of lane {lane}: {} rows are missing", found.missing.len()));
            if args.send {
                let attempt = Clock::System.now().as_micros().to_string();
                for batch in found.missing.chunks(AT_ONCE).filter_map(Batch::of) {
                    store.insert_again(&batch, &attempt).await?;
                }
                tell(format_args!("{} rows were sent again", found.missing.len()));
            } else {
                differ = true;
            }
        }
    }
    tell(format_args!("{looked_for} acknowledged rows of this journal were looked for"));
    Ok(if differ { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

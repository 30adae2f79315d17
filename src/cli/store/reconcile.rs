//! `ecluse store reconcile`: what the server acknowledged and this gateway still has, held against what the server has.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::{server, tell};
use crate::access::{CollegeCode, Row, Stream, Timestamp};
use crate::accesslog::acknowledged;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::clickhouse::Keys;
use crate::store::{Batch, BatchToken};

#[derive(Debug, Args)]
pub(super) struct ReconcileArgs {
    /// Send again, under a new token, what the server has not
    #[arg(long)]
    send: bool,
}

/// Rows of one lane, day and college.
type Part = (u64, i32, CollegeCode);

/// Rows sent again at once.
const AT_ONCE: usize = 20_000;

/// Runs it; 1 where the two differ and nothing was done about it.
pub(super) async fn run(args: &ReconcileArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let store = server(config)?;
    let (mut compared, mut differ) = (0u64, false);
    for stream in Stream::ALL {
        let mut parts: BTreeMap<Part, BTreeMap<(u64, u32), Row>> = BTreeMap::new();
        acknowledged(&config.journal.directory, *stream, |kept| {
            for row in kept.rows {
                let key = row.key();
                let part = (kept.lane, row.start().day(), key.college.clone());
                parts.entry(part).or_default().insert((key.sequence, key.slice), row);
            }
        })
        .with_context(|| format!("the journal {}", config.journal.directory.display()))?;
        for ((lane, day, college), rows) in parts {
            compared += rows.len() as u64;
            let keys = Keys { stream: *stream, college, gateway: config.gateway.clone(), lane, day };
            let there = store.keys(&keys).await?;
            let doubled = there.values().filter(|count| **count > 1).count();
            let missing: Vec<Row> =
                rows.into_iter().filter(|(key, _)| !there.contains_key(key)).map(|(_, row)| row).collect();
            let date = Timestamp::start_of_day(day);
            if doubled > 0 {
                differ = true;
                tell(format_args!("{stream} of {date}, lane {lane}: {doubled} rows are there more than once"));
            }
            if missing.is_empty() {
                continue;
            }
            tell(format_args!("{stream} of {date}, lane {lane}: {} rows are missing", missing.len()));
            if args.send {
                let attempt = Clock::System.now().as_micros().to_string();
                for rows in missing.chunks(AT_ONCE) {
                    store.insert_again(&batch(rows), &attempt).await?;
                }
                tell(format_args!("{} rows were sent again", missing.len()));
            } else {
                differ = true;
            }
        }
    }
    tell(format_args!("{compared} acknowledged rows of this journal were looked for"));
    Ok(if differ { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Rows of one lane and stream; not empty.
fn batch(rows: &[Row]) -> Batch {
    let sequences = rows.iter().map(|row| row.key().sequence);
    let key = rows[0].key();
    let token = BatchToken {
        gateway: key.gateway.clone(),
        lane: key.lane,
        stream: rows[0].stream(),
        first: sequences.clone().min().unwrap_or(0),
        last: sequences.max().unwrap_or(0),
    };
    Batch { token, rows: rows.to_vec(), gaps: Vec::new() }
}

//! `ecluse store purge`: the days that are past their duration go; the trail says which and how many rows, and a signed
//! certificate for each college names the roots whose rows they were.

use clap::Args;

use super::{ServerArgs, plan, server, tell};
use crate::access::{CollegeCode, Stream, Timestamp};
use crate::accesslog::proof::Proofs;
use crate::audit::purge::{Gone, certify};
use crate::audit::retention::Durations;
use crate::audit::trail;
use crate::clock::Clock;
use crate::config::Config;
use crate::process::open_proofs;
use crate::store::ClickHouse;
use crate::store::clickhouse::{PastDay, Plan};

#[derive(Debug, Args)]
pub(super) struct PurgeArgs {
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(args: &PurgeArgs, config: &Config) -> anyhow::Result<()> {
    let plan = plan(config, args.server.cluster.as_deref())?;
    let store = server(config)?;
    let now = Clock::System.now();
    let durations = Durations {
        accesses_days: config.retention.accesses_days,
        connections_days: config.retention.connections_days,
    };
    // Before anything goes: without a key nothing can be certified.
    let proofs = if args.server.print { None } else { Some(open_proofs(config, &Clock::System)?) };
    let mut is_nothing = true;
    for stream in Stream::ALL {
        let first_kept = durations.first_kept(*stream, now);
        for past in store.days_before(&plan, *stream, first_kept).await? {
            is_nothing = false;
            let date = Timestamp::start_of_day(past.day).to_string();
            let date = date.split('T').next().unwrap_or(&date);
            let rows = past.rows();
            let Some(proofs) = &proofs else {
                tell(format_args!("{stream} of {date}: {rows} rows would go"));
                continue;
            };
            let purge = Purge { store: &store, plan: &plan, proofs, config, now, kept_days: durations.of(*stream) };
            purge.day(*stream, &past).await?;
            tell(format_args!("{stream} of {date}: {rows} rows are deleted"));
        }
        if proofs.is_some() {
            store.purge_proofs(&plan, *stream, first_kept).await?;
        }
    }
    if is_nothing {
        tell("nothing is past its duration");
    }
    Ok(())
}

/// What deleting a day takes.
struct Purge<'a> {
    store: &'a ClickHouse,
    plan: &'a Plan,
    proofs: &'a Proofs,
    config: &'a Config,
    now: Timestamp,
    kept_days: u32,
}

impl Purge<'_> {
    async fn day(&self, stream: Stream, past: &PastDay) -> anyhow::Result<()> {
        let Purge { store, plan, proofs, config, now, kept_days } = *self;
        let mut gone = Vec::new();
        for (college, rows) in &past.rows {
            let college = CollegeCode::parse(college)?;
            let trees = store.roots_of_day(stream, &college, past.day).await?;
            gone.push((college, *rows, trees));
        }
        store.drop_day(plan, stream, past.day).await?;
        trail::purged(&config.paths.state, now, stream, past.day, past.rows(), kept_days)?;
        for (college, rows, trees) in &gone {
            let (gateway, rows, day) = (&config.gateway, *rows, past.day);
            let gone = Gone { college, gateway, stream, day, rows, kept_days, trees };
            certify(proofs.folder(), proofs.signer(), now, &gone)?;
        }
        Ok(())
    }
}

//! `ecluse store purge`: the days that are past their duration go, and the trail says which and how many rows.

use clap::Args;

use super::{ServerArgs, plan, server, tell};
use crate::access::{Stream, Timestamp};
use crate::audit::retention::Durations;
use crate::audit::trail;
use crate::clock::Clock;
use crate::config::Config;

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
    let mut is_nothing = true;
    for stream in Stream::ALL {
        for (day, rows) in store.days_before(&plan, *stream, durations.first_kept(*stream, now)).await? {
            is_nothing = false;
            let date = Timestamp::start_of_day(day).to_string();
            let date = date.split('T').next().unwrap_or(&date);
            if args.server.print {
                tell(format_args!("{stream} of {date}: {rows} rows would go"));
                continue;
            }
            store.drop_day(&plan, *stream, day).await?;
            trail::purged(&config.paths.state, now, *stream, day, rows, durations.of(*stream))?;
            tell(format_args!("{stream} of {date}: {rows} rows are deleted"));
        }
    }
    if is_nothing {
        tell("nothing is past its duration");
    }
    Ok(())
}

//! `ecluse store hold`: a legal hold is a copy. The rows of a case go into tables without a duration; the log's own go on the
//! day as ever.

use clap::Args;
use jiff::tz::TimeZone;

use super::{plan, server, tell};
use crate::access::Pseudonym;
use crate::audit::Filters;
use crate::audit::trail::{self, Asker};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::Filter;

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    /// The case's name: lower-case letters, digits and `_`
    #[arg(long, value_name = "NAME")]
    case: String,
    /// Who asked for it, and on what ground; kept in the trail
    #[arg(long)]
    reason: String,
    /// From then on, as for `log search`
    #[arg(long, value_name = "WHEN")]
    from: String,
    /// Until then, not included; a day is included
    #[arg(long, value_name = "WHEN")]
    to: String,
    /// A college's UAI code
    #[arg(long, value_name = "CODE")]
    college: String,
    /// A pseudonym
    #[arg(long)]
    person: Option<String>,
    /// A host of accesses; .example.fr also finds its subdomains
    #[arg(long)]
    host: Option<String>,
    /// accesses or connections
    #[arg(long)]
    stream: Option<String>,
}

pub(super) async fn run(args: &HoldArgs, config: &Config) -> anyhow::Result<()> {
    let fits = (1..=48).contains(&args.case.len())
        && args.case.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    anyhow::ensure!(fits, "--case: `{}` is no name: 1 to 48 lower-case letters, digits and `_`", args.case);
    anyhow::ensure!(!args.reason.trim().is_empty(), "--reason: say who asked for it, and on what ground");
    let plan = plan(config, None)?;
    let store = server(config)?;
    let filters = Filters {
        from: Some(args.from.clone()),
        to: Some(args.to.clone()),
        college: Some(args.college.clone()),
        host: args.host.clone(),
        person: args.person.clone(),
        stream: args.stream.clone(),
        ..Filters::default()
    };
    let now = Clock::System.now();
    let written = serde_json::to_value(filters.for_the_trail())?;
    // A copy is a consultation of every row in it.
    let question =
        trail::ask(&config.paths.state, now, Asker::of_this_process(), "store hold", written, Some(&args.reason))?;
    let held = match filter(&filters, args) {
        Ok(filter) => store.hold(&plan, &args.case, &filter).await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    match held {
        Ok(rows) => {
            question.answered(Clock::System.now(), rows, true, Vec::new())?;
            tell(format_args!("{rows} rows are held in the tables of case {}", args.case));
            Ok(())
        }
        Err(error) => {
            question.refused(Clock::System.now(), format!("{error:#}"))?;
            Err(error)
        }
    }
}

fn filter(filters: &Filters, args: &HoldArgs) -> anyhow::Result<Filter> {
    let zone = TimeZone::get("Europe/Paris")?;
    let mut filter = filters
        .parse(Clock::System.now(), &zone)
        .map_err(|bad| anyhow::anyhow!("{}", bad.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    if let Some(person) = &args.person {
        filter.persons = Some(vec![person.parse::<Pseudonym>().map_err(anyhow::Error::msg)?]);
    }
    Ok(filter)
}

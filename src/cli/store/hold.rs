//! `ecluse store hold` and `held`: a legal hold is a copy. The rows of a case go into tables without a duration, with the
//! package that proves them; the log's own go on the day as ever.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use jiff::tz::TimeZone;

use super::{plan, server, tell};
use crate::access::{CollegeCode, Pseudonym, Stream};
use crate::accesslog::proof::Proofs;
use crate::audit::package::{self, Carried, ExportError, ExportOrder, ROWS_MAX, Report, Trust, most_bytes};
use crate::audit::trail::{self, Asker, Question};
use crate::audit::{Filters, Pending};
use crate::clock::Clock;
use crate::config::Config;
use crate::process::open_proofs;
use crate::store::clickhouse::Plan;
use crate::store::{ClickHouse, Filter};

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
    /// Copy the rows alone: any number of them, and nothing that proves them once the others of their trees are gone
    #[arg(long)]
    without_proof: bool,
    /// The cluster's name in the server's `remote_servers`: tables on all of it
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct HeldArgs {
    /// The case's name
    #[arg(long, value_name = "NAME")]
    case: String,
    /// Why its rows leave the house; kept in the trail
    #[arg(long)]
    reason: String,
    /// The folder to make, a package for `log verify`; it must not exist
    #[arg(long, value_name = "PACKAGE")]
    out: PathBuf,
    /// accesses or connections
    #[arg(long, default_value = "accesses")]
    stream: Stream,
    /// The cluster's name, where the case was held with one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
}

fn is_a_case(name: &str) -> anyhow::Result<()> {
    let fits = (1..=48).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    ensure!(fits, "--case: `{name}` is no name: 1 to 48 lower-case letters, digits and `_`");
    Ok(())
}

fn has_a_reason(reason: &str) -> anyhow::Result<()> {
    ensure!(!reason.trim().is_empty(), "--reason: say who asked for it, and on what ground");
    Ok(())
}

pub(super) async fn run(args: &HoldArgs, config: &Config) -> anyhow::Result<()> {
    is_a_case(&args.case)?;
    has_a_reason(&args.reason)?;
    let filters = Filters {
        from: Some(args.from.clone()),
        to: Some(args.to.clone()),
        college: Some(args.college.clone()),
        host: args.host.clone(),
        person: args.person.clone(),
        stream: args.stream.clone(),
        ..Filters::default()
    };
    let written = serde_json::to_value(filters.for_the_trail())?;
    // A copy is a consultation of every row in it.
    let question = ask(config, "store hold", written.clone(), &args.reason)?;
    let number = question.number;
    let held = async {
        let filter = filter(&filters, args)?;
        let hold = Hold {
            store: &server(config)?,
            plan: &plan(config, args.cluster.as_deref())?,
            proofs: &open_proofs(config, &Clock::System)?,
            config,
            args,
        };
        hold.keep(filter, written, number).await
    };
    answer(question, held.await, |held: &Held| held.rows).map(|held| {
        tell(format_args!(
            "{} rows are held in the tables of case {}, {} of them with proof",
            held.rows, args.case, held.proven
        ));
        held.notes.iter().for_each(tell);
    })
}

pub(super) async fn held(args: &HeldArgs, config: &Config) -> anyhow::Result<()> {
    is_a_case(&args.case)?;
    has_a_reason(&args.reason)?;
    let written = serde_json::json!({ "case": args.case, "stream": args.stream.as_str() });
    let question = ask(config, "store held", written, &args.reason)?;
    let put = async {
        let (store, plan) = (server(config)?, plan(config, args.cluster.as_deref())?);
        let files = store.held_package(&plan, &args.case, args.stream, most_bytes).await?;
        let package = Carried::of(files)?;
        let report = package.verify(&Trust::default())?;
        package.put(&args.out).with_context(|| format!("--out {}", args.out.display()))?;
        Ok(report)
    };
    answer(question, put.await, |report: &Report| report.manifest.rows).map(|report| {
        tell(format_args!(
            "{}: {} rows, {} with proof",
            args.out.display(),
            report.manifest.rows,
            report.manifest.proven
        ));
    })
}

fn ask(config: &Config, command: &str, filters: serde_json::Value, reason: &str) -> anyhow::Result<Question> {
    let (state, now) = (&config.paths.state, Clock::System.now());
    Ok(trail::ask(state, now, Asker::of_this_process(), command, filters, Some(reason))?)
}

/// Writes down how the question ended.
fn answer<T>(question: Question, done: anyhow::Result<T>, rows: impl Fn(&T) -> u64) -> anyhow::Result<T> {
    let now = Clock::System.now();
    match done {
        Ok(done) => {
            question.answered(now, rows(&done), true, Vec::new())?;
            Ok(done)
        }
        Err(error) => {
            question.refused(now, format!("{error:#}"))?;
            Err(error)
        }
    }
}

/// What holding takes.
struct Hold<'a> {
    store: &'a ClickHouse,
    plan: &'a Plan,
    proofs: &'a Proofs,
    config: &'a Config,
    args: &'a HoldArgs,
}

/// Where a package is made. Not in the system's folder of passing files: these are rows.
struct Aside(PathBuf);

impl Aside {
    fn of(proofs: &Proofs, case: &str) -> Self {
        let aside = Aside(proofs.folder().join(format!(".hold-{case}")));
        aside.remove();
        aside
    }

    fn remove(&self) {
        // What is not there need not go; what cannot go is in the way of the next, which says so.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.remove();
    }
}

/// What is held.
struct Held {
    rows: u64,
    proven: u64,
    notes: Vec<String>,
}

impl Hold<'_> {
    /// The package first: it may be too large, and then nothing is held yet.
    async fn keep(&self, filter: Filter, filters: serde_json::Value, question: u64) -> anyhow::Result<Held> {
        let Hold { store, plan, proofs, args, .. } = self;
        let college = CollegeCode::parse(&args.college).context("--college")?;
        let stream = filter.stream;
        if args.without_proof {
            let rows = store.hold(plan, &args.case, &filter).await?;
            return Ok(Held { rows, proven: 0, notes: Vec::new() });
        }
        let place = Aside::of(proofs, &args.case);
        let written = self.package(filter.clone(), filters, question, &place.0).await?;
        let package = Carried::read(&place.0)?;
        package.verify(&Trust::default())?;
        let rows = store.hold(plan, &args.case, &filter).await?;
        store.hold_package(plan, &args.case, (&college, stream), package.files()).await?;
        let mut notes = written.notes;
        if rows != written.rows {
            notes.push(format!("the package of the proofs holds {} rows: others came or went meanwhile", written.rows));
        }
        if written.proven < written.rows {
            notes.push("rows without proof: their segment is not sealed yet, or its root is not here yet".to_owned());
        }
        Ok(Held { rows, proven: written.proven, notes })
    }

    async fn package(
        &self,
        filter: Filter,
        filters: serde_json::Value,
        question: u64,
        place: &Path,
    ) -> anyhow::Result<package::Written> {
        let Hold { store, proofs, config, args, .. } = self;
        let now = Clock::System.now();
        let order = ExportOrder {
            filter,
            filters,
            reason: args.reason.clone(),
            question,
            complete: false,
            college: config.college.code.clone(),
            gateway: config.gateway.clone(),
            now,
            pending: Pending { complete_up_to: None, waiting: Vec::new() }.sentence(now, &TimeZone::UTC).to_string(),
        };
        let no_stamp = None::<fn(_) -> std::future::Ready<Result<Vec<u8>, String>>>;
        match package::write(*store, order, proofs.signer(), place, no_stamp).await {
            Ok(written) => Ok(written),
            Err(error @ ExportError::TooMuch(_)) => bail!(
                "{error}; a case holds {ROWS_MAX} rows with their proof: hold them in parts, each under a name of its own, or --without-proof"
            ),
            Err(error) => Err(error.into()),
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

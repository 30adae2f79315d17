//! `ecluse log search | stats | export | verify`: what the log knows, as a table, JSON lines or CSV, or as a package that proves
//! itself.
//!
//! Every call writes its question to the trail before anything else (see [`crate::audit::trail`]), and ends with a sentence
//! that says up to when the answer is complete: under a table, and on stderr where stdout is for machines.
//! Filters are taken as texts and read here, not by clap, so that a refused question is in the trail as well.
//!
//! Rows not yet shipped, and names of persons, belong to the access log's journal: three functions given to [`run`]
//! stand for it.

mod export;
pub mod here;
mod output;
mod search;
mod stats;
mod table;
mod verify;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;

use url::Url;

use crate::access::{CollegeCode, GatewayName, PersonName, Pseudonym, Timestamp};
use crate::audit::trail::{self, Asker};
use crate::audit::{Filters, Pending, Who, missing};
use crate::clock::Clock;
use crate::store::{AnyStore, Filter, ReadError, RecordStore};
use output::Format;

/// Ask the access log. Every question is written to the trail of consultations first.
#[derive(Debug, Args)]
pub struct LogArgs {
    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Who went where, when, and why it was refused
    Search(search::SearchArgs),
    /// Counts by day, hour, decision, category, host…
    Stats(stats::StatsArgs),
    /// A signed package of rows that anybody can verify
    Export(export::ExportArgs),
    /// Check a package; needs nothing but the package
    Verify(verify::VerifyArgs),
}

impl LogArgs {
    /// The arguments of `verify`, if that is what was asked.
    fn verify(&self) -> Option<&verify::VerifyArgs> {
        match &self.command {
            LogCommand::Verify(args) => Some(args),
            _ => None,
        }
    }
}

/// What both commands take.
#[derive(Debug, Args)]
struct SharedArgs {
    /// From then on: 2026-11-23, "2026-11-23 10:00", 10:00, RFC 3339, yesterday, 2h, 7d
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// Until then, not included; a day is included
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    /// A host; .example.fr also finds its subdomains
    #[arg(long)]
    host: Option<String>,
    /// The host's subdomains too
    #[arg(long)]
    subdomains: bool,
    /// A client's address, or a network as 10.131.0.0/16
    #[arg(long, value_name = "ADDRESS")]
    client: Option<String>,
    /// A pseudonym; or a name, with --unseal and --reason
    #[arg(long)]
    person: Option<String>,
    /// The age identity that opens the sealed names
    #[arg(long, value_name = "IDENTITY")]
    unseal: Option<PathBuf>,
    /// A device's name, with --stream connections
    #[arg(long)]
    device: Option<String>,
    /// A category, as lists name it: adult, malware…
    #[arg(long)]
    category: Option<String>,
    /// refuse, forward, tunnel…; allow = whatever reached an origin; several by commas
    #[arg(long)]
    decision: Option<String>,
    /// A rule's name
    #[arg(long)]
    rule: Option<String>,
    /// The code on a block page: K7Q2-9XFM
    #[arg(long)]
    reference: Option<String>,
    /// A college's UAI code
    #[arg(long)]
    college: Option<String>,
    /// accesses or connections
    #[arg(long)]
    stream: Option<String>,
    /// Why you ask; kept in the trail
    #[arg(long)]
    reason: Option<String>,
}

impl SharedArgs {
    fn filters(&self) -> Filters {
        Filters {
            from: self.from.clone(),
            to: self.to.clone(),
            host: self.host.clone(),
            subdomains: self.subdomains,
            client: self.client.clone(),
            person: self.person.clone(),
            device: self.device.clone(),
            category: self.category.clone(),
            decision: self.decision.clone(),
            rule: self.rule.clone(),
            reference: self.reference.clone(),
            college: self.college.clone(),
            stream: self.stream.clone(),
        }
    }
}

/// Where things are, and what time it is.
#[derive(Clone)]
pub struct Places {
    pub store: AnyStore,
    /// The state directory: the trail is in it.
    pub state: PathBuf,
    pub clock: Clock,
    /// Local time for people; the logs themselves are UTC.
    pub zone: TimeZone,
    /// Characters a line of a table may have; `None` where stdout is no terminal.
    pub width: Option<usize>,
    pub exports: Exports,
}

/// What exports are signed and stamped with.
#[derive(Clone)]
pub struct Exports {
    /// Where the gateway's key is made, if none is configured.
    pub folder: PathBuf,
    pub key_file: Option<PathBuf>,
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub tsa: Option<Url>,
}

/// Exit codes, from sysexits.h where it has one.
pub const OK: u8 = 0;
/// The answer broke off: what was shown is right, but not all.
pub const BROKE_OFF: u8 = 1;
/// `log export`: the package is whole, but not all of its rows have a proof yet.
pub const NOT_ALL_PROVEN: u8 = 3;
/// EX_DATAERR: the package was altered.
pub const ALTERED: u8 = 65;
/// EX_NOUSER: whole, but signed by an unknown key.
pub const UNKNOWN_KEY: u8 = 67;
/// EX_USAGE: a filter cannot be read.
pub const USAGE: u8 = 64;
/// EX_NOINPUT: there is no store, or it may not be read; or the identity opens nothing.
pub const NO_INPUT: u8 = 66;
/// EX_CANTCREAT: the trail cannot be written.
pub const NO_TRAIL: u8 = 73;

/// Why a command ends without an answer, or without a whole one.
#[derive(Debug)]
enum End {
    Refused(u8, String),
    BrokeOff(String),
    /// Who reads our stdout has enough: `| head`.
    Unwanted,
}

impl From<io::Error> for End {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::BrokenPipe => End::Unwanted,
            _ => End::BrokeOff(format!("stdout: {e}")),
        }
    }
}

impl From<ReadError> for End {
    fn from(e: ReadError) -> Self {
        match e {
            ReadError::Misplaced(_) => End::Refused(USAGE, e.to_string()),
            ReadError::Unreadable(why) => End::Refused(NO_INPUT, why),
            ReadError::BrokeOff(_) => End::BrokeOff(e.to_string()),
        }
    }
}

/// Runs a `log` command and gives its exit code.
///
/// `bring_in` ships what dead lanes of the journal still hold, before the store is asked; where it cannot, the answer comes
/// with a note. `pending` counts what is not in the store. `unseal(identity, name, from, to)` gives the pseudonyms that a
/// person had in a range.
pub async fn run(
    args: LogArgs,
    places: &Places,
    bring_in: impl AsyncFnOnce() -> anyhow::Result<()>,
    pending: impl Fn() -> Pending,
    unseal: impl FnOnce(&Path, &PersonName, &Filter) -> anyhow::Result<Vec<Pseudonym>>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> u8 {
    let (common, command) = match &args.command {
        LogCommand::Search(args) => (&args.common, "log search"),
        LogCommand::Stats(args) => (&args.common, "log stats"),
        LogCommand::Export(args) => (&args.common, "log export"),
        // It asks nothing of the log.
        LogCommand::Verify(_) => return USAGE,
    };
    let question = match write_down(common, command, &args, places) {
        Ok(question) => question,
        Err(e) => return say(err, NO_TRAIL, &e),
    };
    let mut shown = Shown { question: question.number, ..Shown::default() };
    let end = answer(&args, places, bring_in, pending, unseal, out, &mut shown).await;
    let now = places.clock.now();
    let (code, why, trailed) = match end {
        Ok(sentence) => (shown.code, Some(sentence), question.answered(now, shown.rows, true, shown.persons)),
        Err(End::Unwanted) => (OK, None, question.answered(now, shown.rows, false, shown.persons)),
        Err(End::BrokeOff(why)) => (BROKE_OFF, Some(why), question.answered(now, shown.rows, false, shown.persons)),
        Err(End::Refused(code, why)) => (code, Some(why.clone()), question.refused(now, why)),
    };
    for note in shown.notes.iter().chain(&why) {
        say(err, code, note);
    }
    match trailed {
        Ok(()) => code,
        Err(e) => say(err, NO_TRAIL, &e),
    }
}

/// What was shown so far, for the trail, and what is to be said about it on stderr.
#[derive(Default)]
struct Shown {
    /// Its number in the trail.
    question: u64,
    rows: u64,
    persons: Vec<Pseudonym>,
    notes: Vec<String>,
    /// What the command ends with when nothing goes wrong.
    code: u8,
}

fn say(err: &mut impl Write, code: u8, what: &impl std::fmt::Display) -> u8 {
    // Nobody is left to be told.
    let _ = writeln!(err, "{what}");
    code
}

fn write_down(
    common: &SharedArgs,
    command: &str,
    args: &LogArgs,
    places: &Places,
) -> Result<trail::Question, trail::TrailError> {
    let mut filters = serde_json::to_value(common.filters().for_the_trail()).unwrap_or_default();
    if let LogCommand::Stats(args) = &args.command {
        let mut by = args.by.join(",");
        by.truncate(by.floor_char_boundary(256));
        filters["by"] = by.into();
    }
    if let LogCommand::Export(args) = &args.command
        && args.complete
    {
        filters["complete"] = true.into();
    }
    if common.unseal.is_some() {
        filters["unseal"] = true.into();
    }
    let now = places.clock.now();
    trail::ask(&places.state, now, Asker::of_this_process(), command, filters, common.reason.as_deref())
}

/// Reads the filters, brings in what is left, and answers; gives the sentence for stderr, if it was not shown already.
async fn answer(
    args: &LogArgs,
    places: &Places,
    bring_in: impl AsyncFnOnce() -> anyhow::Result<()>,
    pending: impl Fn() -> Pending,
    unseal: impl FnOnce(&Path, &PersonName, &Filter) -> anyhow::Result<Vec<Pseudonym>>,
    out: &mut impl Write,
    shown: &mut Shown,
) -> Result<String, End> {
    let (common, parsed) = match &args.command {
        LogCommand::Search(search) => (&search.common, search.parse().err()),
        LogCommand::Stats(stats) => (&stats.common, stats.parse().err()),
        LogCommand::Export(export) => (&export.common, export.parse().err()),
        LogCommand::Verify(_) => return Ok(String::new()),
    };
    let mut filter = read_filters(common, parsed.unwrap_or_default(), places)?;
    filter.persons = persons(common, &filter, unseal)?;
    shown.persons = filter.persons.clone().unwrap_or_default();
    if let Err(e) = bring_in().await {
        shown.notes.push(format!("what a dead worker left in the journal was not brought in whole: {e:#}"));
    }
    // Before the store is asked: what is shipped in between is in the answer and counted as missing, never the reverse.
    let mut sentence = pending().sentence(places.clock.now(), &places.zone).to_string();
    let store = &places.store;
    for gap in missing::sentences(&store.gaps(&filter).await?, &places.zone).iter().rev() {
        sentence = format!("{gap}\n{sentence}");
    }
    let format = match &args.command {
        LogCommand::Search(search) => search.answer(store, filter, places, out, shown).await?,
        LogCommand::Stats(stats) => stats.answer(store, filter, places, out, shown).await?,
        LogCommand::Export(export) => {
            export.answer(store, filter, places, &sentence, out, shown).await?;
            return Ok(sentence);
        }
        LogCommand::Verify(_) => return Ok(String::new()),
    };
    match format {
        Format::Table => {
            writeln!(out, "{sentence}")?;
            out.flush()?;
            Ok(format!("{} lines", shown.rows))
        }
        Format::Json | Format::Csv => {
            out.flush()?;
            Ok(sentence)
        }
    }
}

/// Everything wrong at once: the filters, then what the command has of its own.
fn read_filters(common: &SharedArgs, others: Vec<String>, places: &Places) -> Result<Filter, End> {
    let filters = common.filters();
    let read = filters.parse(places.clock.now(), &places.zone);
    let mut bad: Vec<String> = read.as_ref().err().into_iter().flatten().map(ToString::to_string).collect();
    bad.extend(others);
    bad.extend(bad_person(common));
    match read {
        Ok(filter) if bad.is_empty() => Ok(filter),
        _ => Err(End::Refused(USAGE, bad.join("\n"))),
    }
}

fn bad_person(common: &SharedArgs) -> Option<String> {
    let Who::Name(_) = Who::parse(common.person.as_deref()?) else { return None };
    let cure = match (&common.unseal, &common.reason) {
        (None, _) => "a name is sealed: give --unseal IDENTITY and --reason, or the pseudonym's 32 hexadecimal digits",
        (Some(_), None) => "unsealing a name wants its --reason, which is kept in the trail",
        (Some(_), Some(_)) => return None,
    };
    Some(format!("--person: {cure}"))
}

fn persons(
    common: &SharedArgs,
    filter: &Filter,
    unseal: impl FnOnce(&Path, &PersonName, &Filter) -> anyhow::Result<Vec<Pseudonym>>,
) -> Result<Option<Vec<Pseudonym>>, End> {
    let Some(person) = &common.person else { return Ok(None) };
    match (Who::parse(person), &common.unseal) {
        (Who::Pseudonym(pseudonym), _) => Ok(Some(vec![pseudonym])),
        (Who::Name(name), Some(identity)) => {
            let unsealed = unseal(identity, &name, filter);
            unsealed.map(Some).map_err(|e| End::Refused(NO_INPUT, format!("the names were not unsealed: {e:#}")))
        }
        (Who::Name(_), None) => Ok(Some(Vec::new())),
    }
}

/// The instant as people here read it: `2026-11-23 10:04:12`.
fn local(at: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(at.to_jiff()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests;

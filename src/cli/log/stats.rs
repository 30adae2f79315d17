//! `ecluse log stats`.

use std::io::{self, Write};

use clap::Args;
use serde::Serialize;

use super::output::Format;
use super::{End, Places, SharedArgs, Shown, table};
use crate::access::{Stream, Timestamp};
use crate::audit::csv;
use crate::store::{Dimension, Filter, Question, RecordStore, Tally};

#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    #[command(flatten)]
    pub common: SharedArgs,
    /// table, json (one object a line) or csv
    #[arg(long, default_value = "table")]
    format: String,
    /// day, hour, decision, category, host, rule, college, protocol, ending; several by commas
    #[arg(long, value_delimiter = ',')]
    pub by: Vec<String>,
    /// The highest so many of each
    #[arg(long, default_value = "20", value_name = "NUMBER")]
    top: String,
}

pub(super) struct Parsed {
    format: Format,
    by: Vec<Dimension>,
    top: u32,
}

/// One line of counts, as machines get it.
#[derive(Serialize)]
struct Line {
    by: &'static str,
    #[serde(flatten)]
    tally: Tally,
}

const COLUMNS: &[&str] = &["by", "key", "number", "bytes_up", "bytes_down"];

impl StatsArgs {
    pub fn parse(&self) -> Result<Parsed, Vec<String>> {
        let mut bad = Vec::new();
        let format = self.format.parse().map_err(|e| bad.push(e)).ok();
        let top: Option<u32> = self.top.parse().ok().filter(|top| *top > 0);
        if top.is_none() {
            bad.push(format!("--top: `{}` is no number: write 1 or more", self.top));
        }
        let by: Vec<Dimension> =
            self.by.iter().filter_map(|word| dimension(word).map_err(|e| bad.push(e)).ok()).collect();
        match (format, top) {
            (Some(format), Some(top)) if bad.is_empty() => Ok(Parsed { format, by, top }),
            _ => Err(bad),
        }
    }

    pub async fn answer(
        &self,
        store: &impl RecordStore,
        filter: Filter,
        places: &Places,
        out: &mut impl Write,
        shown: &mut Shown,
    ) -> Result<Format, End> {
        let parsed = self.parse().map_err(|bad| End::Refused(super::USAGE, bad.join("\n")))?;
        let by = if parsed.by.is_empty() { usual(filter.stream).to_vec() } else { parsed.by };
        let mut lines = Vec::new();
        for by in by {
            let question = Question { filter: filter.clone(), by, zone: places.zone.clone(), top: parsed.top };
            let tallies = store.stats(&question).await?;
            lines.extend(tallies.into_iter().map(|tally| Line { by: by.as_str(), tally }));
        }
        shown.rows = lines.len() as u64;
        match parsed.format {
            Format::Table => show(&lines, filter.stream, places, out)?,
            Format::Json => json(&lines, out)?,
            Format::Csv => csv::lines(COLUMNS, &lines, out)?,
        }
        Ok(parsed.format)
    }
}

/// What is counted when nobody says by what.
fn usual(stream: Stream) -> &'static [Dimension] {
    match stream {
        Stream::Accesses => &[Dimension::Decision, Dimension::Category, Dimension::Host],
        Stream::Connections => &[Dimension::Decision, Dimension::Protocol],
    }
}

fn dimension(word: &str) -> Result<Dimension, String> {
    let known = || Dimension::ALL.iter().map(|by| by.as_str()).collect::<Vec<_>>().join(", ");
    let found = Dimension::ALL.iter().find(|by| by.as_str() == word).copied();
    found.ok_or_else(|| format!("--by: `{word}` is none of: {}", known()))
}

fn json(lines: &[Line], out: &mut impl Write) -> io::Result<()> {
    for line in lines {
        serde_json::to_writer(&mut *out, line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn show(lines: &[Line], stream: Stream, places: &Places, out: &mut impl Write) -> io::Result<()> {
    let number = match stream {
        Stream::Accesses => "Accès",
        Stream::Connections => "Connexions",
    };
    for group in lines.chunk_by(|a, b| a.by == b.by) {
        let heading = heading(group[0].by);
        writeln!(out, "{number:>12}  {:>16}  {:>16}  {heading}", "Octets montants", "Octets reçus")?;
        for Line { by, tally } in group {
            let key = match tally.key.parse::<Timestamp>() {
                Ok(hour) if *by == Dimension::Hour.as_str() => super::local(hour, &places.zone),
                _ if tally.key.is_empty() => "-".to_owned(),
                _ => tally.key.clone(),
            };
            let line = format!("{:>12}  {:>16}  {:>16}  {key}", tally.number, tally.bytes_up, tally.bytes_down);
            writeln!(out, "{}", table::fit(&line, places.width))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn heading(by: &str) -> &'static str {
    match by {
        "day" => "Jour",
        "hour" => "Heure",
        "decision" => "Décision",
        "category" => "Catégorie",
        "host" => "Hôte",
        "rule" => "Règle",
        "college" => "Collège",
        "protocol" => "Protocole",
        _ => "Fin",
    }
}

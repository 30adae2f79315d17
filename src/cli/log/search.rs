//! `ecluse log search`.

use std::io::Write;

use clap::Args;

use super::output::{Format, Rows};
use super::table::Table;
use super::{End, Places, SharedArgs, Shown};
use crate::store::{Filter, Order, Query, RecordStore};

/// What a table shows when no limit is given: about what a person reads. Machines get everything.
const TABLE_LIMIT: u64 = 100;

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    #[command(flatten)]
    pub common: SharedArgs,
    /// table, json (one object a line) or csv
    #[arg(long, default_value = "table")]
    format: String,
    /// At most so many rows (a table: 100; json, csv: all)
    #[arg(long, value_name = "ROWS")]
    limit: Option<String>,
    /// In order of time; otherwise the newest come first
    #[arg(long)]
    oldest_first: bool,
}

pub(super) struct Parsed {
    format: Format,
    limit: Option<u64>,
}

impl SearchArgs {
    pub fn parse(&self) -> Result<Parsed, Vec<String>> {
        let format = self.format.parse();
        let limit = match self.limit.as_deref() {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(limit) if limit > 0 => Ok(Some(limit)),
                _ => Err(format!("--limit: `{text}` is no number of rows: write 1 or more")),
            },
        };
        match (format, limit) {
            (Ok(format), Ok(limit)) => Ok(Parsed { format, limit }),
            (format, limit) => Err(format.err().into_iter().chain(limit.err()).collect()),
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
        let limit = parsed.limit.or((parsed.format == Format::Table).then_some(TABLE_LIMIT));
        let order = if self.oldest_first { Order::OldestFirst } else { Order::NewestFirst };
        let stream = filter.stream;
        // One more than shown tells whether there are more.
        let query = Query { filter, order, limit: limit.map(|limit| limit.saturating_add(1)) };
        let mut found = store.search(&query).await?;
        let rows = Rows::new(parsed.format, stream, || Table::new(stream, places.zone.clone(), places.width));
        rows.begin(out)?;
        while let Some(row) = found.next().await {
            let row = row?;
            if Some(shown.rows) == limit {
                shown.notes.push(format!("there are more than these {} rows: see --limit, --from, --to", shown.rows));
                break;
            }
            rows.row(&row, out)?;
            shown.rows += 1;
        }
        Ok(parsed.format)
    }
}

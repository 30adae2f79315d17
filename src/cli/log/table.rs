//! A table for people: French headings, local time, the words of the log.
//!
//! Columns have fixed widths, so that rows can be shown as they come; the last one takes what is left of the
//! terminal's line. Nothing from outside reaches the terminal as a control character.

use std::io::{self, Write};
use std::net::IpAddr;

use jiff::tz::TimeZone;

use crate::access::{AccessRow, ConnectionRow, Row, Stream};

pub(super) struct Table {
    stream: Stream,
    zone: TimeZone,
    width: Option<usize>,
}

const ACCESSES: &[(&str, usize)] = &[
    ("Heure", 19),
    ("Décision", 8),
    ("Client", 15),
    ("Personne", 8),
    ("Catégorie", 14),
    ("Référence", 9),
    ("Adresse", 0),
];
const CONNECTIONS: &[(&str, usize)] =
    &[("Heure", 19), ("Décision", 8), ("Client", 21), ("Personne", 8), ("Sortie", 21), ("Origine", 21), ("Fin", 0)];

impl Table {
    pub fn new(stream: Stream, zone: TimeZone, width: Option<usize>) -> Self {
        Table { stream, zone, width }
    }

    pub fn begin(&self, out: &mut impl Write) -> io::Result<()> {
        let headings: Vec<String> = self.columns().iter().map(|(heading, _)| (*heading).to_owned()).collect();
        self.line(&headings, out)
    }

    pub fn row(&self, row: &Row, out: &mut impl Write) -> io::Result<()> {
        match row {
            Row::Access(row) => self.line(&self.access(row), out),
            Row::Connection(row) => self.line(&self.connection(row), out),
        }
    }

    fn columns(&self) -> &'static [(&'static str, usize)] {
        match self.stream {
            Stream::Accesses => ACCESSES,
            Stream::Connections => CONNECTIONS,
        }
    }

    fn access(&self, row: &AccessRow) -> Vec<String> {
        let record = &row.record;
        vec![
            super::local(record.start, &self.zone),
            record.action.to_string(),
            record.client_address.map_or("-".into(), |a| a.to_string()),
            record.person.map_or("-".into(), |p| p.to_string()[..8].to_owned()),
            or_dash(&record.category),
            record.reference.map_or("-".into(), |r| r.to_string()),
            place(row),
        ]
    }

    fn connection(&self, row: &ConnectionRow) -> Vec<String> {
        let record = &row.record;
        vec![
            super::local(record.start, &self.zone),
            record.action.to_string(),
            socket(record.client_address, record.client_port),
            record.person.map_or("-".into(), |p| p.to_string()[..8].to_owned()),
            socket(record.outward_address, record.outward_port),
            socket(record.origin_address, record.origin_port),
            record.ending.to_string(),
        ]
    }

    fn line(&self, cells: &[String], out: &mut impl Write) -> io::Result<()> {
        let mut line = String::new();
        for (cell, (_, width)) in cells.iter().zip(self.columns()) {
            let cell: String = cell.chars().map(|c| if is_harmless(c) { c } else { '\u{FFFD}' }).collect();
            line.push_str(&format!("{cell:<width$}  "));
        }
        writeln!(out, "{}", fit(line.trim_end(), self.width))
    }
}

/// No control character, nor one that turns the direction of writing (Unicode TR 36, "bidirectional text spoofing").
fn is_harmless(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Cuts a line to the width of the terminal.
pub(super) fn fit(line: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if line.chars().count() > width => {
            line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
        }
        _ => line.to_owned(),
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".into() } else { text.into() }
}

/// Host, port where it is not the usual one, path, and the name asked where it was another.
fn place(row: &AccessRow) -> String {
    let record = &row.record;
    let port = if matches!(record.port, 0 | 80 | 443) { String::new() } else { format!(":{}", record.port) };
    let asked = if record.asked.is_empty() { String::new() } else { format!(" (demandé : {})", record.asked) };
    format!("{}{port}{}{asked}", or_dash(&record.host), record.path)
}

fn socket(address: Option<IpAddr>, port: Option<u16>) -> String {
    match (address, port) {
        (Some(address), Some(port)) => std::net::SocketAddr::new(address, port).to_string(),
        (Some(address), None) => address.to_string(),
        (None, _) => "-".into(),
    }
}

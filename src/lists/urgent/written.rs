//! The file of urgent changes: read with every problem told, and written.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use crate::access::{CategoryName, Host, Timestamp};
use crate::matcher::urls::MAX_ENTRY_BYTES;

use super::super::Problem;
use super::super::parse::{self, Entry, LineKind};
use super::{Change, MAX_ENTRIES, Urgent, UrgentEntry};

/// A file of the most entries, each with a long reason.
const MAX_FILE_BYTES: usize = 16 << 20;
/// What fits a line of a log.
const MAX_AUTHOR: usize = 100;
const MAX_REASON: usize = 500;
const MAX_CATEGORIES: usize = 64;

const HEAD: &str = "\
# Urgent changes of the lists: taken at the next reload, merged at the next compile.
# `ecluse lists urgent` writes this file anew whenever it changes it: comments do not stay.
";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    add: Vec<Spanned<toml::Value>>,
    #[serde(default)]
    remove: Vec<Spanned<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    entry: String,
    categories: Vec<String>,
    author: String,
    date: String,
    reason: String,
}

type Fault = (String, &'static str);

pub fn parse(file: &Path, text: &str) -> Result<Urgent, Vec<Problem>> {
    let help = "the keys of an entry are `entry`, `categories`, `author`, `date` and `reason`";
    let line_of = |offset: usize| text[..text.floor_char_boundary(offset)].matches('\n').count() as u32 + 1;
    let at = |offset: usize, what: String, help: &str| {
        vec![Problem { line: Some(line_of(offset)), ..Problem::in_file(file, what, help) }]
    };
    if text.len() > MAX_FILE_BYTES {
        return Err(at(0, format!("the file is larger than {MAX_FILE_BYTES} bytes"), "make a list of it"));
    }
    let parsed: File = toml::from_str(text)
        .map_err(|error| at(error.span().map_or(0, |span| span.start), error.message().to_owned(), help))?;
    let mut problems = Vec::new();
    let mut entries = Vec::new();
    let added = parsed.add.into_iter().map(|value| (Change::Add, value));
    for (change, value) in added.chain(parsed.remove.into_iter().map(|value| (Change::Remove, value))) {
        let offset = value.span().start;
        let read = value.into_inner().try_into::<Written>().map_err(|error| (error.message().to_owned(), help));
        match read.and_then(|written| check(change, written, line_of(offset))) {
            Ok(entry) => entries.push(entry),
            Err((what, help)) => problems.extend(at(offset, what, help)),
        }
    }
    // The order of the file, in which they are read and written.
    entries.sort_by_key(|entry| entry.line);
    let urgent = Urgent { entries };
    if urgent.entries.len() > MAX_ENTRIES {
        let what = format!("there are {} urgent entries, {MAX_ENTRIES} are the most", urgent.entries.len());
        problems.extend(at(0, what, "make a list of the catalogue of those that stay"));
    }
    if urgent.categories().len() > MAX_CATEGORIES {
        problems.extend(at(0, format!("more than {MAX_CATEGORIES} categories are added to"), "use fewer"));
    }
    if problems.is_empty() { Ok(urgent) } else { Err(problems) }
}

fn check(change: Change, written: Written, line: u32) -> Result<UrgentEntry, Fault> {
    let Written { entry, categories, author, date, reason } = written;
    let (host, path) = meaning(entry.trim())?;
    if categories.is_empty() || categories.iter().any(|name| name.is_empty() || !is_line(name, MAX_AUTHOR)) {
        return Err(("there is no category".to_owned(), "name the categories: `categories = [\"phishing\"]`"));
    }
    if author.trim().is_empty() || !is_line(&author, MAX_AUTHOR) {
        return Err(("there is no author".to_owned(), "say who answers for it, in at most 100 characters"));
    }
    if reason.trim().is_empty() || !is_line(&reason, MAX_REASON) {
        return Err(("there is no reason".to_owned(), "say why in one line of at most 500 characters"));
    }
    if date.parse::<Timestamp>().is_err() {
        return Err((format!("`{date}` is no instant"), "write it as `2026-11-25T02:40:00Z`"));
    }
    let categories = categories.into_iter().map(CategoryName::new).collect();
    Ok(UrgentEntry { change, entry: entry.trim().to_owned(), host, path, categories, author, date, reason, line })
}

fn is_line(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.contains(char::is_control)
}

/// Host and path of an entry as people paste it: `https://example.fr/` is all of the host.
pub fn meaning(entry: &str) -> Result<(String, String), Fault> {
    if entry.len() > MAX_ENTRY_BYTES || !is_line(entry, usize::MAX) {
        return Err(("the entry is too long, or more than one line".to_owned(), "give a host or a URL"));
    }
    let rest = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    let is_host = rest.find(['/', '?', '#', '\\']).is_none_or(|end| rest[end..] == *"/");
    if is_host {
        let host = rest.trim_end_matches('/');
        let host = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host);
        let host = host.strip_prefix("*.").or_else(|| host.strip_prefix('.')).unwrap_or(host);
        let host = Host::parse(host).map_err(|error| {
            (format!("`{entry}` is no host: {error}"), "give a host, an address or a URL without user and port")
        })?;
        return Ok((host.to_text().into_owned(), String::new()));
    }
    let mut found = None;
    parse::parse_line(LineKind::Url, entry, &mut |read| {
        if let Entry::Url { site, text } = read {
            found = Some((site.to_owned(), text[site.len()..].to_owned()));
        }
    })
    .map_err(|fault| (format!("`{entry}`: {}", fault.what), fault.help))?;
    found.ok_or((format!("`{entry}` says nothing"), "give a host, an address or a URL"))
}

pub fn to_text(urgent: &Urgent) -> String {
    let mut text = HEAD.to_owned();
    let quoted = |value: &str| toml::Value::from(value).to_string();
    for entry in &urgent.entries {
        let table = match entry.change {
            Change::Add => "add",
            Change::Remove => "remove",
        };
        let categories: Vec<String> = entry.categories.iter().map(|category| quoted(category.as_str())).collect();
        let lines = [
            ("entry", quoted(&entry.entry)),
            ("categories", format!("[{}]", categories.join(", "))),
            ("author", quoted(&entry.author)),
            ("date", quoted(&entry.date)),
            ("reason", quoted(&entry.reason)),
        ];
        text.push_str(&format!("\n[[{table}]]\n"));
        lines.iter().for_each(|(key, value)| text.push_str(&format!("{key} = {value}\n")));
    }
    text
}

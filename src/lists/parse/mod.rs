//! Lines of lists, whatever the list's format.
//!
//! A parser takes one line and gives what it says, in canonical spelling, or what is wrong with it and the cure. None
//! of them stops at a bad line, and none trusts its length.

mod lines;
mod names;
mod networks;
mod rules;
mod urls;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::matcher::patterns::PatternSet;

pub use lines::{MAX_FILE_BYTES, MAX_LINES, for_each_line};
pub use names::is_plain_name;

/// What the lines of one file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    Domain,
    Hosts,
    Url,
    Expression,
    Network,
    /// Of an ad blocker.
    Rule,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A canonical name.
    Name(&'a str),
    Network(IpNet),
    /// A site and, in `text`, the site with the canonical path behind it.
    Url {
        site: &'a str,
        text: &'a str,
    },
    Expression(&'a str),
    /// A rule of an ad blocker as it was written, and the host that it is about where it names one.
    Rule {
        host: Option<&'a str>,
        text: &'a str,
    },
}

/// What is wrong with a line, and the cure.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub what: String,
    pub help: &'static str,
}

impl Fault {
    fn new(what: impl Into<String>, help: &'static str) -> Self {
        Fault { what: what.into(), help }
    }
}

/// Gives every entry of a line to `sink`; a comment and an empty line have none.
pub fn parse_line(kind: LineKind, line: &str, sink: &mut dyn FnMut(Entry<'_>)) -> Result<(), Fault> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with('#') && kind != LineKind::Rule {
        return Ok(());
    }
    match kind {
        LineKind::Domain => names::parse_domain(line, sink),
        LineKind::Hosts => names::parse_hosts(line, sink),
        LineKind::Url => urls::parse_url(line, sink),
        LineKind::Network => networks::parse_network(line, sink),
        LineKind::Expression => parse_expression(line, sink),
        LineKind::Rule => rules::parse_rule(line, sink),
    }
}

fn parse_expression(line: &str, sink: &mut dyn FnMut(Entry<'_>)) -> Result<(), Fault> {
    if !line.is_ascii() {
        let help = "write it as it stands in a URL: percent-encoded, `é` as `%c3%a9`";
        return Err(Fault::new("the expression holds characters that no URL has", help));
    }
    PatternSet::check(line).map_err(|error| {
        Fault::new(error.to_string(), "the syntax is that of POSIX extended expressions, without back-references")
    })?;
    sink(Entry::Expression(line));
    Ok(())
}

fn single(address: IpAddr) -> Entry<'static> {
    Entry::Network(IpNet::from(address))
}

/// A line without the comment behind it.
fn without_comment(line: &str) -> &str {
    match line.split_once(" #").or_else(|| line.split_once("\t#")) {
        Some((text, _)) => text.trim_ascii_end(),
        None => line,
    }
}

#[cfg(test)]
mod tests;

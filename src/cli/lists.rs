//! `ecluse lists`: fetch them, compile them, look at them, look things up in them.

mod update;
mod urgent;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::access::{EntryRef, Host};
use crate::config::Config;
use crate::fleet;
use crate::lists::{Candidate, Catalogue, CompileReport, Image, ListMeta, Problem, Urgent, Usage, compile};

/// Fetch the lists, compile them, show them, find something in them.
#[derive(Debug, Args)]
pub struct ListsArgs {
    #[command(subcommand)]
    pub command: ListsCommand,
}

#[derive(Debug, Subcommand)]
pub enum ListsCommand {
    /// Read every list of the catalogue and write the image that the gateway maps.
    Compile {
        /// The folder of the rules; the catalogue is its `lists/*.toml`.
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
        /// The folder of the downloaded lists.
        #[arg(long, value_name = "DIR")]
        lists: Option<PathBuf>,
        /// The image to write.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Fetch the lists that have an address, check them, and put them in force.
    Update(update::UpdateArgs),
    /// Refuse a site, or lift a false positive, within the minute.
    Urgent(urgent::UrgentArgs),
    /// What the compiled image holds, and where each source comes from.
    Show {
        #[arg(long, value_name = "FILE")]
        image: Option<PathBuf>,
    },
    /// Every list that holds a host, an address or a URL, and the line that says so.
    Find {
        #[arg(value_name = "HOST-OR-URL")]
        target: String,
        #[arg(long, value_name = "FILE")]
        image: Option<PathBuf>,
    },
}

/// 0: done. 1: `find` found nothing. 64: the catalogue has problems. Those of `update` stand there.
pub fn run(args: &ListsArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let (rules, paths) = (&config.rules.directory, &config.paths);
    let mut out = io::stdout().lock();
    match &args.command {
        ListsCommand::Compile { rules: given, lists, out: image } => {
            let or = |given: &Option<PathBuf>, default: &Path| given.clone().unwrap_or_else(|| default.to_owned());
            let rules = or(given, rules).join("lists");
            compile_image(&mut out, &rules, &or(lists, &paths.lists), &or(image, &paths.image))
        }
        ListsCommand::Update(args) => {
            drop(out);
            update::run(args, config)
        }
        ListsCommand::Urgent(args) => {
            drop(out);
            urgent::run(args, config)
        }
        ListsCommand::Show { image } => {
            show(&mut out, &open(image.as_deref(), config)?)?;
            if image.is_none() {
                show_sources(&mut out, &rules.join("lists"), &paths.lists)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        ListsCommand::Find { target, image } => find(&mut out, &open(image.as_deref(), config)?, target),
    }
}

/// The gateway's image with the urgent changes, or another one as it lies there.
fn open(given: Option<&Path>, config: &Config) -> anyhow::Result<Image> {
    let image = given.unwrap_or(&config.paths.image);
    if !image.exists() {
        anyhow::bail!("there is no image {} yet: `ecluse lists compile` makes it", image.display());
    }
    let image = Image::open(image)?;
    if given.is_some() {
        return Ok(image);
    }
    let told = |problems: Vec<Problem>| anyhow::anyhow!(lines_of(&problems));
    let urgent = Urgent::read(&config.rules.directory.join("lists")).map_err(told)?;
    image.with_urgent(urgent).map_err(|problem| told(vec![problem]))
}

fn lines_of(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn wrong(problems: &[Problem]) -> anyhow::Result<ExitCode> {
    writeln!(io::stderr(), "{}", lines_of(problems))?;
    Ok(ExitCode::from(super::EXIT_USAGE))
}

fn compile_image(out: &mut impl Write, rules: &Path, downloaded: &Path, image: &Path) -> anyhow::Result<ExitCode> {
    let catalogue = match Catalogue::read(rules, downloaded) {
        Ok(catalogue) => catalogue,
        Err(problems) => return wrong(&problems),
    };
    let report = compile(&catalogue, image)?;
    let mut err = io::stderr().lock();
    catalogue.notes.iter().chain(&report.problems).try_for_each(|problem| writeln!(err, "{problem}"))?;
    summary(out, &report, image)?;
    Ok(ExitCode::SUCCESS)
}

fn summary(out: &mut impl Write, report: &CompileReport, image: &Path) -> io::Result<()> {
    let totals = &report.totals;
    writeln!(
        out,
        "{}: {} lists, {} names, {} networks, {} URLs, {} expressions, {} bytes; {} lines could not be used",
        image.display(),
        report.lists.len(),
        totals.names,
        totals.networks,
        totals.urls,
        totals.expressions,
        report.bytes,
        totals.bad_lines
    )
}

fn show(out: &mut impl Write, image: &Image) -> io::Result<()> {
    writeln!(out, "{:<36} {:<24} {:>9} {:<5} {:<10} licence", "list", "category", "entries", "usage", "date")?;
    for list in image.lists() {
        writeln!(
            out,
            "{:<36} {:<24} {:>9} {:<5} {:<10} {}",
            list.name,
            list.category,
            list.entries,
            usage_text(list),
            list.source_date.as_deref().unwrap_or("-"),
            list.licence
        )?;
        for alias in &list.aliases {
            writeln!(out, "  = {alias}")?;
        }
    }
    let (hot, all) = image.sizes();
    writeln!(out, "{} lists, {} MiB in memory of {} MiB", image.lists().len(), hot >> 20, all >> 20)
}

/// Where each source lies and, where it was fetched, what is known of that.
fn show_sources(out: &mut impl Write, rules: &Path, downloaded: &Path) -> io::Result<()> {
    let sources = match Catalogue::read_sources(rules, downloaded) {
        Ok(sources) => sources,
        Err(problems) => {
            let mut err = io::stderr().lock();
            return problems.iter().try_for_each(|problem| writeln!(err, "{problem}"));
        }
    };
    for source in sources {
        let (name, path) = (&source.name, source.path.display());
        match (source.present, fleet::receipt_of(downloaded, &source).filter(|_| source.is_fetched())) {
            (false, _) => writeln!(out, "{name}: absent")?,
            (true, None) => writeln!(out, "{name}: {path}")?,
            (true, Some(receipt)) => writeln!(out, "{name}: {}", update::provenance(&receipt))?,
        }
    }
    Ok(())
}

fn usage_text(list: &ListMeta) -> &'static str {
    match list.usage {
        Some(Usage::Black) => "black",
        Some(Usage::White) => "white",
        Some(Usage::Both) => "both",
        None => "-",
    }
}

fn find(out: &mut impl Write, image: &Image, target: &str) -> anyhow::Result<ExitCode> {
    let candidate = candidate_of(target)?;
    let found = image.matches(&candidate);
    for list in found.iter() {
        let Some(meta) = image.list(list) else { continue };
        match image.entry(list, &candidate) {
            Some(entry) => {
                let EntryRef { text, file, line, .. } = &entry;
                write!(out, "{} ({}): `{text}`, line {line} of {file}", meta.name, meta.category)?;
                let signed: Vec<&str> = entry.author.iter().chain(&entry.date).map(String::as_str).collect();
                writeln!(out, "{}{}", if signed.is_empty() { "" } else { ", by " }, signed.join(", "))?;
            }
            None => writeln!(out, "{} ({})", meta.name, meta.category)?,
        }
    }
    if found.is_empty() {
        writeln!(out, "no list holds {}", candidate.text())?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// A host, an address or a URL as people paste it.
fn candidate_of(target: &str) -> anyhow::Result<Candidate> {
    let target = target.trim();
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host_end);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.contains(':') => host,
        Some((host, port)) if host.ends_with(']') && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = Host::parse(host).with_context(|| format!("`{target}` is no host, address or URL"))?;
    Ok(Candidate::new(&host, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::{Format, ListText};

    #[test]
    fn what_people_paste_is_found_with_list_and_line() {
        let domains = ListText::new("ours", "ours", Format::Domains, "# ours\nexample.fr\n10.1.2.3\n");
        let urls = ListText::new("pages", "pages", Format::Urls, "example.net/a\n");
        let image = Image::from_texts(&[domains, urls]).unwrap();
        for (target, expected) in [
            ("www.example.fr", "ours (ours): `example.fr`, line 2 of ours\n"),
            ("https://user@WWW.example.fr:8443/x?y#z", "ours (ours): `example.fr`, line 2 of ours\n"),
            ("http://10.1.515/", "ours (ours): `10.1.2.3`, line 3 of ours\n"),
            ("http://www.example.net/a/b", "pages (pages): `example.net/a`, line 1 of pages\n"),
            ("example.net", "no list holds example.net\n"),
        ] {
            let mut out = Vec::new();
            let _ = find(&mut out, &image, target).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{target}");
        }
        assert!(candidate_of("a b").is_err());
    }
}

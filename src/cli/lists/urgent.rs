//! `ecluse lists urgent`: a site refused, or a false positive lifted, within the minute.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::access::CategoryName;
use crate::cli::check::{Images, load_rules};
use crate::clock::Clock;
use crate::config::Config;
use crate::fleet::install::{Reload, reload};
use crate::lists::{Change, Urgent, UrgentEntry};
use crate::policy::Ruleset;

/// Change the lists at once: `urgent.toml` beside the catalogue is written, and a running gateway takes it.
#[derive(Debug, Args)]
pub struct UrgentArgs {
    #[command(subcommand)]
    command: UrgentCommand,
}

#[derive(Debug, Subcommand)]
enum UrgentCommand {
    /// Put a host (and all below it), an address or a URL into categories.
    Add(ChangeArgs),
    /// Lift what the lists say of a host (and of all below it), an address or a URL.
    Remove(ChangeArgs),
    /// Take the urgent changes of an entry back: what the lists say holds again.
    Withdraw {
        #[arg(value_name = "HOST-OR-URL")]
        entry: String,
        /// Leave a running gateway with the rules it has.
        #[arg(long)]
        no_reload: bool,
    },
    /// Every urgent change, with its author, date and reason.
    Show {
        /// One JSON object a change.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct ChangeArgs {
    #[arg(value_name = "HOST-OR-URL")]
    entry: String,
    /// The category; may be given again. `remove` without it: every category that is made to refuse and holds the entry.
    #[arg(long, value_name = "CATEGORY")]
    category: Vec<String>,
    /// Why, in one line: it stands in the file for those who ask later.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who answers for it [default: the user's name].
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Leave a running gateway with the rules it has.
    #[arg(long)]
    no_reload: bool,
}

/// 0: done, and in force if a gateway runs. 1: this machine or the gateway. 64: the command line or the rules are wrong.
pub fn run(args: &UrgentArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let folder = config.rules.directory.join("lists");
    if let UrgentCommand::Show { json } = args.command {
        return match Urgent::read(&folder) {
            Ok(urgent) => show(&urgent, json, &mut io::stdout().lock()),
            Err(problems) => super::wrong(&problems),
        };
    }
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    // Two people at a time: the second reads what the first wrote.
    let lock = File::open(&folder).and_then(|folder| folder.lock().map(|()| folder));
    let _lock = lock.with_context(|| format!("{} cannot be locked", folder.display()))?;
    let loaded = match load_rules(config, Images::AsTheyAre)? {
        Ok(loaded) => loaded,
        Err(problems) => {
            writeln!(io::stderr(), "{problems}")?;
            return Ok(ExitCode::from(super::super::EXIT_USAGE));
        }
    };
    let urgent = match Urgent::read(&folder) {
        Ok(urgent) => urgent,
        Err(problems) => return super::wrong(&problems),
    };
    let (changed, no_reload) = match &args.command {
        UrgentCommand::Add(args) => (changed(Change::Add, args, urgent, &loaded.ruleset), args.no_reload),
        UrgentCommand::Remove(args) => (changed(Change::Remove, args, urgent, &loaded.ruleset), args.no_reload),
        UrgentCommand::Withdraw { entry, no_reload } => (withdrawn(entry, urgent), *no_reload),
        UrgentCommand::Show { .. } => return Ok(ExitCode::SUCCESS),
    };
    let changed = match changed.and_then(|urgent| checked(&folder, &urgent)) {
        Ok(changed) => changed,
        Err(why) => return Ok(super::super::wrong(&why)),
    };
    replace(&folder, &changed)?;
    take_effect(config, no_reload)
}

/// The changes with one more. What was said of the same entry in the same categories before is replaced by it.
fn changed(change: Change, args: &ChangeArgs, mut urgent: Urgent, rules: &Ruleset) -> Result<Urgent, String> {
    let categories = match (&args.category[..], change) {
        ([], Change::Add) => return Err("--category: say which category it belongs to".to_owned()),
        ([], Change::Remove) => holding(&args.entry, rules)?,
        (given, _) => given.iter().map(|name| known(name, rules)).collect::<Result<_, _>>()?,
    };
    let user = || ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let author = args.author.clone().or_else(user).ok_or("--author: say who answers for it")?;
    let said = UrgentEntry::new(change, &args.entry, categories, author, Clock::default().now(), &args.reason)?;
    for earlier in urgent.entries.iter_mut().filter(|earlier| earlier.is_about_the_same(&said)) {
        earlier.categories.retain(|category| !said.categories.contains(category));
    }
    urgent.entries.retain(|earlier| !earlier.categories.is_empty());
    urgent.entries.push(said);
    Ok(urgent)
}

/// A category as the policy or the lists call it.
fn known(name: &str, rules: &Ruleset) -> Result<CategoryName, String> {
    let found = rules.category(&CategoryName::new(name)).map(|category| category.name.clone());
    found.ok_or_else(|| {
        let known: Vec<&str> = rules.categories().iter().map(|category| category.name.as_str()).collect();
        format!("--category: neither the policy nor a list knows `{name}`; there are: {}", known.join(", "))
    })
}

/// Every category that is made to refuse and holds the entry.
fn holding(entry: &str, rules: &Ruleset) -> Result<Vec<CategoryName>, String> {
    let candidate = super::candidate_of(entry).map_err(|error| format!("{error:#}"))?;
    let image = rules.image();
    let mut categories: Vec<CategoryName> = Vec::new();
    for category in image.matches(&candidate).iter().filter_map(|list| image.list(list)).map(|list| &list.category) {
        if rules.category(category).is_some_and(|category| category.forbids) && !categories.contains(category) {
            categories.push(category.clone());
        }
    }
    if categories.is_empty() {
        return Err(format!("no list that is made to refuse holds `{entry}`; see `ecluse lists find {entry}`"));
    }
    Ok(categories)
}

fn withdrawn(entry: &str, mut urgent: Urgent) -> Result<Urgent, String> {
    let nobody = String::from("-");
    let meant = UrgentEntry::new(Change::Add, entry, vec!["-".into()], nobody, Clock::default().now(), "-")?;
    let before = urgent.entries.len();
    urgent.entries.retain(|entry| !entry.is_about_the_same(&meant));
    if urgent.entries.len() == before { Err(format!("there is no urgent change of `{entry}`")) } else { Ok(urgent) }
}

/// As the gateway will read it, and with the lines where it stands.
fn checked(folder: &Path, urgent: &Urgent) -> Result<Urgent, String> {
    Urgent::parse(&Urgent::file(folder), &urgent.to_text())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// Written aside, synced, renamed: a gateway that reads it meanwhile reads the old file or the new one.
fn replace(folder: &Path, urgent: &Urgent) -> anyhow::Result<()> {
    let file = Urgent::file(folder);
    let aside = file.with_extension(format!("{}.new", std::process::id()));
    let written = File::create(&aside).and_then(|mut aside| {
        aside.write_all(urgent.to_text().as_bytes())?;
        aside.sync_all()
    });
    written
        .and_then(|()| fs::rename(&aside, &file))
        .and_then(|()| File::open(folder)?.sync_all())
        .with_context(|| format!("{} cannot be written: run this as its owner", file.display()))
}

fn take_effect(config: &Config, no_reload: bool) -> anyhow::Result<ExitCode> {
    if no_reload {
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(reload(&config.paths.control_socket, None));
    let nobody = matches!(outcome, Reload::NobodyRuns);
    let mut err = io::stderr().lock();
    if nobody {
        writeln!(err, "no gateway is running: the change is in force at its next start")?;
    }
    super::update::tell(outcome, &mut err)
}

fn show(urgent: &Urgent, json: bool, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    for entry in &urgent.entries {
        if json {
            serde_json::to_writer(&mut *out, entry)?;
            writeln!(out)?;
            continue;
        }
        let change = match entry.change {
            Change::Add => "add",
            Change::Remove => "remove",
        };
        let categories: Vec<&str> = entry.categories.iter().map(CategoryName::as_str).collect();
        let UrgentEntry { entry, author, date, reason, .. } = entry;
        writeln!(out, "{change:<6} {entry} ({}): {reason}; {author}, {date}", categories.join(", "))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lists::{Format, Image, ListText};

    const POLICY: &str = "default = \"allow\"\n[groups.eleves]\ndefault = true\n[categories.press]\nlabel = \"Presse\"\n\
                          forbids = false\n[categories.adult]\nlabel = \"Adulte\"\nforbids = true\n[[rule]]\nname = \"adulte\"\ncategories = [\"adult\"]\naction = \"refuse\"\n";

    fn rules() -> Ruleset {
        let lists = [
            ListText::new("adult", "adult", Format::Domains, "blog.example\n"),
            ListText::new("press", "press", Format::Domains, "blog.example\n"),
        ];
        let image = Arc::new(Image::from_texts(&lists).unwrap());
        Ruleset::from_texts((Path::new("policy.toml"), POLICY), (Path::new("people.csv"), ""), image).unwrap()
    }

    fn asked(entry: &str, category: &[&str]) -> ChangeArgs {
        ChangeArgs {
            entry: entry.to_owned(),
            category: category.iter().map(|&name| name.to_owned()).collect(),
            reason: "parce que".to_owned(),
            author: Some("m.durand".to_owned()),
            no_reload: true,
        }
    }

    fn shown(urgent: &Urgent) -> String {
        let mut out = Vec::new();
        let _ = show(urgent, false, &mut out).unwrap();
        // The instant is that of the test.
        String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|line| line.rsplit_once("; ").unwrap().0)
            .collect::<Vec<_>>()
            .join("|")
    }

    #[test]
    fn a_removal_finds_the_categories_that_refuse_and_an_addition_takes_it_back() {
        let rules = rules();
        let urgent = changed(Change::Remove, &asked("https://blog.example/", &[]), Urgent::default(), &rules).unwrap();
        assert_eq!(shown(&urgent), "remove https://blog.example/ (adult): parce que");
        let urgent = changed(Change::Add, &asked("blog.example", &["adult"]), urgent, &rules).unwrap();
        assert_eq!(shown(&urgent), "add    blog.example (adult): parce que");
        assert_eq!(withdrawn("BLOG.example", urgent).unwrap(), Urgent::default());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_cure() {
        let rules = rules();
        let why = |change, entry, category: &[&str]| {
            changed(change, &asked(entry, category), Urgent::default(), &rules).unwrap_err()
        };
        assert!(why(Change::Add, "a.example", &[]).contains("--category"));
        assert!(why(Change::Add, "a.example", &["nonsense"]).contains("there are: press, adult"));
        assert!(why(Change::Add, "a b", &["adult"]).contains("is no host"));
        assert!(why(Change::Remove, "free.example", &[]).contains("no list that is made to refuse"));
        assert!(withdrawn("a.example", Urgent::default()).unwrap_err().contains("no urgent change"));
    }
}

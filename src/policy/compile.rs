//! From the text of a policy to its compiled form: every name resolved, every problem found.

mod rules;
mod shadow;

use std::collections::HashMap;
use std::path::Path;

use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::ech::PublicNames;
use super::embedded::Embeds;
use super::expect::Expectation;
use super::judge::{DEFAULT_RULE, HostIndex};
use super::labels::{Category, Group, Label, RuleSummary};
use super::look_alikes::LookAlikes;
use super::names::NameLimits;
use super::people::People;
use super::rule::{MAX_GROUPS, Rule, Verdict};
use super::scanned::ScanPolicy;
use super::schedule::{DAYS, MAX_SCHEDULES, Schedule, Timetable, parse_minute};
use super::written::{WrittenCategory, WrittenGroup, WrittenPolicy, WrittenSchedule};
use crate::access::{CategoryName, Client, GroupName, RuleName};
use crate::config::suggest::did_you_mean;
use crate::config::written::{At, Document, Named, read};
use crate::config::{Problem, Problems, network};
use crate::lists::Image;

/// What `policy.toml` says, compiled.
#[derive(Debug)]
pub(super) struct Policy {
    pub name: String,
    pub default: Verdict,
    pub default_name: RuleName,
    pub categories: Vec<Category>,
    pub groups: Vec<Group>,
    pub timetable: Timetable,
    pub rules: Vec<Rule>,
    /// One for each rule.
    pub summaries: Vec<RuleSummary>,
    pub hosts: HostIndex,
    pub look_alikes: LookAlikes,
    pub embeds: Embeds,
    pub ech_public_names: PublicNames,
    pub scan: ScanPolicy,
    pub expectations: Vec<Expectation>,
    group_index: HashMap<GroupName, usize>,
    /// Longest prefix first.
    networks: Vec<(IpNet, usize)>,
    default_group: usize,
}

impl Policy {
    /// The groups of a client, one bit each; never none.
    pub fn who(&self, client: &Client, people: &People) -> u64 {
        let named = self.mask(&client.groups)
            | if client.groups.is_empty() { self.mask(people.groups_at(client.address)) } else { 0 };
        if named != 0 {
            return named;
        }
        let within = self.networks.iter().filter(|(network, _)| network.contains(&client.address));
        match within.fold(0, |mask, (_, group)| mask | 1 << group) {
            0 => 1 << self.default_group,
            mask => mask,
        }
    }

    fn mask(&self, groups: &[GroupName]) -> u64 {
        groups.iter().filter_map(|group| self.group_index.get(group)).fold(0, |mask, group| mask | 1 << group)
    }

    pub fn everybody(&self) -> u64 {
        everybody(self.groups.len())
    }

    pub fn rules_of(&self, group: &GroupName) -> impl Iterator<Item = &Rule> {
        let mask = self.mask(std::slice::from_ref(group));
        self.rules.iter().filter(move |rule| rule.who & mask != 0)
    }
}

fn everybody(groups: usize) -> u64 {
    u64::MAX.checked_shr((MAX_GROUPS - groups.clamp(1, MAX_GROUPS)) as u32).unwrap_or(u64::MAX)
}

/// Compiles both texts. What comes beside the result works and deserves a word.
pub(super) fn compile(
    (policy_file, policy_text): (&Path, &str),
    (people_file, people_text): (&Path, &str),
    image: &Image,
) -> Result<(Policy, People, Vec<Problem>), Problems> {
    let mut document = Document::new(policy_file, policy_text);
    let written: WrittenPolicy = read(&mut document);
    let groups: Vec<String> =
        written.groups.iter().flat_map(|g| &g.value.0).map(|(name, _)| name.value.clone()).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let people = People::parse(people_file, people_text, &groups);
    let mut compiler =
        Compiler { document, image, notes: Vec::new(), schedules: Vec::new(), groups, people: people.as_ref().ok() };
    let policy = compiler.policy(written);
    let (document, notes) = (compiler.document, compiler.notes);
    match (document.finish(), people) {
        (Ok(()), Ok(people)) => Ok((policy, people, notes)),
        (policy, people) => {
            let problems = [policy.err(), people.err()].into_iter().flatten().flat_map(|p| p.0);
            Err(Problems(problems.collect()))
        }
    }
}

pub(super) struct Compiler<'t> {
    pub(super) document: Document<'t>,
    pub(super) image: &'t Image,
    notes: Vec<Problem>,
    /// Names, in the order of their bits.
    schedules: Vec<String>,
    groups: Vec<&'t str>,
    /// `None` where the text of `people.csv` is broken: nothing is said about its names then.
    pub(super) people: Option<&'t People>,
}

impl Compiler<'_> {
    fn policy(&mut self, written: WrittenPolicy) -> Policy {
        let default = self.default(written.default);
        let zone = self.zone(written.time_zone);
        let categories = self.categories(written.categories.map(|at| at.value).unwrap_or_default());
        let (groups, networks, default_group) = self.groups(written.groups);
        let timetable = self.timetable(zone, written.schedules.map(|at| at.value).unwrap_or_default());
        let written_rules = written.rule.map(|at| at.value).unwrap_or_default();
        let (rules, summaries) = self.rules(written_rules, &categories);
        let expectations =
            self.expectations(written.expect.map(|at| at.value).unwrap_or_default(), &rules, &categories);
        Policy {
            name: written.name.map(|at| at.value).unwrap_or_default(),
            default,
            default_name: DEFAULT_RULE.into(),
            categories,
            timetable,
            hosts: HostIndex::new(&rules),
            look_alikes: self.look_alikes(&rules),
            ech_public_names: PublicNames::new(written.ech_public_names.as_ref(), &mut self.document),
            scan: ScanPolicy::compile(written.scan.map(|at| at.value).unwrap_or_default(), &mut self.document),
            embeds: Embeds::new(written.embeds.map(|at| at.value).unwrap_or_default(), &mut self.document),
            rules,
            summaries,
            expectations,
            group_index: groups.iter().enumerate().map(|(i, group)| (group.name.clone(), i)).collect(),
            groups,
            networks,
            default_group,
        }
    }

    fn default(&mut self, written: Option<At<String>>) -> Verdict {
        match written {
            None => {
                self.document.problem(
                    &(0..0),
                    "the policy has no `default`",
                    "say what happens where no rule decides: default = \"allow\" or \"refuse\"",
                );
                Verdict::Refuse
            }
            Some(At { value, span }) => match value.as_str() {
                "allow" => Verdict::Allow,
                "refuse" => Verdict::Refuse,
                _ => {
                    self.document.problem(&span, format!("`{value}` is no default"), "\"allow\" or \"refuse\"");
                    Verdict::Refuse
                }
            },
        }
    }

    fn zone(&mut self, written: Option<At<String>>) -> TimeZone {
        // The schools this is made for; overseas ones say theirs.
        let At { value, span } = written.unwrap_or(At { value: "Europe/Paris".to_owned(), span: 0..0 });
        TimeZone::get(&value).unwrap_or_else(|_| {
            let help = "an IANA name, as in \"Europe/Paris\" or \"Indian/Reunion\"";
            self.document.problem(&span, format!("`{value}` is no time zone"), help);
            TimeZone::UTC
        })
    }

    fn categories(&mut self, written: Named<WrittenCategory>) -> Vec<Category> {
        let mut categories = Vec::new();
        for (At { value: name, span }, At { value, .. }) in written.0 {
            let name = CategoryName::from(name.as_str());
            let label = self.label(value.label, value.label_en, name.as_str());
            let Some(forbids) = value.forbids else {
                let help =
                    "forbids = true: being listed means being refused to somebody; false: it says what the site is";
                self.document.problem(&span, format!("category `{name}` does not say whether it forbids"), help);
                continue;
            };
            categories.push(Category { name, label, forbids: forbids.value });
        }
        self.only_in_lists(&mut categories);
        categories
    }

    /// A category that lists carry and the policy doesn't know is harmless: it never refuses.
    fn only_in_lists(&mut self, categories: &mut Vec<Category>) {
        let mut unknown: Vec<&CategoryName> = self.image.lists().iter().map(|list| &list.category).collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown.retain(|name| !categories.iter().any(|category| category.name == **name));
        for name in &unknown {
            let label = Label { french: name.to_string(), english: None };
            categories.push(Category { name: (*name).clone(), label, forbids: false });
        }
        if !unknown.is_empty() {
            let names: Vec<&str> = unknown.iter().map(|name| name.as_str()).collect();
            let what = format!("lists carry categories that the policy does not declare: {}", names.join(", "));
            let mut note =
                self.document.problem_at(&(0..0), what, "declare them as [categories.…] with a label and `forbids`");
            (note.line, note.column, note.excerpt) = (None, None, None);
            self.notes.push(note);
        }
    }

    fn label(&mut self, french: Option<At<String>>, english: Option<At<String>>, name: &str) -> Label {
        for at in [&french, &english].into_iter().flatten().filter(|at| at.value.trim().is_empty()) {
            self.document.problem(&at.span, "the label is empty", "pages show it: write it, or leave the key out");
        }
        Label { french: french.map_or_else(|| name.to_owned(), |at| at.value), english: english.map(|at| at.value) }
    }

    fn groups(&mut self, written: Option<At<Named<WrittenGroup>>>) -> (Vec<Group>, Vec<(IpNet, usize)>, usize) {
        let named = written.map(|at| at.value).unwrap_or_default().0;
        let (mut groups, mut networks, mut defaults) = (Vec::new(), Vec::<(IpNet, usize)>::new(), Vec::new());
        for (i, (At { value: name, span }, At { value, .. })) in named.into_iter().enumerate() {
            if i == MAX_GROUPS {
                self.document.problem(&span, format!("more than {MAX_GROUPS} groups"), "one bit each: merge some");
                break;
            }
            if name == "*" || name.trim().is_empty() {
                self.document.problem(&span, format!("`{name}` is no name for a group"), "`*` already means everybody");
            }
            let names = NameLimits::of(&value, &mut self.document);
            for At { value: text, span } in value.networks.map(|at| at.value).unwrap_or_default() {
                match network(&text) {
                    Err((what, help)) => self.document.problem(&span, what, help),
                    Ok(network) if networks.iter().any(|(other, group)| *other == network && *group == i) => {
                        self.document.problem(&span, format!("`{text}` stands here twice"), "remove one");
                    }
                    Ok(network) => networks.push((network, i)),
                }
            }
            let default = value.default.is_some_and(|at| at.value);
            if default {
                defaults.push((i, span));
            }
            let label = self.label(value.label, value.label_en, &name);
            groups.push(Group { name: GroupName::from(name.as_str()), label, default, names });
        }
        let help = "default = true in one group: that of clients nobody knows";
        match &defaults[..] {
            [] => self.document.problem(&(0..0), "no group is the default", help),
            [_] => {}
            [_, more @ ..] => {
                more.iter().for_each(|(_, span)| self.document.problem(span, "a second default group", help))
            }
        }
        (groups, networks, defaults.first().map_or(0, |(i, _)| *i))
    }

    fn timetable(&mut self, zone: TimeZone, written: Named<WrittenSchedule>) -> Timetable {
        let mut schedules = Vec::new();
        for (At { value: name, span }, At { value, .. }) in written.0 {
            if schedules.len() == MAX_SCHEDULES {
                self.document.problem(
                    &span,
                    format!("more than {MAX_SCHEDULES} schedules"),
                    "one bit each: merge some",
                );
                break;
            }
            if name.starts_with('!') || name.trim().is_empty() {
                self.document.problem(&span, format!("`{name}` is no name for a schedule"), "`!` means outside of it");
            }
            schedules.push(self.schedule(value, &span));
            self.schedules.push(name);
        }
        Timetable::new(zone, schedules)
    }

    fn schedule(&mut self, written: WrittenSchedule, at: &std::ops::Range<usize>) -> Schedule {
        let days = match written.days {
            None => 0x7f,
            Some(days) => {
                if days.value.is_empty() {
                    self.document.problem(&days.span, "a schedule of no day", "leave `days` out for all of them");
                }
                days.value.iter().fold(0, |mask, day| mask | self.day(day))
            }
        };
        let from = self.minute(written.from, at, 0, "from");
        let to = self.minute(written.to, at, 24 * 60, "to");
        if from == to || from == 24 * 60 {
            self.document.problem(
                at,
                "this schedule has no beginning or no end",
                "a whole day is from = \"00:00\", to = \"24:00\"",
            );
        }
        Schedule { days, from, to }
    }

    fn day(&mut self, day: &At<String>) -> u8 {
        match DAYS.iter().position(|known| *known == day.value) {
            Some(index) => 1 << index,
            None => {
                let help = format!("one of: {}", DAYS.join(", "));
                self.document.problem(&day.span, format!("`{}` is no day", day.value), help);
                0
            }
        }
    }

    fn minute(&mut self, written: Option<At<String>>, at: &std::ops::Range<usize>, usual: u16, key: &str) -> u16 {
        let Some(At { value, span }) = written else {
            self.document.problem(at, format!("this schedule has no `{key}`"), "as in \"08:00\"");
            return usual;
        };
        parse_minute(&value).unwrap_or_else(|| {
            self.document.problem(
                &span,
                format!("`{value}` is no time of day"),
                "as in \"08:00\"; \"24:00\" ends the day",
            );
            usual
        })
    }

    /// The bit of a group; its absence is a problem.
    pub(super) fn group(&mut self, name: &At<String>) -> u64 {
        match self.groups.iter().take(MAX_GROUPS).position(|group| *group == name.value) {
            Some(i) => 1 << i,
            None => {
                let help = did_you_mean(&name.value, self.groups.iter().copied());
                self.document.problem(&name.span, format!("there is no group `{}`", name.value), help);
                0
            }
        }
    }
}

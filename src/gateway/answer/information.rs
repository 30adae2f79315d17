//! The information of persons (RGPD, articles 12 to 14): what is filtered, what is kept, for how long, who may see it.
//!
//! Written from the configuration in force, so that it cannot promise what the gateway does not do.

use askama::Template;

use super::wording::{Mail, clock, list, shown, weekday};
use super::{Language, STYLE, School, fill};
use crate::policy::Hours;

/// Everything the page tells. Labels are in the page's language.
#[derive(Debug, Clone)]
pub struct InformationPage<'a> {
    pub school: School<'a>,
    pub language: Language,
    pub groups: &'a [GroupFiltering<'a>],
    pub retention: Retention,
    /// Whether accesses carry the pseudonym of a person (recipients of the day keys are configured).
    pub persons_kept: bool,
    /// Whether some rule keeps the path of pages.
    pub paths_kept: bool,
    /// Whether consultations of the log need a case and leave a trail; without that the page does not promise it.
    pub trail_kept: bool,
    /// Whether any encrypted connection may be opened.
    pub inspection: bool,
    /// Whether files may be scanned.
    pub antivirus: bool,
    /// Labels of the categories and rules that are never opened.
    pub never_inspected: &'a [&'a str],
    /// The help-lines, always open and never nominative: those of [`HELP_LINES`] that the rules in force let through as such.
    pub help_lines: &'a [&'a str],
    /// The lists in use, with their licences.
    pub lists: &'a [ListCredit<'a>],
    /// The version of the rules in force.
    pub rules_version: &'a str,
}

/// What one group may not reach.
#[derive(Debug, Clone, Copy)]
pub struct GroupFiltering<'a> {
    pub label: &'a str,
    pub refused: &'a [Refused<'a>],
}

/// A refused category or rule, and when.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    pub label: &'a str,
    /// None: always.
    pub hours: &'a [Hours],
}

/// Days for which each stream is kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    pub accesses_days: u32,
    pub connections_days: u32,
}

/// A list in use: whose work it is and under which licence.
#[derive(Debug, Clone, Copy)]
pub struct ListCredit<'a> {
    pub name: &'a str,
    pub attribution: &'a str,
    pub licence: &'a str,
    /// The day of its source.
    pub date: Option<&'a str>,
}

/// The help-lines that the page names, with the host by which the rules in force are asked about each.
pub const HELP_LINES: [(&str, &str); 8] = [
    ("119, Allô enfance en danger", "www.allo119.gouv.fr"),
    ("3018, harcèlement et Internet", "3018.fr"),
    ("3114, prévention du suicide", "3114.fr"),
    ("3919, violences faites aux femmes", "www.solidaritefemmes.org"),
    ("116 006, aide aux victimes", "www.france-victimes.fr"),
    ("Fil Santé Jeunes, 0 800 235 236", "www.filsantejeunes.com"),
    ("Drogues info service, 0 800 23 13 13", "www.drogues-info-service.fr"),
    ("SOS Amitié, 09 72 39 40 50", "www.sos-amitie.com"),
];

struct Group {
    label: String,
    refused: Vec<String>,
}

#[derive(Template)]
#[template(path = "gateway/answer/templates/information.html")]
struct Information<'a> {
    style: &'static str,
    language: Language,
    school: String,
    head: Option<String>,
    contact: Option<Mail>,
    officer: Option<String>,
    officer_mail: Option<Mail>,
    groups: Vec<Group>,
    retention: Retention,
    persons_kept: bool,
    paths_kept: bool,
    trail_kept: bool,
    inspection: bool,
    antivirus: bool,
    never_inspected: Vec<String>,
    help_lines: Vec<String>,
    lists: Vec<String>,
    rules_version: &'a str,
}

/// The whole page.
pub fn information_page(page: &InformationPage<'_>) -> String {
    let words = |text: &str| shown(page.language, text);
    let group = |group: &GroupFiltering<'_>| Group {
        label: words(group.label),
        refused: group.refused.iter().map(|refused| refused_line(page.language, refused)).collect(),
    };
    fill(&Information {
        style: STYLE,
        language: page.language,
        school: words(page.school.name),
        head: page.school.head.map(words),
        contact: page.school.contact.map(Mail::to),
        officer: page.school.data_protection_officer.map(words),
        officer_mail: page.school.data_protection_officer.filter(|text| is_mail_address(text)).map(Mail::to),
        groups: page.groups.iter().map(group).collect(),
        retention: page.retention,
        persons_kept: page.persons_kept,
        paths_kept: page.paths_kept,
        trail_kept: page.trail_kept,
        inspection: page.inspection,
        antivirus: page.antivirus,
        never_inspected: page.never_inspected.iter().map(|text| words(text)).collect(),
        help_lines: page.help_lines.iter().map(|text| words(text)).collect(),
        lists: page.lists.iter().map(|credit| words(&credit_line(page.language, credit))).collect(),
        rules_version: page.rules_version,
    })
}

fn is_mail_address(text: &str) -> bool {
    text.contains('@') && !text.contains(char::is_whitespace)
}

fn credit_line(language: Language, credit: &ListCredit<'_>) -> String {
    let ListCredit { name, attribution, licence, date } = credit;
    let version = match (language, date) {
        (_, None) => String::new(),
        (Language::French, Some(date)) => format!(", version du {date}"),
        (Language::English, Some(date)) => format!(", version of {date}"),
    };
    match language {
        Language::French => format!("{name} : {attribution}, licence {licence}{version}."),
        Language::English => format!("{name}: {attribution}, licence {licence}{version}."),
    }
}

fn refused_line(language: Language, refused: &Refused<'_>) -> String {
    let label = shown(language, refused.label);
    if refused.hours.is_empty() {
        return label;
    }
    let hours: Vec<String> = refused.hours.iter().map(|hours| hours_text(language, hours)).collect();
    let hours: Vec<&str> = hours.iter().map(String::as_str).collect();
    format!("{label} ({})", list(language, &hours))
}

fn hours_text(language: Language, hours: &Hours) -> String {
    let days: Vec<&str> = hours.days.iter().map(|&day| weekday(language, day)).collect();
    let days = list(language, &days);
    let (from, to) = (clock(language, hours.from), clock(language, hours.to));
    match (language, hours.outside) {
        (Language::French, false) => format!("{days}, de {from} à {to}"),
        (Language::French, true) => format!("sauf {days}, de {from} à {to}"),
        (Language::English, false) => format!("{days}, {from} to {to}"),
        (Language::English, true) => format!("except {days}, {from} to {to}"),
    }
}

//! Promises that hold for every page: it parses, it is readable, it stands alone, and no text breaks out of its place.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::civil::{Weekday, time};

use super::*;
use crate::access::{Reference, Timestamp};
use crate::policy::Hours;

mod html;

const HOSTILE: &str = "\"><script>alert('x')</script>&amp;{{ 7*7 }}\u{202e}\r\nBcc: a@b.example?subject=x&body=y#";

fn school(text: Option<&str>) -> School<'_> {
    School {
        name: text.unwrap_or("Collège Jean-Moulin"),
        contact: Some(text.unwrap_or("filtrage@college.example")),
        data_protection_officer: Some(text.unwrap_or("dpo@academie.example")),
        head: Some(text.unwrap_or("le principal")),
        time_zone: "Europe/Paris",
    }
}

fn bare_school() -> School<'static> {
    School { name: "Collège", contact: None, data_protection_officer: None, head: None, time_zone: "Europe/Paris" }
}

fn refusal(language: Language, school: School<'_>, text: Option<&'static str>) -> String {
    block_page(&block(language, school, text))
}

fn block<'a>(language: Language, school: School<'a>, text: Option<&'a str>) -> BlockPage<'a> {
    BlockPage {
        school,
        language,
        host: text.unwrap_or("adult.test"),
        category_label: Some(text.unwrap_or("contenus réservés aux adultes")),
        rule_label: text.unwrap_or("Protection des mineurs"),
        reason: text.unwrap_or("La loi demande au collège de protéger les mineurs de ces contenus."),
        reference: Reference::from_random(0x1_2345_6789),
        time: "2026-11-23T08:15:00Z".parse().unwrap(),
        information_url: "http://ecluse.internal/information",
    }
}

fn failure(language: Language, failure: Failure, text: Option<&str>) -> String {
    error_page(&ErrorPage {
        school: school(text),
        language,
        failure,
        host: Some(text.unwrap_or("gone.test")),
        reference: Reference::from_random(7),
        time: Timestamp::from_micros(0),
        information_url: "/information",
    })
}

fn setup(language: Language, school: School<'_>, text: Option<&str>) -> String {
    setup_page(&SetupPage {
        school,
        language,
        proxy_host: text.unwrap_or("10.131.0.1"),
        proxy_port: 3128,
        pac_url: Some("http://ecluse.internal/proxy.pac"),
        information_url: "/information",
    })
}

fn information(language: Language, school: School<'_>, text: Option<&str>, inspection: bool) -> String {
    let word = |usual| text.unwrap_or(usual);
    let hours = [Hours {
        days: vec![Weekday::Monday, Weekday::Tuesday],
        from: time(8, 0, 0, 0),
        to: time(17, 30, 0, 0),
        outside: false,
    }];
    let refused = [
        Refused { label: word("jeux d’argent"), hours: &[] },
        Refused { label: word("réseaux sociaux"), hours: &hours },
    ];
    information_page(&InformationPage {
        school,
        language,
        groups: &[
            GroupFiltering { label: word("Élèves"), refused: &refused },
            GroupFiltering { label: word("Personnels"), refused: &[] },
        ],
        retention: Retention { accesses_days: 183, connections_days: 365 },
        persons_kept: inspection,
        paths_kept: inspection,
        trail_kept: inspection,
        inspection,
        antivirus: inspection,
        never_inspected: &[word("banques"), word("messageries")],
        help_lines: &[word("119 – Allô enfance en danger")],
        lists: &[ListCredit {
            name: word("UT1"),
            attribution: word("Université Toulouse Capitole"),
            licence: word("CC BY-SA 4.0"),
            date: Some(word("2026-08-17")),
        }],
        rules_version: "0123456789ab",
    })
}

/// Everything that is no virus.
const OTHERS: [What<'static>; 6] =
    [What::TooLarge, What::Encrypted, What::Undecodable, What::Bomb, What::Partial, What::NoVerdict];

fn found(language: Language, what: What<'_>, broken_off: bool, text: Option<&str>) -> String {
    scan_page(&ScanPage {
        school: school(text),
        language,
        host: text.unwrap_or("files.test"),
        what,
        broken_off,
        reference: Reference::from_random(7),
        time: Timestamp::from_micros(0),
        information_url: "/information",
    })
}

/// Each page in each language; the texts that come from outside are `text` everywhere, or the usual ones.
fn every_page(text: Option<&'static str>) -> Vec<String> {
    let mut pages = Vec::new();
    for language in [Language::French, Language::English] {
        for school in [school(text), bare_school()] {
            pages.push(refusal(language, school, text));
            pages.push(setup(language, school, text));
            pages.push(information(language, school, text, true));
            pages.push(information(language, school, text, false));
        }
        for broken_off in [false, true] {
            let virus = What::Virus(text.unwrap_or("Win.Test.EICAR_HDB-1"));
            pages.extend(OTHERS.into_iter().chain([virus]).map(|what| found(language, what, broken_off, text)));
        }
        pages.extend(Failure::ALL.map(|kind| failure(language, kind, text)));
        pages.push(connect_refusal_body(&block(language, school(text), text)));
    }
    pages
}

#[test]
fn every_page_is_well_formed() {
    for page in every_page(None).into_iter().chain(every_page(Some(HOSTILE))) {
        html::check(&page);
    }
}

#[test]
fn no_text_breaks_out_of_its_place() {
    for page in every_page(Some(HOSTILE)) {
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("\u{202e}"), "{page}");
        for tag in html::tags(&page) {
            assert!(!tag.attributes.iter().any(|(name, _)| name.starts_with("on")), "{}", tag.name);
        }
    }
}

#[test]
fn a_page_names_nothing_outside_itself() {
    for page in every_page(None) {
        for tag in html::tags(&page) {
            assert!(!["script", "img", "iframe", "form", "object"].contains(&tag.name.as_str()), "{}", tag.name);
            if tag.name == "link" {
                assert_eq!(tag.attribute("href"), Some("data:,"));
            }
            assert_eq!(tag.attribute("style"), None, "the policy of the page forbids it");
            assert_eq!(tag.attribute("src"), None);
        }
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
}

#[test]
fn the_content_security_policy_names_the_style_sheet_that_is_sent() {
    let hash = base64(digest(&SHA256, STYLE.as_bytes()).as_ref());
    let expected = format!("'sha256-{hash}'");
    assert!(CONTENT_SECURITY_POLICY.contains(&expected), "CONTENT_SECURITY_POLICY should hold {expected}");
    for page in every_page(None).iter().filter(|page| page.contains("<style>")) {
        assert!(page.contains(&format!("<style>{STYLE}</style>")), "the style sheet is sent as it is hashed");
    }
}

#[test]
fn a_refusal_says_what_which_when_and_how_to_ask() {
    let page = refusal(Language::French, school(None), None);
    for text in [
        "adult.test",
        "contenus réservés aux adultes",
        "Protection des mineurs",
        "04HM-ASW9",
        "lundi 23 novembre 2026 à 09:15:00",
        "mailto:filtrage@college.example?subject=Demande%20d%E2%80%99acc%C3%A8s%20%C3%A0%20adult.test%20",
        "04HM-ASW9%0D%0AMotif",
        "http://ecluse.internal/information",
        "3018",
    ] {
        assert!(page.contains(text) || page.contains(&text.replace('\'', "&#39;")), "{text} in {page}");
    }
    let page = refusal(Language::English, bare_school(), None);
    assert!(page.contains("lang=\"en\"") && page.contains("adult.test") && !page.contains("mailto:"));
}

#[test]
fn a_correction_link_stays_one_link_with_one_subject_and_one_body() {
    let page = refusal(Language::French, school(Some(HOSTILE)), Some(HOSTILE));
    let link = html::tags(&page)
        .into_iter()
        .find_map(|tag| tag.attribute("href").filter(|href| href.starts_with("mailto:")).map(str::to_owned))
        .expect("a link to write to the school");
    assert_eq!(link.matches('?').count(), 1, "{link}");
    assert_eq!(link.matches("&amp;").count() + link.matches("&#38;").count(), 1, "{link}");
    assert!(!link.contains(['\r', '\n', ' ', '<', '>', '"', '\'']), "{link}");
}

#[test]
fn a_refused_connect_says_the_same_in_few_words() {
    let body = connect_refusal_body(&block(Language::French, school(None), None));
    assert!(body.contains("adult.test") && body.contains("contenus réservés") && body.contains("04HM-ASW9"));
    assert!(body.len() < 600, "{}", body.len());
}

#[test]
fn each_failure_has_words_of_its_own_and_a_status_of_failure() {
    for language in [Language::French, Language::English] {
        let mut pages = Failure::ALL.map(|kind| failure(language, kind, None)).to_vec();
        pages.sort();
        pages.dedup();
        assert_eq!(pages.len(), Failure::ALL.len());
    }
    for kind in Failure::ALL {
        assert!(kind.status().is_client_error() || kind.status().is_server_error(), "{kind:?}");
    }
}

#[test]
fn what_was_found_in_a_file_is_named_and_each_kind_has_words_of_its_own() {
    for language in [Language::French, Language::English] {
        let mut pages = OTHERS.map(|what| found(language, what, false, None)).to_vec();
        let virus = found(language, What::Virus("Win.Test.EICAR_HDB-1"), true, None);
        assert!(virus.contains("Win.Test.EICAR_HDB-1") && virus.contains("files.test"), "{virus}");
        pages.push(virus);
        pages.sort();
        pages.dedup();
        assert_eq!(pages.len(), OTHERS.len() + 1);
    }
}

#[test]
fn the_information_promises_only_what_is_configured() {
    let open = information(Language::French, school(None), None, false);
    assert!(open.contains("183 jours") && open.contains("365 jours"));
    assert!(open.contains("réseaux sociaux (lundi et mardi, de 8\u{a0}h à 17\u{a0}h\u{a0}30)"));
    assert!(open.contains("ne sont <strong>pas ouvertes</strong>") && !open.contains("un code à la place du nom"));
    let inspecting = information(Language::French, school(None), None, true);
    assert!(inspecting.contains("registre") && !open.contains("registre"));
    assert!(inspecting.contains("antivirus") && !open.contains("antivirus"));
    assert!(inspecting.contains("peuvent être ouvertes") && inspecting.contains("un code à la place du nom"));
    assert!(inspecting.contains("Université Toulouse Capitole, licence CC BY-SA 4.0"));
}

#[test]
fn each_help_line_that_is_named_is_on_the_list_that_opens_it() {
    let list = include_str!("../../../rules/lists/starter/help-line/domains");
    for (label, host) in HELP_LINES {
        let listed = list.lines().any(|line| host == line || host.strip_suffix(line).is_some_and(|s| s.ends_with('.')));
        assert!(listed, "{label}: {host}");
    }
}

#[test]
fn french_pages_have_french_spaces() {
    for page in every_page(None).iter().filter(|page| page.contains("lang=\"fr\">")) {
        let text = html::text(page);
        for wrong in [" :", " ;", " ?", " !", " »", "« ", "'"] {
            let at = text.find(wrong).map(|at| text[..at].chars().rev().take(30).collect::<String>());
            assert_eq!(at.map(|s| s.chars().rev().collect::<String>()), None, "before {wrong:?}");
        }
    }
}

/// WCAG 2.2, 1.4.3 (text: 4.5) and 1.4.11 (what is not text: 3), in both colour schemes.
#[test]
fn every_pair_of_colours_can_be_read() {
    let (light, dark) = STYLE.split_once("prefers-color-scheme: dark").expect("both schemes");
    for (scheme, css) in [("light", light), ("dark", dark)] {
        let contrast = |a: &str, b: &str| contrast(colour(css, a), colour(css, b));
        for (text, ground) in [
            ("ink", "paper"),
            ("ink", "ground"),
            ("ink", "mist"),
            ("soft", "paper"),
            ("soft", "ground"),
            ("water", "paper"),
            ("water", "ground"),
            ("water", "mist"),
            ("on-water", "water"),
        ] {
            assert!(contrast(text, ground) >= 4.5, "{scheme}: {text} on {ground}: {:.2}", contrast(text, ground));
        }
    }
}

/// The value of `--name: #rrggbb`, as linear red, green and blue.
fn colour(css: &str, name: &str) -> [f64; 3] {
    let (_, rest) = css.split_once(&format!("--{name}: #")).expect("the colour is defined");
    [0, 2, 4].map(|at| {
        let value = f64::from(u8::from_str_radix(&rest[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    })
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let luminance = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = if i <= chunk.len() { char::from(DIGITS[(bits >> (18 - 6 * i) & 63) as usize]) } else { '=' };
            text.push(digit);
        }
    }
    text
}

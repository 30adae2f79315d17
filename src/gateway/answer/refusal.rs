//! The refusal: what was refused, by which rule, and how to ask for a correction.

use askama::Template;
use percent_encoding::utf8_percent_encode;

use super::wording::{MAIL_FIELD, Mail, machine_moment, moment, shown};
use super::{Language, STYLE, School, fill};
use crate::access::{Reference, Timestamp};

/// A refusal in words. It names no person (see the module).
#[derive(Debug, Clone, Copy)]
pub struct BlockPage<'a> {
    pub school: School<'a>,
    pub language: Language,
    /// As asked, without path.
    pub host: &'a str,
    /// In the page's language; absent where no list decided.
    pub category_label: Option<&'a str>,
    pub rule_label: &'a str,
    /// The rule's own sentence; empty for none.
    pub reason: &'a str,
    pub reference: Reference,
    pub time: Timestamp,
    /// Where the information of persons is: `http://ecluse.internal/information`, or `/information` of the listener.
    pub information_url: &'a str,
}

#[derive(Template)]
#[template(path = "gateway/answer/templates/block.html")]
struct Block<'a> {
    style: &'static str,
    language: Language,
    school: String,
    host: String,
    category: Option<String>,
    rule: String,
    reason: String,
    reference: String,
    moment: String,
    machine_moment: String,
    correction: Option<Correction>,
    information_url: &'a str,
}

/// The whole page.
pub fn block_page(page: &BlockPage<'_>) -> String {
    let words = |text| shown(page.language, text);
    fill(&Block {
        style: STYLE,
        language: page.language,
        school: words(page.school.name),
        host: words(page.host),
        category: page.category_label.map(words),
        rule: words(page.rule_label),
        reason: words(page.reason),
        reference: page.reference.to_string(),
        moment: moment(page.language, page.time, page.school.time_zone),
        machine_moment: machine_moment(page.time),
        correction: correction(page),
        information_url: page.information_url,
    })
}

/// The body of a refused CONNECT. Browsers do not show it; other programs and their logs do, so it is short and holds
/// the reason and the reference.
pub fn connect_refusal_body(page: &BlockPage<'_>) -> String {
    #[derive(Template)]
    #[template(path = "gateway/answer/templates/connect.html")]
    struct Connect {
        language: Language,
        host: String,
        label: String,
        reason: String,
        reference: String,
    }
    let words = |text| shown(page.language, text);
    fill(&Connect {
        language: page.language,
        host: words(page.host),
        label: words(page.category_label.unwrap_or(page.rule_label)),
        reason: words(page.reason),
        reference: page.reference.to_string(),
    })
}

struct Correction {
    contact: String,
    link: String,
}

/// A message to the contact with the reference, the host and the time filled in.
fn correction(page: &BlockPage<'_>) -> Option<Correction> {
    let contact = Mail::to(page.school.contact?);
    let host = shown(Language::English, page.host);
    let reference = page.reference;
    let when = moment(page.language, page.time, page.school.time_zone);
    let rule = shown(page.language, page.category_label.unwrap_or(page.rule_label));
    let (subject, body) = match page.language {
        Language::French => (
            format!("Demande d’accès à {host} (référence {reference})"),
            format!(
                "Bonjour,\r\n\r\nJe pense que ce site devrait être accessible\u{a0}: {host}\r\n\
                 Voici pourquoi j’en ai besoin\u{a0}:\r\n\r\n\r\n\
                 Référence\u{a0}: {reference}\r\nMotif affiché\u{a0}: {rule}\r\nMoment\u{a0}: {when}\r\n"
            ),
        ),
        Language::English => (
            format!("Request for access to {host} (reference {reference})"),
            format!(
                "Hello,\r\n\r\nI think that this site should be open: {host}\r\nWhy I need it:\r\n\r\n\r\n\
                 Reference: {reference}\r\nReason shown: {rule}\r\nTime: {when}\r\n"
            ),
        ),
    };
    let link = format!(
        "{}?subject={}&body={}",
        contact.link,
        utf8_percent_encode(&subject, MAIL_FIELD),
        utf8_percent_encode(&body, MAIL_FIELD),
    );
    Some(Correction { contact: contact.shown, link })
}

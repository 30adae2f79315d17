//! A file that was examined and is not passed on: what was found in it, and what that means.

use askama::Template;

use super::wording::{Mail, machine_moment, moment, shown};
use super::{Language, STYLE, School, fill};
use crate::access::{Reference, Timestamp};

/// What was found, as a person can understand it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// By the name that the scanner gives it.
    Virus(&'a str),
    TooLarge,
    /// It takes a password.
    Encrypted,
    /// It is coded in a way that nobody here knows.
    Undecodable,
    /// It unpacks to far more than it is.
    Bomb,
    /// A part, where the whole was asked for.
    Partial,
    /// The scanner did not answer.
    NoVerdict,
}

/// A file that is not passed on, in words.
#[derive(Debug, Clone, Copy)]
pub struct ScanPage<'a> {
    pub school: School<'a>,
    pub language: Language,
    /// Where the file comes from, or goes to.
    pub host: &'a str,
    pub what: What<'a>,
    /// A download had begun, and this page stands in place of another one.
    pub broken_off: bool,
    pub reference: Reference,
    pub time: Timestamp,
    pub information_url: &'a str,
}

impl What<'_> {
    /// A title, what it is, what to do.
    fn words(self, language: Language) -> (&'static str, &'static str, &'static str) {
        match language {
            Language::French => self.french(),
            Language::English => self.english(),
        }
    }

    fn french(self) -> (&'static str, &'static str, &'static str) {
        match self {
            What::Virus(_) => (
                "Ce fichier contient un virus",
                "L’antivirus du collège l’a reconnu. Le fichier n’a pas été transmis\u{a0}: l’appareil n’a rien reçu de dangereux.",
                "N’essayez pas de le récupérer autrement. S’il vient d’un message, prévenez la personne qui l’a envoyé\u{a0}: \
                 son appareil est peut-être touché.",
            ),
            What::TooLarge => (
                "Ce fichier est trop gros pour être examiné",
                "Le collège examine les fichiers avant de les transmettre, et celui-ci dépasse la taille qu’il peut examiner.",
                "S’il vous est utile, montrez cette page à un adulte du collège.",
            ),
            What::Encrypted => (
                "Ce fichier est protégé par un mot de passe",
                "Personne ne peut voir ce qu’il y a dedans sans le mot de passe, l’antivirus non plus.",
                "Demandez le même fichier sans mot de passe, ou montrez cette page à un adulte du collège.",
            ),
            What::Undecodable => (
                "Ce fichier ne peut pas être lu",
                "Le site l’envoie dans un codage inconnu, ou abîmé\u{a0}: l’antivirus ne peut pas voir ce qu’il contient.",
                "Réessayez plus tard. Si cela recommence, montrez cette page à un adulte du collège.",
            ),
            What::Bomb => (
                "Ce fichier est un piège",
                "Il est petit, mais il devient énorme dès qu’on l’ouvre. Il est fait pour bloquer les appareils.",
                "N’essayez pas de le récupérer autrement.",
            ),
            What::Partial => (
                "Ce site n’a envoyé qu’un morceau du fichier",
                "Pour l’examiner, le filtre demande le fichier entier. Le site n’en a donné qu’une partie.",
                "Recommencez le téléchargement depuis le début.",
            ),
            What::NoVerdict => (
                "L’antivirus ne répond pas",
                "Les fichiers sont examinés avant d’être transmis, et l’antivirus est en panne ou débordé.",
                "Réessayez dans une minute. Si cela recommence, donnez la référence ci-dessous au collège.",
            ),
        }
    }

    fn english(self) -> (&'static str, &'static str, &'static str) {
        match self {
            What::Virus(_) => (
                "This file contains a virus",
                "The school’s antivirus recognised it. The file was not passed on: the device has received nothing dangerous.",
                "Do not try to get it another way. If it came with a message, tell the person who sent it: their device may \
                 be affected.",
            ),
            What::TooLarge => (
                "This file is too large to be examined",
                "The school examines files before it passes them on, and this one is larger than what it can examine.",
                "If you need it, show this page to an adult of the school.",
            ),
            What::Encrypted => (
                "This file is protected by a password",
                "Nobody can see what is in it without the password, the antivirus neither.",
                "Ask for the same file without a password, or show this page to an adult of the school.",
            ),
            What::Undecodable => (
                "This file cannot be read",
                "The site sends it in a coding that is unknown, or damaged: the antivirus cannot see what is in it.",
                "Try again later. If it happens again, show this page to an adult of the school.",
            ),
            What::Bomb => (
                "This file is a trap",
                "It is small, and becomes enormous when it is opened. It is made to bring devices down.",
                "Do not try to get it another way.",
            ),
            What::Partial => (
                "This site sent a part of the file only",
                "To examine it, the filter asks for the whole file. The site gave a part of it.",
                "Begin the download again from the start.",
            ),
            What::NoVerdict => (
                "The antivirus does not answer",
                "Files are examined before they are passed on, and the antivirus is broken or overloaded.",
                "Try again in a minute. If it happens again, give the reference below to the school.",
            ),
        }
    }
}

#[derive(Template)]
#[template(path = "gateway/answer/templates/scan.html")]
struct Scan<'a> {
    style: &'static str,
    language: Language,
    school: String,
    title: &'static str,
    what: &'static str,
    cure: &'static str,
    virus: Option<String>,
    broken_off: bool,
    host: String,
    reference: String,
    moment: String,
    machine_moment: String,
    contact: Option<Mail>,
    information_url: &'a str,
}

/// The whole page.
pub fn scan_page(page: &ScanPage<'_>) -> String {
    let words = |text| shown(page.language, text);
    let (title, what, cure) = page.what.words(page.language);
    fill(&Scan {
        style: STYLE,
        language: page.language,
        school: words(page.school.name),
        title,
        what,
        cure,
        virus: match page.what {
            // A name is no sentence: no French spaces.
            What::Virus(name) => Some(shown(Language::English, name)),
            _ => None,
        },
        broken_off: page.broken_off,
        host: words(page.host),
        reference: page.reference.to_string(),
        moment: moment(page.language, page.time, page.school.time_zone),
        machine_moment: machine_moment(page.time),
        contact: page.school.contact.map(Mail::to),
        information_url: page.information_url,
    })
}

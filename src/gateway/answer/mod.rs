//! What people read: the refusal, the information of persons, the failure, how to set the proxy.
//!
//! Pure functions from plain words to a whole HTML page. This module opens nothing, decides nothing and knows no
//! person: a page is served in the name of the refused site, whose own scripts could read it.
//! Every page stands alone (no script, no picture, nothing fetched), in French unless the browser prefers English.
//! One Rust file and one template each; `layout.html` and `style.css` are shared.
//!
//! Type to read first: [`BlockPage`].

mod failure;
mod information;
mod language;
mod refusal;
mod scan;
mod setup;
mod wording;

#[cfg(test)]
mod tests;

pub use failure::{ErrorPage, Failure, error_page};
pub use information::{GroupFiltering, HELP_LINES, InformationPage, ListCredit, Refused, Retention, information_page};
pub use language::Language;
pub use refusal::{BlockPage, block_page, connect_refusal_body};
pub use scan::{ScanPage, What, scan_page};
pub use setup::{SetupPage, setup_page};

/// Whom a page speaks for, as configured. What is not configured is left out of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct School<'a> {
    /// `Collège Jean-Moulin`.
    pub name: &'a str,
    /// The mail address that corrections are asked of.
    pub contact: Option<&'a str>,
    /// How to reach the data-protection officer: a mail address or a sentence.
    pub data_protection_officer: Option<&'a str>,
    /// Who answers for the treatment: the head of the school, by name or by function.
    pub head: Option<&'a str>,
    /// IANA name of the zone in which pages show the time: `Europe/Paris`, `Indian/Reunion`…
    pub time_zone: &'a str,
}

/// The fields that go with every page of this module; `Content-Language` is [`Language::tag`].
pub const HEADERS: [(&str, &str); 6] = [
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-store"),
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    // The address of a refused page is nobody else's business, our own pages' included.
    ("referrer-policy", "no-referrer"),
    ("vary", "Accept-Language"),
];

/// Nothing may be loaded or run; the one style sheet is named by its hash. `data:` pictures are for the empty icon,
/// without which a browser would ask the refused site for `/favicon.ico`. Framing is not forbidden: a refusal inside
/// a frame should explain itself, and there is nothing on the page to be clicked by deceit.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'sha256-GxXozCEiXvtCNhRs+7giRlbizIJ/hq9A8eUAg9Te2AM='; img-src data:; \
     base-uri 'none'; form-action 'none'";

/// The style sheet of all pages, inlined; its hash is in [`CONTENT_SECURITY_POLICY`].
const STYLE: &str = include_str!("templates/style.css");

/// A template filled in.
fn fill(template: &impl askama::Template) -> String {
    template.render().expect("a template whose fields are texts and numbers writes to a String without failing")
}

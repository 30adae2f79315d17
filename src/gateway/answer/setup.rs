//! How to set the proxy: the answer to a request that was meant for a web server.

use askama::Template;

use super::wording::{Mail, shown};
use super::{Language, STYLE, School, fill};

/// What a person types into the settings of a device.
#[derive(Debug, Clone, Copy)]
pub struct SetupPage<'a> {
    pub school: School<'a>,
    pub language: Language,
    /// Name or address of the gateway, as devices reach it.
    pub proxy_host: &'a str,
    pub proxy_port: u16,
    /// The automatic configuration file, where one is served.
    pub pac_url: Option<&'a str>,
    pub information_url: &'a str,
}

#[derive(Template)]
#[template(path = "gateway/answer/templates/setup.html")]
struct Setup<'a> {
    style: &'static str,
    language: Language,
    school: String,
    host: String,
    port: u16,
    pac_url: Option<&'a str>,
    contact: Option<Mail>,
    information_url: &'a str,
}

/// The whole page.
pub fn setup_page(page: &SetupPage<'_>) -> String {
    fill(&Setup {
        style: STYLE,
        language: page.language,
        school: shown(page.language, page.school.name),
        host: shown(page.language, page.proxy_host),
        port: page.proxy_port,
        pac_url: page.pac_url,
        contact: page.school.contact.map(Mail::to),
        information_url: page.information_url,
    })
}

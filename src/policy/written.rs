//! `policy.toml` as it is written.

use crate::config::written::{At, Document, FromToml, Named, as_written};

pub(super) type Texts = Vec<At<String>>;

as_written! {
    pub(super) struct WrittenPolicy {
        name: String, time_zone: String, default: String,
        categories: Named<WrittenCategory>, groups: Named<WrittenGroup>, schedules: Named<WrittenSchedule>,
        ech_public_names: Texts, scan: WrittenScan,
        embeds: Vec<At<WrittenEmbeds>>, rule: Vec<At<WrittenRule>>, expect: Vec<At<WrittenExpect>>,
    }
    pub(super) struct WrittenCategory { label: String, label_en: String, forbids: bool, }
    pub(super) struct WrittenGroup {
        label: String, label_en: String, networks: Texts, default: bool,
        safe_search: bool, youtube: String, http3: bool,
    }
    pub(super) struct WrittenScan { types: Texts, max_bytes: u64, }
    pub(super) struct WrittenSchedule { days: Texts, from: String, to: String, }
    pub(super) struct WrittenEmbeds { hosts: Texts, place: String, fields: Texts, }
    pub(super) struct WrittenRule {
        name: String, label: String, label_en: String, who: Texts, when: Texts,
        all: bool, categories: Texts, lists: Texts, hosts: Texts, urls: Texts, addresses: Texts, look_alikes_of: Texts,
        ports: Vec<At<WrittenPorts>>, protocols: Texts, schemes: Texts, host_sources: Texts, ech: Texts,
        no_dns: bool,
        action: String, duties: Texts, reason: String, source: String,
    }
    pub(super) struct WrittenExpect {
        who: String, person: String, client: String, url: String, connect: String, protocol: String, sni: String, ech: String,
        no_dns: bool,
        address: String, at: WrittenInstant, decision: String, rule: String, category: String, list: String,
    }
}

/// One port, or `"8000-8100"`.
#[derive(Debug, Clone)]
pub(super) struct WrittenPorts(pub u16, pub u16);

impl FromToml for WrittenPorts {
    fn read(value: &toml::Spanned<toml::de::DeValue<'_>>, document: &mut Document<'_>) -> Option<Self> {
        let ports = match value.get_ref() {
            toml::de::DeValue::Integer(digits) => {
                u16::from_str_radix(digits.as_str(), digits.radix()).ok().map(|p| (p, p))
            }
            toml::de::DeValue::String(text) => {
                text.split_once('-').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)))
            }
            _ => None,
        };
        match ports {
            Some((from, to)) if from != 0 && from <= to => Some(WrittenPorts(from, to)),
            _ => {
                document.problem(&value.span(), "this is no port", "as in 443 or \"8000-8100\"");
                None
            }
        }
    }
}

/// RFC 3339, in quotes or as TOML's own date.
#[derive(Debug, Clone)]
pub(super) struct WrittenInstant(pub String);

impl FromToml for WrittenInstant {
    fn read(value: &toml::Spanned<toml::de::DeValue<'_>>, document: &mut Document<'_>) -> Option<Self> {
        match value.get_ref() {
            toml::de::DeValue::Datetime(at) => Some(WrittenInstant(at.to_string())),
            _ => String::read(value, document).map(WrittenInstant),
        }
    }
}

//! Filters as people write them, and what they mean: every text that cannot be read is named, with its cure.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::when::{self, Edge};
use crate::access::{
    ActionTaken, CategoryName, CollegeCode, Host, PersonName, Pseudonym, Reference, RuleName, Stream, Timestamp,
};
use crate::store::{Filter, HostFilter};

/// The filters of a question, unread. What is not given asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Filters {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub subdomains: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub college: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
}

/// A filter that cannot be read: its name on the command line, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--{name}: {why}")]
pub struct BadFilter {
    pub name: &'static str,
    pub why: String,
}

/// Who is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// 32 hexadecimal digits are a pseudonym, whatever else is a name.
    Pseudonym(Pseudonym),
    /// Has a pseudonym a day, all sealed.
    Name(PersonName),
}

impl Who {
    pub fn parse(text: &str) -> Who {
        match text.parse() {
            Ok(pseudonym) if text.bytes().all(|b| b.is_ascii_hexdigit()) => Who::Pseudonym(pseudonym),
            _ => Who::Name(text.into()),
        }
    }
}

impl Filters {
    /// Reads every filter but the person, who may have to be unsealed first.
    pub fn parse(&self, now: Timestamp, zone: &TimeZone) -> Result<Filter, Vec<BadFilter>> {
        let mut bad = Problems(Vec::new());
        let stream = bad.read("stream", &self.stream, stream).unwrap_or(Stream::Accesses);
        let mut filter = Filter::all(stream);
        let time = |edge| move |text: &str| when::parse(text, edge, now, zone).map_err(|e| e.to_string());
        filter.from = bad.read("from", &self.from, time(Edge::From));
        filter.to = bad.read("to", &self.to, time(Edge::To));
        filter.host = bad.read("host", &self.host, |text| host(text, self.subdomains));
        filter.client = bad.read("client", &self.client, network);
        filter.device = bad.read("device", &self.device, device);
        filter.category = bad.read("category", &self.category, |text| Ok(CategoryName::new(text)));
        filter.actions = bad.read("decision", &self.decision, actions).unwrap_or_default();
        filter.rule = bad.read("rule", &self.rule, |text| Ok(RuleName::new(text)));
        filter.reference = bad.read("reference", &self.reference, str::parse::<Reference>);
        filter.college = bad.read("college", &self.college, |text| CollegeCode::parse(text).map_err(|e| e.to_string()));
        bad.check(self, &filter);
        if bad.0.is_empty() { Ok(filter) } else { Err(bad.0) }
    }

    /// As the trail keeps them: a person's name is not written there in clear, the pseudonyms it had are (see
    /// [`super::trail`]). Texts are cut, so that a line of the trail has a bound.
    pub fn for_the_trail(&self) -> Filters {
        let mut kept = self.clone();
        if let Some(Who::Name(_)) = self.person.as_deref().map(Who::parse) {
            kept.person = Some("(a name)".into());
        }
        let texts = [
            &mut kept.from,
            &mut kept.to,
            &mut kept.host,
            &mut kept.client,
            &mut kept.person,
            &mut kept.device,
            &mut kept.category,
            &mut kept.decision,
            &mut kept.rule,
            &mut kept.reference,
            &mut kept.college,
            &mut kept.stream,
        ];
        texts.into_iter().flatten().for_each(super::trail::cut);
        kept
    }
}

struct Problems(Vec<BadFilter>);

impl Problems {
    fn read<T>(
        &mut self,
        name: &'static str,
        text: &Option<String>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(text.as_deref()?) {
            Ok(value) => Some(value),
            Err(why) => {
                self.0.push(BadFilter { name, why });
                None
            }
        }
    }

    /// What only shows when the filters are seen together.
    fn check(&mut self, written: &Filters, filter: &Filter) {
        if let (Some(from), Some(to)) = (filter.from, filter.to)
            && to <= from
        {
            let why = format!("it ends at {to}, before --from, {from}: exchange them or widen the range");
            self.0.push(BadFilter { name: "to", why });
        }
        if written.subdomains && written.host.is_none() {
            self.0.push(BadFilter { name: "subdomains", why: "it says more about --host NAME: give that too".into() });
        }
        if let Some(column) = filter.misplaced() {
            let (what, other) = match filter.stream {
                Stream::Connections => ("a connection", Stream::Accesses),
                Stream::Accesses => ("an access", Stream::Connections),
            };
            let why = format!("{what} has none: leave it out, or ask --stream {other}");
            self.0.push(BadFilter { name: column, why });
        }
    }
}

fn stream(text: &str) -> Result<Stream, String> {
    text.parse()
}

/// `example.fr`, an address, or with subdomains `.example.fr`, `*.example.fr`, `--subdomains`.
fn host(text: &str, subdomains: bool) -> Result<HostFilter, String> {
    let (rest, dotted) = match text.strip_prefix("*.").or_else(|| text.strip_prefix('.')) {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let cure = "write the name only, as in example.fr, or .example.fr for its subdomains too";
    match Host::parse(rest).map_err(|e| format!("`{text}`: {e}; {cure}"))? {
        Host::Name(name) if dotted || subdomains => Ok(HostFilter::Within(name)),
        Host::Address(_) if dotted || subdomains => Err(format!("`{text}`: an address has no subdomains")),
        host => Ok(HostFilter::Exactly(host)),
    }
}

/// An address or a network; an IPv4 address written in IPv6 is the IPv4 address.
fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(match Host::from(address) {
            Host::Address(address) => address.into(),
            Host::Name(_) => address.into(),
        });
    }
    let wrong = |_| format!("`{text}` is no address: write 10.131.0.5, 2001:db8::5, or a network as 10.131.0.0/16");
    text.parse::<IpNet>().map(|net| net.trunc()).map_err(wrong)
}

/// A device's name as the log has it.
fn device(text: &str) -> Result<Arc<str>, String> {
    if text.trim().is_empty() {
        return Err("it is empty: write the device's name as a search of connections shows it".into());
    }
    Ok(text.into())
}

/// `allow` is whatever reached an origin; every action goes by its own word too; several by commas.
fn actions(text: &str) -> Result<Vec<ActionTaken>, String> {
    let mut actions = Vec::new();
    for word in text.split(',').map(str::trim) {
        match word {
            "allow" => actions.extend([ActionTaken::Tunnel, ActionTaken::Inspect, ActionTaken::Forward]),
            word => actions.push(word.parse().map_err(|e| format!("{e}, allow"))?),
        }
    }
    Ok(actions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fill: impl FnOnce(&mut Filters)) -> Result<Filter, String> {
        let mut filters = Filters::default();
        fill(&mut filters);
        let now = "2026-11-23T09:15:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Paris").unwrap();
        filters.parse(now, &zone).map_err(|bad| bad.iter().map(|b| format!("{b}\n")).collect())
    }

    #[test]
    fn every_bad_filter_is_named_at_once_with_its_cure() {
        let error = read(|f| {
            f.from = Some("tomorow".into());
            f.client = Some("10.0.0".into());
            f.decision = Some("refused".into());
            f.host = Some("http://example.fr/".into());
            f.reference = Some("K7".into());
            f.college = Some("131".into());
            f.stream = Some("all".into());
        })
        .unwrap_err();
        for part in [
            "--from: `tomorow` is no time",
            "--client: `10.0.0` is no address: write",
            "--decision: `refused` is none of: refuse, warn",
            "write the name only, as in example.fr",
            "--reference: `K7` is no reference",
            "--college: `131` is no UAI code",
            "--stream: `all` is none of: connections, accesses",
        ] {
            assert!(error.contains(part), "{part}\n in \n{error}");
        }
    }

    #[test]
    fn filters_that_contradict_each_other_are_said_to() {
        let error = read(|f| (f.from, f.to) = (Some("10:00".into()), Some("9:00".into()))).unwrap_err();
        assert!(error.starts_with("--to: it ends at"), "{error}");
        let error = read(|f| (f.stream, f.host) = (Some("connections".into()), Some("a.fr".into()))).unwrap_err();
        assert!(error.starts_with("--host: a connection has none"), "{error}");
        let error = read(|f| f.device = Some("tablette-3".into())).unwrap_err();
        assert_eq!(error, "--device: an access has none: leave it out, or ask --stream connections\n");
        assert!(read(|f| f.subdomains = true).unwrap_err().starts_with("--subdomains: "));
    }

    #[test]
    fn a_host_is_exact_unless_subdomains_are_asked_for() {
        let host = |text: &str, subdomains| {
            read(|f| (f.host, f.subdomains) = (Some(text.into()), subdomains)).map(|f| f.host.unwrap())
        };
        let example = || Host::parse("example.fr").unwrap();
        assert_eq!(host("EXAMPLE.fr.", false), Ok(HostFilter::Exactly(example())));
        for (text, subdomains) in [(".example.fr", false), ("*.example.fr", false), ("example.fr", true)] {
            assert_eq!(host(text, subdomains), Ok(HostFilter::Within(example().name().unwrap().clone())));
        }
        assert_eq!(host("0x7f.1", false), Ok(HostFilter::Exactly(Host::parse("127.0.0.1").unwrap())));
        assert!(host("127.0.0.1", true).is_err());
    }

    #[test]
    fn an_address_is_a_network_of_one_and_allow_is_whatever_reached_an_origin() {
        let filter = read(|f| (f.client, f.decision) = (Some("::ffff:10.0.0.1".into()), Some("allow,serve".into())));
        let filter = filter.unwrap();
        assert_eq!(filter.client, Some("10.0.0.1/32".parse().unwrap()));
        use ActionTaken::{Forward, Inspect, Serve, Tunnel};
        assert_eq!(filter.actions, [Tunnel, Inspect, Forward, Serve]);
        assert_eq!(read(|f| f.client = Some("10.1.2.3/8".into())).unwrap().client, Some("10.0.0.0/8".parse().unwrap()));
    }

    #[test]
    fn a_name_of_a_person_does_not_go_into_the_trail() {
        let kept = |person: &str| Filters { person: Some(person.into()), ..Filters::default() }.for_the_trail().person;
        assert_eq!(kept("Camille Martin").as_deref(), Some("(a name)"));
        let pseudonym = "00112233445566778899aabbccddeeff";
        assert_eq!(kept(pseudonym).as_deref(), Some(pseudonym));
    }
}

//! A question as the manifest has it, and whether an opened half shows that a row is none of its answers.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::access::proof::{Half, HalfName, Halves};
use crate::access::{ActionTaken, CollegeCode, Host, Pseudonym, Reference, Row, Stream, Timestamp};
use crate::store::{Filter, HostFilter};

/// What a row must be; what is not given asks nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub stream: Stream,
    pub from: Option<Timestamp>,
    /// Not included.
    pub to: Option<Timestamp>,
    pub college: Option<CollegeCode>,
    pub client: Option<IpNet>,
    pub persons: Option<Vec<Pseudonym>>,
    pub actions: Vec<ActionTaken>,
    pub host: Option<String>,
    /// The host's subdomains too.
    pub subdomains: bool,
    pub category: Option<String>,
    pub rule: Option<String>,
    pub reference: Option<Reference>,
}

impl Wanted {
    pub fn of(filter: &Filter) -> Wanted {
        let (host, subdomains) = match &filter.host {
            None => (None, false),
            Some(HostFilter::Exactly(host)) => (Some(host.to_string()), false),
            Some(HostFilter::Within(name)) => (Some(name.to_string()), true),
        };
        Wanted {
            stream: filter.stream,
            from: filter.from,
            to: filter.to,
            college: filter.college.clone(),
            client: filter.client,
            persons: filter.persons.clone(),
            actions: filter.actions.clone(),
            host,
            subdomains,
            category: filter.category.as_ref().map(|category| category.as_str().to_owned()),
            rule: filter.rule.as_ref().map(|rule| rule.as_str().to_owned()),
            reference: filter.reference,
        }
    }

    pub fn is_in_time(&self, start: Timestamp) -> bool {
        self.from.is_none_or(|from| start >= from) && self.to.is_none_or(|to| start < to)
    }

    /// Whether people are searched for: then their half of a leaf shows that it is not of them.
    fn asks_who(&self) -> bool {
        self.client.is_some() || self.persons.is_some()
    }

    /// The half to be opened of a row that is no answer, so that it shows so; `None`: it is an answer.
    pub fn refuting_half(&self, halves: &Halves) -> Option<HalfName> {
        let first = if self.asks_who() { HalfName::Who } else { HalfName::What };
        let second = if self.asks_who() { HalfName::What } else { HalfName::Who };
        let half = |name| if name == HalfName::Who { &halves.who } else { &halves.what };
        [first, second].into_iter().find(|name| !self.may_be(half(*name)))
    }

    /// Whether a whole row is an answer.
    pub fn is_answer(&self, row: &Row) -> bool {
        let halves = Halves::of_row(row);
        self.may_be(&halves.who) && self.may_be(&halves.what)
    }

    /// Whether the row of this half may be an answer, as far as this half tells.
    pub fn may_be(&self, half: &Half) -> bool {
        let person = |person: Option<Pseudonym>, client: Option<std::net::IpAddr>, college: &CollegeCode| {
            self.college.as_ref().is_none_or(|asked| asked == college)
                && self.client.is_none_or(|net| client.is_some_and(|client| net.contains(&client)))
                && self.persons.as_ref().is_none_or(|any| person.is_some_and(|person| any.contains(&person)))
        };
        match half {
            Half::AccessWho(half) => {
                self.is_in_time(half.start) && person(half.person, half.client_address, &half.college)
            }
            Half::ConnectionWho(half) => {
                self.is_in_time(half.start) && person(half.person, half.client_address, &half.college)
            }
            Half::AccessWhat(half) => {
                self.is_in_time(half.start)
                    && (self.actions.is_empty() || self.actions.contains(&half.action))
                    && self.category.as_ref().is_none_or(|category| *category == *half.category)
                    && self.rule.as_ref().is_none_or(|rule| *rule == *half.rule)
                    && self.reference.is_none_or(|reference| half.reference == Some(reference))
                    && self
                        .host
                        .as_ref()
                        .is_none_or(|host| self.is_host(host, &half.host) || self.is_host(host, &half.asked))
            }
            Half::ConnectionWhat(half) => {
                self.is_in_time(half.start) && (self.actions.is_empty() || self.actions.contains(&half.action))
            }
            Half::GapWhen(_) | Half::GapWhat(_) => false,
        }
    }

    fn is_host(&self, wanted: &str, found: &str) -> bool {
        match (Host::parse(wanted), Host::parse(found)) {
            (Ok(Host::Name(wanted)), Ok(Host::Name(found))) if self.subdomains => found.is_within(&wanted),
            (Ok(wanted), Ok(found)) => !self.subdomains && wanted == found,
            _ => false,
        }
    }
}

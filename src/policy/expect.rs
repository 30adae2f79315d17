//! `[[expect]]`: what the author of a policy wants to be true of it.
//!
//! A case without `at` must hold at all times: it is tried wherever the timetable of a week changes.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::compile::Compiler;
use super::explain::Explanation;
use super::judge::DEFAULT_RULE;
use super::labels::Category;
use super::protocols::spoken;
use super::rule::{Rule, Verdict};
use super::ruleset::Ruleset;
use super::target::{begins_with_hello, target_of_connect, target_of_url};
use super::written::WrittenExpect;
use crate::access::{
    Access, ActionTaken, Carrier, Client, Ech, GroupName, HostName, PersonName, Protocol, Scheme, Target, Timestamp,
    Visit,
};
use crate::config::Problem;
use crate::config::suggest::did_you_mean;
use crate::config::written::At;

/// One case, ready to be tried.
#[derive(Debug)]
pub(super) struct Expectation {
    client: Arc<Client>,
    target: Target,
    at: Option<Timestamp>,
    decision: Verdict,
    rule: Option<String>,
    category: Option<String>,
    list: Option<String>,
    /// `eleves → https://119.gouv.fr/`.
    shown: String,
    /// Its place; `what` and `help` are filled in when it fails.
    place: Problem,
}

/// What came of one case.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Who → what.
    pub case: String,
    /// The answer; at the first time it failed, where it did.
    pub found: Explanation,
    pub problem: Option<Problem>,
}

impl Ruleset {
    /// Tries every `[[expect]]`, in the order of the file.
    pub fn try_expectations(&self) -> Vec<Tried> {
        self.policy.expectations.iter().map(|case| self.try_one(case)).collect()
    }

    /// Every `[[expect]]` that does not hold.
    pub fn check_expectations(&self) -> Vec<Problem> {
        self.try_expectations().into_iter().filter_map(|tried| tried.problem).collect()
    }

    fn try_one(&self, case: &Expectation) -> Tried {
        let times = case.at.map_or_else(|| self.policy.timetable.instants(), |at| vec![at]);
        let mut found = None;
        for at in times {
            let explanation = self.explain(&case.access(at));
            if let Some(wrong) = case.wrong(&explanation) {
                let when = self.policy.timetable.local(at);
                let what = format!("{}: {wrong} ({when})", case.shown);
                let help = format!("decided at the stage `{}`; `ecluse explain` tells all of it", explanation.stage);
                let problem = Problem { what, help, ..case.place.clone() };
                return Tried { case: case.shown.clone(), found: explanation, problem: Some(problem) };
            }
            found.get_or_insert(explanation);
        }
        let found = found.unwrap_or_else(|| self.explain(&case.access(Timestamp::default())));
        Tried { case: case.shown.clone(), found, problem: None }
    }
}

impl Expectation {
    fn access(&self, at: Timestamp) -> Access {
        let method = if self.target.path_and_query.is_empty() { "CONNECT" } else { "GET" };
        Access {
            client: self.client.clone(),
            target: self.target.clone(),
            method: method.into(),
            visit: Visit::Unknown,
            start: at,
        }
    }

    fn wrong(&self, found: &Explanation) -> Option<String> {
        let refused = found.action == ActionTaken::Refuse;
        let (wanted, answer) = match (self.decision, refused) {
            (Verdict::Allow, true) => ("allow", "refused"),
            (Verdict::Refuse, false) => ("refuse", "allowed"),
            _ => return self.wrong_reason(found),
        };
        let because = found.category.as_ref().map_or(String::new(), |c| format!(", category `{c}`"));
        Some(format!("expected {wanted}, is {answer} by the rule `{}`{because}", found.rule))
    }

    fn wrong_reason(&self, found: &Explanation) -> Option<String> {
        let differs = |kind: &str, wanted: &Option<String>, is: Option<&str>| {
            let wanted = wanted.as_deref().filter(|wanted| Some(*wanted) != is)?;
            Some(format!("expected the {kind} `{wanted}`, is {}", is.map_or("none".to_owned(), |is| format!("`{is}`"))))
        };
        differs("rule", &self.rule, Some(found.rule.as_str()))
            .or_else(|| differs("category", &self.category, found.category.as_ref().map(|c| c.as_str())))
            .or_else(|| differs("list", &self.list, found.list.as_ref().map(|l| l.as_str())))
    }
}

impl Compiler<'_> {
    pub(super) fn expectations(
        &mut self,
        written: Vec<At<WrittenExpect>>,
        rules: &[Rule],
        categories: &[Category],
    ) -> Vec<Expectation> {
        written.into_iter().filter_map(|at| self.expectation(at.value, &at.span, rules, categories)).collect()
    }

    fn expectation(
        &mut self,
        w: WrittenExpect,
        at: &Range<usize>,
        rules: &[Rule],
        categories: &[Category],
    ) -> Option<Expectation> {
        self.expected_names(&w, rules, categories);
        let decision = match w.decision.as_ref().map(|d| (d.value.as_str(), &d.span)) {
            Some(("allow", _)) => Some(Verdict::Allow),
            Some(("refuse", _)) => Some(Verdict::Refuse),
            Some((other, span)) => self.none(span, format!("`{other}` is no decision"), "\"allow\" or \"refuse\""),
            None => self.none(at, "nothing is expected", "decision = \"allow\" or \"refuse\""),
        };
        let time = match &w.at {
            None => Some(None),
            Some(written) => match written.value.0.parse::<Timestamp>() {
                Ok(time) => Some(Some(time)),
                Err(_) => self.none(
                    &written.span,
                    "this is no instant",
                    "RFC 3339 with an offset, as in 2026-11-23T10:00:00+01:00",
                ),
            },
        };
        let client = self.expected_client(&w, at);
        let target = self.expected_target(&w, at);
        let (decision, at_time, (who, client), target) = (decision?, time?, client?, target?);
        let place_at = w.url.as_ref().or(w.connect.as_ref());
        let what = place_at.map_or("", |url| url.value.as_str());
        Some(Expectation {
            client: Arc::new(client),
            target,
            at: at_time,
            decision,
            shown: match &w.protocol {
                Some(protocol) => format!("{who} → {what} ({})", protocol.value),
                None => format!("{who} → {what}"),
            },
            place: self.document.problem_at(place_at.map_or(at, |url| &url.span), "", ""),
            rule: w.rule.map(|at| at.value),
            category: w.category.map(|at| at.value),
            list: w.list.map(|at| at.value),
        })
    }

    fn none<T>(&mut self, at: &Range<usize>, what: impl Into<String>, help: &str) -> Option<T> {
        self.document.problem(at, what, help);
        None
    }

    fn expected_names(&mut self, w: &WrittenExpect, rules: &[Rule], categories: &[Category]) {
        let rule_names = || rules.iter().map(|rule| rule.name.as_str()).chain([DEFAULT_RULE]);
        if let Some(At { value, span }) = w.rule.as_ref().filter(|at| rule_names().all(|name| name != at.value)) {
            self.document.problem(span, format!("there is no rule `{value}`"), did_you_mean(value, rule_names()));
        }
        let names = || categories.iter().map(|category| category.name.as_str());
        if let Some(At { value, span }) = w.category.as_ref().filter(|at| names().all(|name| name != at.value)) {
            self.document.problem(span, format!("there is no category `{value}`"), did_you_mean(value, names()));
        }
    }

    fn expected_client(&mut self, w: &WrittenExpect, at: &Range<usize>) -> Option<(String, Client)> {
        // An address of no school (RFC 5737): only the group counts.
        let nowhere = IpAddr::from([192, 0, 2, 1]);
        match (&w.who, &w.person, &w.client) {
            (Some(group), None, None) => {
                let known = self.group(group) != 0;
                let client =
                    Client { groups: vec![GroupName::from(group.value.as_str())], ..Client::unknown(nowhere, 0) };
                known.then(|| (group.value.clone(), client))
            }
            (None, Some(person), None) => {
                let name = PersonName::from(person.value.as_str());
                let people = self.people?;
                let Some((address, groups)) = people.person(&name) else {
                    return self.none(
                        &person.span,
                        "people.csv does not name this person",
                        "add a line or name another",
                    );
                };
                let client = Client { person: Some(name), groups: groups.to_vec(), ..Client::unknown(address, 0) };
                Some((person.value.clone(), client))
            }
            (None, None, Some(client)) => match client.value.parse::<IpAddr>() {
                Ok(address) => Some((client.value.clone(), Client::unknown(address, 0))),
                Err(_) => self.none(&client.span, format!("`{}` is no address", client.value), "as in \"10.131.0.7\""),
            },
            _ => self.none(
                at,
                "a case needs exactly one client",
                "who = \"group\", or person = \"…\", or client = \"10.131.0.7\"",
            ),
        }
    }

    fn expected_target(&mut self, w: &WrittenExpect, at: &Range<usize>) -> Option<Target> {
        let sni = match &w.sni {
            None => None,
            Some(text) => match HostName::parse(&text.value) {
                Ok(name) => Some(name),
                Err(e) => return self.none(&text.span, format!("`{}` is no host name: {e}", text.value), ""),
            },
        };
        let protocol = match &w.protocol {
            None => Protocol::Tls,
            Some(text) => match spoken().find(|p| p.as_str() == text.value) {
                Some(protocol) => protocol,
                None => {
                    let help = did_you_mean(&text.value, spoken().map(|p| p.as_str()));
                    return self.none(&text.span, format!("there is no protocol `{}`", text.value), &help);
                }
            },
        };
        let (target, span) = match (&w.url, &w.connect) {
            (Some(url), None) => (target_of_url(&url.value), &url.span),
            (None, Some(connect)) => (target_of_connect(&connect.value, protocol, sni), &connect.span),
            _ => {
                return self.none(
                    at,
                    "a case needs exactly one target",
                    "url = \"https://…\" or connect = \"host:port\"",
                );
            }
        };
        let mut target = match target {
            Ok(target) => target,
            Err(what) => return self.none(span, what, ""),
        };
        if let Some(text) = &w.ech {
            match Ech::ALL.iter().find(|ech| ech.as_str() == text.value) {
                Some(ech) if target.scheme == Scheme::Tunnel && begins_with_hello(protocol) => target.ech = Some(*ech),
                Some(_) => {
                    return self.none(
                        &text.span,
                        "no ClientHello comes there",
                        "`ech` goes with what begins with one: TLS, DTLS and QUIC",
                    );
                }
                None => {
                    let help = did_you_mean(&text.value, Ech::ALL.iter().map(|ech| ech.as_str()));
                    return self.none(&text.span, format!("there is no encrypted ClientHello `{}`", text.value), &help);
                }
            }
        }
        target.no_dns = w.no_dns.as_ref().is_some_and(|at| at.value);
        if let (Some(_), Some(misplaced)) = (&w.url, &w.sni) {
            return self.none(&misplaced.span, "this goes with `connect`", "connect = \"host:port\" instead of `url`");
        }
        if let (Some(_), Some(text)) = (&w.url, &w.protocol) {
            // A request may speak what HTTP carries; a tunnel's inside is said with `connect`.
            if target.scheme != Scheme::Http || protocol.carrier() != Carrier::Http {
                let help = "connect = \"host:port\" instead of `url`; http:// speaks http, websocket, doh";
                return self.none(&text.span, format!("`{protocol}` goes with `connect`"), help);
            }
            target.protocol = protocol;
        }
        if let Some(address) = &w.address {
            match address.value.parse::<IpAddr>() {
                Ok(ip) => target.address = Some(ip),
                Err(_) => {
                    return self.none(
                        &address.span,
                        format!("`{}` is no address", address.value),
                        "as in \"192.0.2.1\"",
                    );
                }
            }
        }
        Some(target)
    }
}

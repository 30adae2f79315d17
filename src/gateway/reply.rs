//! Answers of our own: refusals, failures, pages; each with its row.

use std::sync::Arc;

use ::http::header::{ACCEPT_LANGUAGE, CONNECTION, CONTENT_LANGUAGE, HeaderMap, HeaderName, HeaderValue};
use ::http::{Response, StatusCode};

use crate::access::{Access, ActionTaken, Ending, Outcome, Reason, Reference, RuleName, Scheme};
use crate::config::{College, Config};
use crate::metrics::METRICS;
use crate::origin::Guarded;
use crate::policy::{self, Duties};

use super::answer::{self, BlockPage, ErrorPage, Failure, Language, School};
use super::body::ReplyBody;
use super::client_row::ClientRow;
use super::connection::ClientConnection;
use super::flows::AccessFlow;
use super::record::{Judgement, access_record, close_access, decide_anew};
use super::repeats::is_repeatable;
use super::way::NoWay;
use super::{Gateway, Snapshot, judge, own_pages};

mod found;

/// Pages show the time of the school; the overseas departments set their own.
const TIME_ZONE: &str = "Europe/Paris";

/// Rules that no policy file names: what the gateway itself decided.
const RULE_FAILURE: &str = "gateway-failure";
const RULE_GUARD: &str = "gateway-guard";
const RULE_OWN_PAGE: &str = "gateway-page";
const RULE_HIDDEN_NAME: &str = "gateway-hidden-name";
const RULE_ORIGIN_MISMATCH: &str = "gateway-origin-mismatch";
const RULE_PARENT: &str = "gateway-parent";

/// Words answers for one request.
pub struct Reply<'a> {
    gateway: &'a Gateway,
    snapshot: &'a Snapshot,
    /// Of the client's connection, where its accesses may name it.
    row: Option<&'a ClientRow>,
    /// Read when a page is made: nearly all requests need none.
    accept_language: Option<HeaderValue>,
}

/// A failure that has been written into its row.
pub struct Failed {
    failure: Failure,
    reference: Reference,
}

/// Ends an access that failed after its intent was written; its page will carry the row's reference.
pub fn end_failed(flow: AccessFlow, failure: Failure, ending: Ending) -> Failed {
    METRICS.accesses_failed.add(1);
    let reference = judge::new_reference();
    flow.amend(|record| record.reference = Some(reference));
    flow.finish(Some(failure.status().as_u16()), ending);
    Failed { failure, reference }
}

impl<'a> Reply<'a> {
    pub fn new(gateway: &'a Gateway, snapshot: &'a Snapshot, headers: &HeaderMap) -> Self {
        Reply { gateway, snapshot, row: None, accept_language: headers.get(ACCEPT_LANGUAGE).cloned() }
    }

    /// For a request on a client's connection: the row of its answer names that one.
    pub fn on(connection: &'a ClientConnection, snapshot: &'a Snapshot, headers: &HeaderMap) -> Self {
        Reply { row: Some(&connection.row), ..Reply::new(&connection.gateway, snapshot, headers) }
    }

    pub fn language(&self) -> Language {
        let wanted = self.accept_language.as_ref().and_then(|value| value.to_str().ok());
        Language::from_accept_language(wanted)
    }

    /// Refused by policy: the page, the row.
    pub fn refused(&self, access: &Access, judgement: Judgement) -> Response<ReplyBody> {
        METRICS.accesses_refused.add(1);
        self.write_row(access, &judgement, &Outcome::answered(StatusCode::FORBIDDEN.as_u16()));
        page(StatusCode::FORBIDDEN, self.language(), self.refusal_text(access, &judgement))
    }

    /// There was no way to the origin and no intent was written yet.
    pub fn no_way(&self, access: &Access, no_way: NoWay) -> Response<ReplyBody> {
        let (failure, ending) = (no_way.failure(), no_way.ending());
        match no_way {
            NoWay::Refused(judgement) => self.refused(access, *judgement),
            NoWay::Guarded(guarded) => {
                let judgement = self.guard_judgement(access, guarded);
                METRICS.accesses_refused.add(1);
                self.fail_with_row(access, judgement, failure, ending)
            }
            _ => self.failed(access, failure, ending),
        }
    }

    /// There was none although the intent is written: it gets the end, and a refusal is a refusal all the same.
    pub fn no_way_after(&self, access: &Access, flow: AccessFlow, no_way: NoWay) -> Response<ReplyBody> {
        let (failure, ending) = (no_way.failure(), no_way.ending());
        let (judgement, by_rule) = match no_way {
            NoWay::Refused(judgement) => (*judgement, true),
            NoWay::Guarded(guarded) => (self.guard_judgement(access, guarded), false),
            _ => return self.error_page(access, end_failed(flow, failure, ending)),
        };
        METRICS.accesses_refused.add(1);
        let status = failure.status();
        flow.amend(|record| {
            let decided = access_record(&self.gateway.log, access, &judgement, record.connection);
            decide_anew(record, decided);
        });
        flow.finish(Some(status.as_u16()), ending);
        match judgement.reference {
            Some(reference) if !by_rule => self.error_page(access, Failed { failure, reference }),
            _ => page(StatusCode::FORBIDDEN, self.language(), self.refusal_text(access, &judgement)),
        }
    }

    /// It failed before an intent was written: the page, the row.
    pub fn failed(&self, access: &Access, failure: Failure, ending: Ending) -> Response<ReplyBody> {
        METRICS.accesses_failed.add(1);
        let judgement = self.own_judgement(access, ActionTaken::Nothing, RULE_FAILURE);
        self.fail_with_row(access, judgement, failure, ending)
    }

    /// The same for who is shown no page.
    pub fn failed_wordless(&self, access: &Access, failure: Failure) {
        METRICS.accesses_failed.add(1);
        let judgement = self.own_judgement(access, ActionTaken::Nothing, RULE_FAILURE);
        self.row_of_failure(access, judgement, failure, failure.ending());
    }

    fn fail_with_row(
        &self,
        access: &Access,
        judgement: Judgement,
        failure: Failure,
        ending: Ending,
    ) -> Response<ReplyBody> {
        let reference = self.row_of_failure(access, judgement, failure, ending);
        self.error_page(access, Failed { failure, reference })
    }

    /// Writes the row, or counts it with its like.
    fn row_of_failure(&self, access: &Access, judgement: Judgement, failure: Failure, ending: Ending) -> Reference {
        let client = access.client.address;
        let begin = |reference| self.begin_repeats(access, &judgement, failure, reference);
        if let Some(reference) = self.gateway.repeats.again(client, failure, begin) {
            return reference;
        }
        let reference = judgement.reference.unwrap_or_else(judge::new_reference);
        let status = failure.status().as_u16();
        if is_repeatable(failure) {
            self.gateway.repeats.first(client, failure, reference);
        }
        self.write_row(access, &judgement, &Outcome { status: Some(status), ..Outcome::ended(ending) });
        reference
    }

    /// Opens the row that counts what a client repeats within a minute.
    fn begin_repeats(
        &self,
        access: &Access,
        judgement: &Judgement,
        failure: Failure,
        reference: Reference,
    ) -> Option<AccessFlow> {
        let gateway = self.gateway;
        // It counts those of many connections, and names none.
        let mut record = access_record(&gateway.log, access, judgement, 0);
        record.reference = Some(reference);
        let open = gateway.log.begin_access(&record).ok()?;
        let mut flow = gateway.accesses.enter(open, record, Arc::default());
        flow.amend(|record| record.status = Some(failure.status().as_u16()));
        flow.if_dropped(failure.ending());
        Some(flow)
    }

    /// The page of a failure that has its row.
    pub fn error_page(&self, access: &Access, failed: Failed) -> Response<ReplyBody> {
        let host = access.target.host.to_text();
        let text = answer::error_page(&ErrorPage {
            school: self.school(),
            language: self.language(),
            failure: failed.failure,
            host: (!own_pages::is_nowhere(&access.target)).then_some(host.as_ref()),
            reference: failed.reference,
            time: access.start,
            information_url: own_pages::INFORMATION_URL,
        });
        page(failed.failure.status(), self.language(), text)
    }

    /// A page of our own: served, and written down like every access.
    pub fn own_page(&self, access: &Access, status: StatusCode, text: String) -> Response<ReplyBody> {
        let judgement = self.own_judgement(access, ActionTaken::Serve, RULE_OWN_PAGE);
        self.write_row(access, &judgement, &Outcome::answered(status.as_u16()));
        page(status, self.language(), text)
    }

    /// The page of a refusal that has its row.
    pub fn refusal_page(&self, access: &Access, judgement: &Judgement) -> Response<ReplyBody> {
        page(StatusCode::FORBIDDEN, self.language(), self.refusal(access, judgement, answer::block_page))
    }

    /// The words of a refusal, for whatever carries them.
    pub fn refusal_text(&self, access: &Access, judgement: &Judgement) -> String {
        self.refusal(
            access,
            judgement,
            match access.target.scheme {
                Scheme::Http | Scheme::Https => answer::block_page,
                Scheme::Tunnel => answer::connect_refusal_body,
            },
        )
    }

    fn refusal(&self, access: &Access, judgement: &Judgement, words_of: fn(&BlockPage<'_>) -> String) -> String {
        let rules = &self.snapshot.rules;
        let language = words(self.language());
        let reason = &judgement.reason;
        let category = reason.category.as_ref().and_then(|name| rules.category(name));
        let rule = rules.rule(&reason.rule);
        let host =
            access.target.other_name.as_ref().map_or_else(|| access.target.host.to_text(), |n| n.as_str().into());
        words_of(&BlockPage {
            school: self.school(),
            language: self.language(),
            host: &host,
            category_label: category.map(|category| category.label(language)),
            rule_label: rule.map_or(reason.rule.as_str(), |rule| rule.label(language)),
            reason: rule.map_or("", |rule| rule.reason.as_str()),
            reference: judgement.reference.unwrap_or_else(judge::new_reference),
            time: access.start,
            information_url: own_pages::INFORMATION_URL,
        })
    }

    /// A server might read a name in a tunnel's first bytes that we do not.
    pub fn hidden_name(&self, access: &Access) -> Judgement {
        self.own_judgement(access, ActionTaken::Refuse, RULE_HIDDEN_NAME)
    }

    /// The name that a client says does not have the address that it dialled.
    pub fn origin_mismatch(&self, access: &Access) -> Judgement {
        self.own_judgement(access, ActionTaken::Refuse, RULE_ORIGIN_MISMATCH)
    }

    /// Datagrams that would have to pass a parent proxy, which takes none.
    pub fn no_datagrams(&self, access: &Access) -> Judgement {
        self.own_judgement(access, ActionTaken::Refuse, RULE_PARENT)
    }

    /// There was no way and nobody can be shown a page: what the row is to say.
    pub fn wordless(&self, access: &Access, no_way: NoWay) -> Judgement {
        let (judgement, count) = match no_way {
            NoWay::Refused(judgement) => (*judgement, &METRICS.accesses_refused),
            NoWay::Guarded(guarded) => (self.guard_judgement(access, guarded), &METRICS.accesses_refused),
            _ => (self.own_judgement(access, ActionTaken::Nothing, RULE_FAILURE), &METRICS.accesses_failed),
        };
        count.add(1);
        judgement
    }

    /// The row of an access that ended before its intent was written, and without an answer in HTTP.
    pub fn write_ended(&self, access: &Access, judgement: &Judgement, ending: Ending) {
        self.write_row(access, judgement, &Outcome::ended(ending));
    }

    pub fn school(&self) -> School<'a> {
        school(&self.snapshot.config)
    }

    fn guard_judgement(&self, access: &Access, guarded: Guarded) -> Judgement {
        tracing::debug!(%guarded, "an origin is never dialled");
        self.own_judgement(access, ActionTaken::Refuse, RULE_GUARD)
    }

    /// What we decide ourselves. A help-line's row names nobody, however its access ends.
    fn own_judgement(&self, access: &Access, action: ActionTaken, rule: &str) -> Judgement {
        let reason = Reason::rule(RuleName::new(rule), self.snapshot.rules.version().clone());
        let reference = (action != ActionTaken::Serve).then(judge::new_reference);
        let duties = Duties { help_line: judge::is_help_line(self.snapshot, access), ..Duties::default() };
        Judgement { reference, ..Judgement::new(action, duties, reason) }
    }

    fn write_row(&self, access: &Access, judgement: &Judgement, outcome: &Outcome) {
        let log = &self.gateway.log;
        let row = self.row.filter(|_| !judgement.duties.help_line);
        let mut record = access_record(log, access, judgement, row.map_or(0, |row| row.sequence(log)));
        close_access(&mut record, outcome, self.gateway.clock.now());
        if let Err(error) = log.append_access(&record) {
            tracing::error!(%error, "an access that was answered could not be written to the journal");
        }
    }
}

fn school(config: &Config) -> School<'_> {
    let College { name, contact, data_protection_officer, head, .. } = &config.college;
    let given = |text: &'_ str| !text.is_empty();
    School {
        name,
        contact: Some(contact.as_str()).filter(|text| given(text)),
        data_protection_officer: Some(data_protection_officer.as_str()).filter(|text| given(text)),
        head: Some(head.as_str()).filter(|text| given(text)),
        time_zone: TIME_ZONE,
    }
}

/// The language of policy's labels.
pub fn words(language: Language) -> policy::Language {
    match language {
        Language::French => policy::Language::French,
        Language::English => policy::Language::English,
    }
}

/// A page with the fields that every page of ours has.
fn page(status: StatusCode, language: Language, text: String) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::own(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in answer::HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    response
}

/// Ends the client's connection after the answer.
pub fn and_close(mut response: Response<ReplyBody>) -> Response<ReplyBody> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

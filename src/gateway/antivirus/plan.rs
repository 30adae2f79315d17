//! What is to be scanned of one message, and who is told what came of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use http::{StatusCode, response};

use super::finding::{Finding, Passed, Refused, settle};
use super::{Antivirus, Notice};
use crate::access::{Access, Client, Scheme};
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::flows::AccessPen;
use crate::metrics::METRICS;
use crate::scan::{Examination, Fault, Subject, Verdict};

/// One body that is to be scanned.
pub struct Plan {
    antivirus: Arc<Antivirus>,
    subject: Subject,
    /// The fields of `Content-Encoding`.
    codings: Vec<String>,
    max_bytes: u64,
    whose: Whose,
    said: Mutex<Said>,
}

/// Whom it belongs to.
#[derive(Clone)]
pub struct Whose {
    pub gateway: Arc<Gateway>,
    pub client: Arc<Client>,
    pub host: String,
    method: String,
    /// Without its query.
    url: String,
}

impl Whose {
    pub fn of(gateway: &Arc<Gateway>, access: &Access) -> Self {
        let target = &access.target;
        let scheme = if target.scheme == Scheme::Https { "https" } else { "http" };
        Whose {
            gateway: gateway.clone(),
            client: access.client.clone(),
            host: target.host.to_text().into_owned(),
            method: access.method.to_string(),
            url: format!("{scheme}://{}:{}{}", target.host, target.port, target.path()),
        }
    }
}

/// What came of it, for a row that may not have begun.
#[derive(Default)]
struct Said {
    pen: Option<AccessPen>,
    passed: Option<Passed>,
    refused: Option<Refused>,
}

/// What is to be done with an origin's answer.
pub enum Answer {
    /// Policy does not want it scanned, or there is nothing in it.
    Pass,
    Examine(Arc<Plan>),
    /// It is clear from its head.
    Unscanned(Passed),
    Refuse(Refused),
}

impl Plan {
    /// Of an answer whose access has the duty; `is_empty`: it has no body.
    pub fn of_answer(snapshot: &Snapshot, whose: Whose, head: &response::Parts, is_empty: bool) -> Answer {
        let Some(antivirus) = &snapshot.antivirus else { return Answer::Pass };
        let policy = snapshot.rules.scan();
        let content_type = text(&head.headers, CONTENT_TYPE.as_str());
        let in_parts =
            content_type.is_some_and(|name| name.trim_start().to_ascii_lowercase().starts_with("multipart/byteranges"));
        if is_empty || !(in_parts || policy.wants(content_type)) {
            return Answer::Pass;
        }
        if head.status == StatusCode::PARTIAL_CONTENT {
            return Answer::Refuse(Refused::new(Finding::Partial));
        }
        let length = text(&head.headers, CONTENT_LENGTH.as_str()).and_then(|text| text.trim().parse::<u64>().ok());
        if length.is_some_and(|length| length > policy.max_bytes) {
            return match settle(&antivirus.settings, Ok(Verdict::OverLimit)) {
                Ok(passed) => Answer::Unscanned(passed),
                Err(finding) => Answer::Refuse(Refused::new(finding)),
            };
        }
        let status = Some(head.status.as_u16());
        Answer::Examine(Arc::new(Plan::new(antivirus.clone(), &head.headers, status, policy.max_bytes, whose)))
    }

    /// Of a client's body whose access has the duty.
    pub fn of_upload(snapshot: &Snapshot, whose: Whose, headers: &HeaderMap) -> Option<Plan> {
        let antivirus = snapshot.antivirus.clone()?;
        let policy = snapshot.rules.scan();
        let wanted = policy.wants(text(headers, CONTENT_TYPE.as_str()));
        wanted.then(|| Plan::new(antivirus, headers, None, policy.max_bytes, whose))
    }

    fn new(antivirus: Arc<Antivirus>, headers: &HeaderMap, status: Option<u16>, max_bytes: u64, whose: Whose) -> Self {
        // What is no text names no coding that anybody knows.
        let codings = headers.get_all(CONTENT_ENCODING).iter();
        let codings = codings.map(|field| field.to_str().unwrap_or("?").to_owned()).collect();
        let subject = Subject {
            method: whose.method.clone(),
            url: whose.url.clone(),
            content_type: text(headers, CONTENT_TYPE.as_str()).map(str::to_owned),
            status,
        };
        Plan { antivirus, subject, codings, max_bytes, whose, said: Mutex::default() }
    }

    /// Its access has a row from now on: what was said, and what will be, stands in there.
    pub fn write_into(&self, pen: AccessPen) {
        let mut said = self.said();
        pen.amend(|record| {
            said.passed.iter().for_each(|passed| passed.write(record));
            said.refused.iter().for_each(|refused| refused.write(record));
        });
        said.pen = Some(pen);
    }

    pub async fn begin(&self) -> Result<Result<Examination, Verdict>, Fault> {
        Examination::begin(
            &self.antivirus.scanner,
            &self.subject,
            self.codings.iter().map(String::as_str),
            self.max_bytes,
        )
        .await
    }

    /// What becomes of the body.
    pub fn settle(&self, verdict: Result<Verdict, Fault>) -> Result<Passed, Refused> {
        if let Err(fault) = &verdict {
            METRICS.scans_failed.add(1);
            tracing::debug!(%fault, "the scanner gave no verdict");
        }
        METRICS.bodies_scanned.add(1);
        settle(&self.antivirus.settings, verdict).map_err(|finding| {
            METRICS.bodies_refused.add(1);
            Refused::new(finding)
        })
    }

    /// It passes.
    pub fn passed(&self, passed: &Passed) {
        let mut said = self.said();
        if let Some(pen) = &said.pen {
            pen.amend(|record| passed.write(record));
        }
        said.passed = Some(passed.clone());
    }

    /// It breaks off, and its client learns why with the next page.
    pub fn refused_midway(&self, refused: &Refused) {
        let mut said = self.said();
        if let Some(pen) = &said.pen {
            pen.amend(|record| refused.write(record));
        }
        said.refused = Some(refused.clone());
        let Whose { gateway, client, host, .. } = &self.whose;
        let notice = Notice { host: host.clone(), refused: refused.clone(), at: gateway.clock.now() };
        gateway.notices.leave(client, notice);
    }

    /// What broke it off; its client is told now, and not again.
    pub fn take_refused(&self) -> Option<Refused> {
        let refused = self.said().refused.take()?;
        let Whose { gateway, client, .. } = &self.whose;
        drop(gateway.notices.take(client, gateway.clock.now()));
        Some(refused)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

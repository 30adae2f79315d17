//! Answers in place of a body that is not passed on.

use ::http::{Response, StatusCode};

use super::{Reply, page};
use crate::access::{Access, ActionTaken, Ending, Outcome, RuleName, Visit};
use crate::gateway::answer::{self, Failure, ScanPage, What};
use crate::gateway::antivirus::{Finding, NoBody, Notice, RULE, Refused};
use crate::gateway::body::ReplyBody;
use crate::gateway::own_pages;
use crate::gateway::record::Judgement;
use crate::metrics::METRICS;

impl Reply<'_> {
    /// The page of a body whose access has its row.
    pub fn found(&self, access: &Access, refused: &Refused) -> Response<ReplyBody> {
        METRICS.accesses_refused.add(1);
        let host = access.target.host.to_text();
        page(StatusCode::FORBIDDEN, self.language(), self.scan_page(access, &host, refused, false))
    }

    /// What the client sends is not passed on, and nothing of it has been: the page, the row.
    pub fn upload_refused(
        &self,
        access: &Access,
        judgement: Judgement,
        no_body: NoBody,
        ending: Option<Ending>,
    ) -> Response<ReplyBody> {
        let refused = match no_body {
            NoBody::Refused(refused) => refused,
            NoBody::Broken(_) => {
                let ending = ending.unwrap_or(Ending::ClientClosed);
                let timed_out = ending == Ending::TimedOut;
                let failure = if timed_out { Failure::RequestTimedOut } else { Failure::RequestUnreadable };
                return super::and_close(self.failed(access, failure, ending));
            }
        };
        let mut judgement = Judgement {
            action: ActionTaken::Refuse,
            reference: Some(refused.reference),
            earlier_rule: Some(judgement.reason.rule.to_arc()),
            ..judgement
        };
        judgement.reason.rule = RuleName::new(RULE);
        (judgement.reason.list, judgement.reason.entry) = (None, None);
        let finding = Some(refused.finding.to_string());
        self.write_row(access, &judgement, &Outcome { finding, ..Outcome::answered(StatusCode::FORBIDDEN.as_u16()) });
        self.found(access, &refused)
    }

    /// Where a download of this client was broken off since its last page: the page that says so, in place of this one.
    pub fn told_now(&self, access: &Access) -> Option<Response<ReplyBody>> {
        if access.visit != Visit::Visited || &*access.method != "GET" {
            return None;
        }
        let Notice { host, refused, .. } = self.gateway.notices.take(&access.client, access.start)?;
        let judgement = self.own_judgement(access, ActionTaken::Serve, RULE);
        self.write_row(access, &judgement, &Outcome::answered(StatusCode::FORBIDDEN.as_u16()));
        Some(page(StatusCode::FORBIDDEN, self.language(), self.scan_page(access, &host, &refused, true)))
    }

    fn scan_page(&self, access: &Access, host: &str, refused: &Refused, broken_off: bool) -> String {
        answer::scan_page(&ScanPage {
            school: self.school(),
            language: self.language(),
            host,
            what: match &refused.finding {
                Finding::Virus(name) => What::Virus(name.as_str()),
                Finding::OverLimit => What::TooLarge,
                Finding::Encrypted => What::Encrypted,
                Finding::Undecodable => What::Undecodable,
                Finding::Bomb => What::Bomb,
                Finding::Partial => What::Partial,
                Finding::NoVerdict => What::NoVerdict,
            },
            broken_off,
            reference: refused.reference,
            time: access.start,
            information_url: own_pages::INFORMATION_URL,
        })
    }
}

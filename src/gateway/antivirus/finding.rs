//! What an examination means for its access: passed or refused, and what the row and the page say of it.

use std::sync::Arc;

use crate::access::{AccessRecord, ActionTaken, Flags, Reference};
use crate::config::{Antivirus, Unscanned};
use crate::gateway::judge;
use crate::scan::{Fault, Signature, Verdict};

/// The rule that a row names where a scan refused.
pub const RULE: &str = "gateway-antivirus";

/// What was found, or what kept anybody from looking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Virus(Signature),
    OverLimit,
    Encrypted,
    Undecodable,
    Bomb,
    /// A part of something (206), although the whole was asked for.
    Partial,
    /// The scanner gave no verdict.
    NoVerdict,
}

/// The words of the column `finding`.
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Finding::Virus(name) => write!(f, "virus: {name}"),
            Finding::OverLimit => f.write_str("over-limit"),
            Finding::Encrypted => f.write_str("encrypted"),
            Finding::Undecodable => f.write_str("unknown-coding"),
            Finding::Bomb => f.write_str("bomb"),
            Finding::Partial => f.write_str("partial"),
            Finding::NoVerdict => f.write_str("no-verdict"),
        }
    }
}

/// A body that is not passed on, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub finding: Finding,
    /// On its page and in its row.
    pub reference: Reference,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.finding.fmt(f)
    }
}

impl Refused {
    pub fn new(finding: Finding) -> Self {
        Refused { finding, reference: judge::new_reference() }
    }

    /// Writes it into a row that began with an allowing decision.
    pub fn write(&self, record: &mut AccessRecord) {
        if &*record.rule != RULE {
            record.earlier_rule = std::mem::replace(&mut record.rule, RULE.into());
        }
        record.action = ActionTaken::Refuse;
        record.reference = Some(self.reference);
        record.finding = self.finding.to_string().into();
        if self.finding == Finding::NoVerdict {
            record.flags.insert(Flags::FAILED_CLOSED);
        }
        record.strip_if_help_line();
    }
}

/// A body that passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    Clean,
    /// Without a verdict, because a person has set that.
    Unscanned(Finding),
}

impl Passed {
    /// Writes it into its row. An access has two bodies: what was said of the first stays where the second is clean.
    pub fn write(&self, record: &mut AccessRecord) {
        match self {
            Passed::Clean if record.finding.is_empty() => record.finding = "clean".into(),
            Passed::Clean => {}
            Passed::Unscanned(finding) => {
                record.finding = Arc::from(format!("not-scanned: {finding}"));
                record.flags.insert(Flags::NOT_SCANNED);
                if *finding == Finding::NoVerdict {
                    record.flags.insert(Flags::FAILED_OPEN);
                }
            }
        }
    }
}

/// The one place that says what becomes of a body.
pub fn settle(settings: &Antivirus, verdict: Result<Verdict, Fault>) -> Result<Passed, Finding> {
    let (finding, unscanned) = match verdict {
        Ok(Verdict::Clean) => return Ok(Passed::Clean),
        Ok(Verdict::Found(name)) => (Finding::Virus(name), Unscanned::Block),
        Ok(Verdict::Bomb) => (Finding::Bomb, Unscanned::Block),
        Ok(Verdict::OverLimit) => (Finding::OverLimit, settings.over_limit),
        Ok(Verdict::Encrypted) => (Finding::Encrypted, settings.encrypted),
        Ok(Verdict::Undecodable) => (Finding::Undecodable, settings.unknown_coding),
        Err(_) => (Finding::NoVerdict, settings.on_failure),
    };
    match unscanned {
        Unscanned::Allow => Ok(Passed::Unscanned(finding)),
        Unscanned::Block => Err(finding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn each_setting_says_what_becomes_of_its_own_case_and_a_virus_never_passes() {
        let config = Config::load(None, Some(std::path::Path::new("/state"))).unwrap();
        let all = |unscanned| Antivirus {
            on_failure: unscanned,
            over_limit: unscanned,
            encrypted: unscanned,
            unknown_coding: unscanned,
            ..config.antivirus.clone()
        };
        let (block, allow) = (all(Unscanned::Block), all(Unscanned::Allow));
        let virus = Finding::Virus(Signature::new("Essai"));
        for settings in [&block, &allow] {
            assert_eq!(settle(settings, Ok(Verdict::Clean)), Ok(Passed::Clean));
            assert_eq!(settle(settings, Ok(Verdict::Found(Signature::new("Essai")))), Err(virus.clone()));
            assert_eq!(settle(settings, Ok(Verdict::Bomb)), Err(Finding::Bomb));
        }
        type Case = (Result<Verdict, Fault>, Finding, fn(&mut Antivirus));
        let cases: [Case; 4] = [
            (Ok(Verdict::OverLimit), Finding::OverLimit, |s| s.over_limit = Unscanned::Allow),
            (Ok(Verdict::Encrypted), Finding::Encrypted, |s| s.encrypted = Unscanned::Allow),
            (Ok(Verdict::Undecodable), Finding::Undecodable, |s| s.unknown_coding = Unscanned::Allow),
            (Err(Fault::TimedOut), Finding::NoVerdict, |s| s.on_failure = Unscanned::Allow),
        ];
        for (verdict, finding, change) in cases {
            assert_eq!(settle(&block, verdict.clone()), Err(finding.clone()));
            assert_eq!(settle(&allow, verdict.clone()), Ok(Passed::Unscanned(finding.clone())));
            let mut one = block.clone();
            change(&mut one);
            assert_eq!(settle(&one, verdict), Ok(Passed::Unscanned(finding)));
        }
    }
}

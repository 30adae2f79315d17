//! From what is known in flight to what is kept: an [`Access`], its reason and its outcome as an [`AccessRecord`].
//!
//! The one place that decides which field of an attempt reaches which column, and that a help-line keeps none of those
//! that would name somebody.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use crate::access::encoding::clip;
use crate::access::{
    Access, AccessRecord, ActionTaken, Client, ConnectionRecord, Ending, Flags, HostSource, Outcome, Protocol, Reason,
    Reference, Timestamp,
};
use crate::accesslog::AccessLog;
use crate::policy::{Duties, LookedUp};

/// What was decided about an access, in the terms of its row.
#[derive(Debug, Clone)]
pub struct Judgement {
    pub action: ActionTaken,
    pub duties: Duties,
    pub reason: Reason,
    /// The rule of a first decision, where the last one named another.
    pub earlier_rule: Option<Arc<str>>,
    pub reference: Option<Reference>,
    /// What the names of the target were found to be, for the next question about the same.
    pub names: Option<Arc<LookedUp>>,
}

impl Judgement {
    pub fn new(action: ActionTaken, duties: Duties, reason: Reason) -> Self {
        Judgement { action, duties, reason, earlier_rule: None, reference: None, names: None }
    }

    /// The last decision about an access that had been judged before.
    pub fn after(mut self, earlier: &Judgement) -> Self {
        if earlier.reason.rule != self.reason.rule {
            self.earlier_rule = Some(earlier.reason.rule.as_str().into());
        }
        self
    }
}

/// An access as its row begins: everything but the outcome, which reads `interrupted` until there is one.
pub fn access_record(log: &AccessLog, access: &Access, judgement: &Judgement, connection: u64) -> AccessRecord {
    let (client, target, reason) = (&access.client, &access.target, &judgement.reason);
    let (host, host_source, asked) = match &target.other_name {
        Some(sni) => (sni.as_str().into(), HostSource::Sni, target.host.to_text().as_ref().into()),
        None => {
            let dialled = target.mismatch.map_or_else(empty, |address| address.to_string().into());
            (target.host.to_text().as_ref().into(), target.host_source, dialled)
        }
    };
    let mut record = AccessRecord {
        connection,
        person: client.person.as_ref().and_then(|person| log.pseudonym(person)),
        identity_source: client.source,
        identity_strength: client.strength,
        client_address: Some(client.address),
        start: access.start,
        end: access.start,
        method: access.method.clone(),
        host,
        host_source,
        port: target.port,
        protocol: target.protocol,
        path: if judgement.duties.keep_path { clip(target.path()).into() } else { empty() },
        category: reason.category.as_ref().map_or_else(empty, |c| c.to_arc()),
        action: judgement.action,
        rule: reason.rule.to_arc(),
        list: reason.list.as_ref().map_or_else(empty, |l| l.to_arc()),
        entry: reason.entry.as_ref().map_or_else(empty, |e| e.to_string().into()),
        rules_version: reason.version.to_arc(),
        status: None,
        bytes_up: 0,
        bytes_down: 0,
        finding: empty(),
        visit: access.visit,
        ending: Ending::Interrupted,
        asked,
        earlier_rule: judgement.earlier_rule.clone().unwrap_or_else(empty),
        reference: judgement.reference,
        count: 1,
        flags: flags(judgement.duties),
    };
    record.flags.insert(Flags::of_ech(target.ech));
    if target.no_dns {
        record.flags.insert(Flags::NO_DNS);
    }
    if judgement.duties.inspect && judgement.action == ActionTaken::Tunnel {
        record.flags.insert(Flags::NOT_INSPECTED);
    }
    if target.mismatch.is_some() {
        record.flags.insert(Flags::ORIGIN_MISMATCH);
    }
    record.strip_if_help_line();
    record
}

/// Puts a later decision into a record that began; what happened on the way stays.
pub fn decide_anew(record: &mut AccessRecord, decided: AccessRecord) {
    let before = std::mem::replace(record, decided);
    // The same host asked for help before: what is decided of it later does not name who asked.
    if before.flags.contains(Flags::HELP_LINE) && before.host == record.host {
        record.flags.insert(Flags::HELP_LINE);
    }
    if record.finding.is_empty() {
        record.finding = before.finding;
    }
    let happened =
        [Flags::ECH, Flags::ECH_REAL, Flags::FAILED_OPEN, Flags::FAILED_CLOSED, Flags::NOT_SCANNED, Flags::NO_DNS];
    for flag in happened {
        if before.flags.contains(flag) {
            record.flags.insert(flag);
        }
    }
    record.strip_if_help_line();
}

/// Writes how it ended into a record that began.
pub fn close_access(record: &mut AccessRecord, outcome: &Outcome, end: Timestamp) {
    record.end = end;
    record.status = outcome.status;
    record.bytes_up = outcome.bytes_up;
    record.bytes_down = outcome.bytes_down;
    // What was found on the way stands there already.
    if let Some(finding) = &outcome.finding {
        record.finding = clip(finding).into();
    }
    record.ending = outcome.ending;
    record.strip_if_help_line();
}

/// A client's connection, and the origin it is about to be joined with.
pub fn connection_record(
    log: &AccessLog,
    client: &Client,
    judgement: Option<&Judgement>,
    start: Timestamp,
    origin: Option<SocketAddr>,
) -> ConnectionRecord {
    let mut record = ConnectionRecord {
        start,
        end: start,
        person: client.person.as_ref().and_then(|person| log.pseudonym(person)),
        identity_source: client.source,
        identity_strength: client.strength,
        device: client.device.clone().unwrap_or_else(empty),
        client_address: Some(client.address),
        client_port: Some(client.port),
        outward_address: None,
        outward_port: None,
        origin_address: origin.map(|o| o.ip()),
        origin_port: origin.map(|o| o.port()),
        protocol: Protocol::Unseen,
        bytes_up: 0,
        bytes_down: 0,
        action: judgement.map_or(ActionTaken::Nothing, |j| j.action),
        ending: Ending::Interrupted,
        count: 1,
        flags: judgement.map_or(Flags::default(), |j| flags(j.duties)),
    };
    record.strip_if_help_line();
    record
}

fn flags(duties: Duties) -> Flags {
    let mut flags = Flags::default();
    if duties.help_line {
        flags.insert(Flags::HELP_LINE);
    }
    if duties.log_only {
        flags.insert(Flags::LOG_ONLY);
    }
    flags
}

/// Nothing, without memory of its own.
fn empty() -> Arc<str> {
    static EMPTY: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));
    EMPTY.clone()
}

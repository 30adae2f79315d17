//! Policy's questions, asked at each stage of an access, and its answers in the terms of the log.

use std::net::IpAddr;
use std::sync::Arc;

use ::http::HeaderMap;

use crate::access::{Access, ActionTaken, Reason, Reference, Scheme};
use crate::policy::{
    AddressAction, ConnectionAction, Decision, DialPermit, Duties, FlowAction, NameAction, NameLimits, RelayPermit,
    RequestAction, SendAction,
};

use super::record::Judgement;
use super::{Snapshot, asking, own_pages};

/// Allowed so far, or refused with all that its page and its row need.
pub type Verdict<T> = Result<T, Box<Judgement>>;

/// A name asked of our DNS.
pub fn name(snapshot: &Snapshot, access: &Access) -> Verdict<NameLimits> {
    let Decision { action, duties, reason } = snapshot.rules.decide_name(access);
    match action {
        NameAction::Answer(limits) => Ok(limits),
        NameAction::Refuse => Err(refused(ActionTaken::Refuse, duties, reason)),
    }
}

/// A CONNECT, by the name it asks.
pub fn connection(snapshot: &Snapshot, access: &Access) -> Verdict<Judgement> {
    let Decision { action, duties, reason } = snapshot.rules.decide_connection(access);
    match action {
        ConnectionAction::Proceed => {
            // Whether it is opened is known with its first bytes.
            let duties = Duties { inspect: false, inspect_or_refuse: false, ..duties };
            Ok(Judgement::new(ActionTaken::Tunnel, duties, reason))
        }
        ConnectionAction::Refuse => Err(refused(ActionTaken::Refuse, duties, reason)),
        ConnectionAction::Identify => Err(refused(ActionTaken::Identify, duties, reason)),
    }
}

/// A request, before its name is resolved.
pub fn request(snapshot: &Snapshot, access: &Access, headers: &HeaderMap) -> Verdict<Judgement> {
    let names = snapshot.rules.look_up_in(&access.target, || asking::context(headers));
    let Decision { action, duties, reason } = snapshot.rules.decide_request_of(access, &names);
    match action {
        RequestAction::Proceed => {
            let judgement = Judgement::new(ActionTaken::Forward, duties, reason);
            Ok(Judgement { names: Some(Arc::new(names)), ..judgement })
        }
        RequestAction::Refuse => Err(refused(ActionTaken::Refuse, duties, reason)),
        RequestAction::Warn => Err(refused(ActionTaken::Warn, duties, reason)),
        RequestAction::Identify => Err(refused(ActionTaken::Identify, duties, reason)),
    }
}

/// Whether an access is one to a help-line, whatever becomes of it.
pub fn is_help_line(snapshot: &Snapshot, access: &Access) -> bool {
    let duties = match access.target.scheme {
        _ if own_pages::is_nowhere(&access.target) => return false,
        Scheme::Http => snapshot.rules.decide_request(access).duties,
        Scheme::Https | Scheme::Tunnel => snapshot.rules.decide_connection(access).duties,
    };
    duties.help_line
}

/// An address that the name resolved to; it stays in the access as the last one asked about.
pub fn address(snapshot: &Snapshot, access: &mut Access, address: IpAddr) -> Verdict<DialPermit> {
    access.target.address = Some(address);
    permit(snapshot.rules.decide_address(access))
}

/// A name whose address will not be known here: a parent proxy resolves it.
pub fn unresolved(snapshot: &Snapshot, access: &mut Access) -> Verdict<DialPermit> {
    access.target.address = None;
    permit(snapshot.rules.decide_address(access))
}

fn permit(Decision { action, duties, reason }: Decision<AddressAction>) -> Verdict<DialPermit> {
    match action {
        AddressAction::Dial(permit) => Ok(permit),
        AddressAction::Refuse => Err(refused(ActionTaken::Refuse, duties, reason)),
    }
}

/// A request that is about to be sent to a known address.
pub fn send(snapshot: &Snapshot, access: &Access, earlier: &Judgement) -> Verdict<(RelayPermit, Judgement)> {
    let Decision { action, duties, reason } = match &earlier.names {
        Some(names) => snapshot.rules.decide_send_of(access, names),
        None => snapshot.rules.decide_send(access),
    };
    match action {
        SendAction::Forward(permit) => Ok((permit, Judgement::new(ActionTaken::Forward, duties, reason))),
        SendAction::Refuse => Err(refused(ActionTaken::Refuse, duties, reason)),
    }
}

/// Whether a flow can be opened, should policy want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanOpen {
    Yes,
    /// There is no authority for it, its clients believe none, or it is nothing that we speak.
    No,
}

/// How an allowed flow passes.
pub enum Passage {
    Tunnel(RelayPermit),
    Inspect(RelayPermit),
}

/// A tunnel whose first bytes are known.
pub fn flow(snapshot: &Snapshot, access: &Access, can_open: CanOpen) -> Verdict<(Passage, Judgement)> {
    let Decision { action, duties, reason } = snapshot.rules.decide_flow(access);
    let (passage, action) = match action {
        FlowAction::Tunnel(permit) => (Passage::Tunnel(permit), ActionTaken::Tunnel),
        FlowAction::Inspect(permit) if can_open == CanOpen::Yes => {
            (Passage::Inspect(permit.open()), ActionTaken::Inspect)
        }
        FlowAction::Inspect(permit) => match permit.tunnel_instead() {
            Some(permit) => (Passage::Tunnel(permit), ActionTaken::Tunnel),
            None => return Err(refused(ActionTaken::Refuse, duties, reason)),
        },
        FlowAction::Refuse => return Err(refused(ActionTaken::Refuse, duties, reason)),
    };
    Ok((passage, Judgement::new(action, duties, reason)))
}

/// A refusal gets the code by which it is found again.
fn refused(action: ActionTaken, duties: Duties, reason: Reason) -> Box<Judgement> {
    let reference = Some(new_reference());
    Box::new(Judgement { reference, ..Judgement::new(action, duties, reason) })
}

/// A code for a page and its row.
pub fn new_reference() -> Reference {
    let mut bytes = [0; 8];
    // aws-lc's generator does not fail once it is seeded; were it to, the code would be eight zeros.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    Reference::from_random(u64::from_le_bytes(bytes))
}

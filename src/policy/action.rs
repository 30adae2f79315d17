//! What policy answers, and the permits that its allowing answers carry.

use super::NameLimits;
use crate::access::{ActionTaken, Reason};

/// One answer of policy: an action of the stage that asked, the duties that come with it, and why.
#[derive(Debug)]
pub struct Decision<A> {
    pub action: A,
    pub duties: Duties,
    pub reason: Reason,
}

/// What an answer obliges the gateway to, whatever the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duties {
    /// A help-line for children: neither person, address, port nor device is kept, and the time is the hour.
    pub help_line: bool,
    /// Never to be opened: carried on to whoever could.
    pub never_inspect: bool,
    /// TLS is to be opened. Beside the action `Tunnel`: it was to be and could not.
    pub inspect: bool,
    /// What is to be opened and cannot is refused.
    pub inspect_or_refuse: bool,
    /// The path (never the query) is kept in the row.
    pub keep_path: bool,
    /// A rule would have refused it and only logs: the reason names that rule.
    pub log_only: bool,
    /// What the origin answers is examined, as far as [`super::ScanPolicy`] says.
    pub scan: bool,
    /// What the client sends is.
    pub scan_uploads: bool,
}

impl Duties {
    /// The words of the policy file, in a fixed order.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.help_line, "help-line"),
            (self.never_inspect, "never-inspect"),
            (self.inspect && !self.inspect_or_refuse, "inspect"),
            (self.inspect_or_refuse, "inspect-or-refuse"),
            (self.keep_path, "keep-path"),
            (self.log_only, "log-only"),
            (self.scan, "scan"),
            (self.scan_uploads, "scan-uploads"),
        ];
        all.into_iter().filter(|(set, _)| *set).map(|(_, word)| word)
    }
}

/// Proof that policy allowed a connection to be opened towards an origin. Only this module's answers make one, and it
/// can't be copied: whoever dials has asked first, and asks again for the next.
#[derive(Debug)]
#[must_use = "a permit that nobody uses is a dial that was not made"]
pub struct DialPermit(());

/// Proof that policy's *last* answer, with everything known, allowed bytes to reach an origin. Only this module's
/// answers make one, and it can't be copied: one permit, one relay or one request.
#[derive(Debug)]
#[must_use = "a permit that nobody uses is a byte that was not sent"]
pub struct RelayPermit(());

impl DialPermit {
    pub(super) fn new() -> Self {
        DialPermit(())
    }

    /// For tests of what demands one.
    #[cfg(test)]
    pub(crate) fn for_test() -> Self {
        DialPermit(())
    }
}

impl RelayPermit {
    pub(super) fn new() -> Self {
        RelayPermit(())
    }

    /// For tests of what demands one.
    #[cfg(test)]
    pub(crate) fn for_test() -> Self {
        RelayPermit(())
    }
}

/// Proof that policy wants a connection opened and looked into; what it says where that cannot be is in here.
#[derive(Debug)]
#[must_use = "policy wants it opened"]
pub struct InspectPermit {
    or_refuse: bool,
}

impl InspectPermit {
    pub(super) fn new(duties: Duties) -> Self {
        InspectPermit { or_refuse: duties.inspect_or_refuse }
    }

    /// To shake hands with the origin. What is sent inside is asked for one by one.
    pub fn open(self) -> RelayPermit {
        RelayPermit(())
    }

    /// Where it cannot be opened: unseen, or (`None`) not at all.
    pub fn tunnel_instead(self) -> Option<RelayPermit> {
        (!self.or_refuse).then_some(RelayPermit(()))
    }
}

/// A name asked of our DNS, of which nothing else is known.
#[derive(Debug)]
pub enum NameAction {
    Refuse,
    /// Nothing known so far refuses it: it is answered, within these limits.
    Answer(NameLimits),
}

/// A CONNECT, by the name asked.
#[derive(Debug)]
pub enum ConnectionAction {
    Refuse,
    /// Ask who it is, in the client's protocol.
    Identify,
    /// Nothing known so far refuses it: resolve the name and ask about the address.
    Proceed,
}

/// An HTTP request, before its host is resolved.
#[derive(Debug)]
pub enum RequestAction {
    Refuse,
    /// Show a page that the person may pass.
    Warn,
    Identify,
    Proceed,
}

/// An address about to be dialled.
#[derive(Debug)]
pub enum AddressAction {
    Refuse,
    Dial(DialPermit),
}

/// A flow whose first bytes are known.
#[derive(Debug)]
pub enum FlowAction {
    Refuse,
    /// Opened, and what is inside judged request by request.
    Inspect(InspectPermit),
    Tunnel(RelayPermit),
}

/// An HTTP request about to be sent to the address known.
#[derive(Debug)]
pub enum SendAction {
    Refuse,
    Forward(RelayPermit),
}

impl ConnectionAction {
    pub fn taken(&self) -> ActionTaken {
        match self {
            ConnectionAction::Refuse => ActionTaken::Refuse,
            ConnectionAction::Identify => ActionTaken::Identify,
            ConnectionAction::Proceed => ActionTaken::Nothing,
        }
    }
}

impl RequestAction {
    pub fn taken(&self) -> ActionTaken {
        match self {
            RequestAction::Refuse => ActionTaken::Refuse,
            RequestAction::Warn => ActionTaken::Warn,
            RequestAction::Identify => ActionTaken::Identify,
            RequestAction::Proceed => ActionTaken::Nothing,
        }
    }
}

impl AddressAction {
    pub fn taken(&self) -> ActionTaken {
        match self {
            AddressAction::Refuse => ActionTaken::Refuse,
            AddressAction::Dial(_) => ActionTaken::Nothing,
        }
    }
}

impl FlowAction {
    pub fn taken(&self) -> ActionTaken {
        match self {
            FlowAction::Refuse => ActionTaken::Refuse,
            FlowAction::Inspect(_) => ActionTaken::Inspect,
            FlowAction::Tunnel(_) => ActionTaken::Tunnel,
        }
    }
}

impl SendAction {
    pub fn taken(&self) -> ActionTaken {
        match self {
            SendAction::Refuse => ActionTaken::Refuse,
            SendAction::Forward(_) => ActionTaken::Forward,
        }
    }
}

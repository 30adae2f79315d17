//! Who may reach what, when, and why not.
//!
//! Text (`policy.toml`, `people.csv`) and the image of the lists become a [`Ruleset`], an immutable snapshot. Its
//! `decide_*` are pure functions of an [`crate::access::Access`]: same input, same answer, same reason. They are asked
//! again whenever more is known: the name, the address, the first bytes, the request.
//!
//! # Precedence
//!
//! This is the one place that says which rule wins.
//!
//! 1. **Rules are tried in the order of the file; the first that matches decides**, with its action and its duties. A
//!    rule matches when all of *who*, *when* and *what* hold. *What*: any of its categories, lists, hosts, URLs or
//!    addresses covers the target, and the port, protocol and scheme are among those it names (naming none: any).
//! 2. What no rule decides gets the policy's `default`; the reason then names the rule `default`.
//! 3. **Several names** (a CONNECT for one, the SNI of another; the site that a translator or an archive shows, see
//!    [`embedded`]) are judged one by one and the strictest answer wins. Being shielded from inspection needs one of them;
//!    being a help-line, or having its path kept, needs all.
//! 4. **A resolved address only makes it worse**: a list of addresses refuses the name that leads there, but never allows
//!    it, since anybody can point a name at an allowed address. (The `addresses` written in a rule count either way:
//!    there the author meant the machine. So does an address that the client itself asked for.)
//! 5. **An early answer refuses only what every later answer would refuse**: while the address or the protocol is unknown,
//!    a rule that might still allow holds back the refusals of the rules behind it.
//! 6. A rule with the duty `log-only` never decides: the walk goes on, and where the end is "allow" the reason names that
//!    rule and the row is flagged.
//! 7. **Protocols**: a word means the protocol and what is carried in it (`tls` covers `tor`, `dot`), a family its members
//!    (`vpn`). Several are joined; what stands behind `!` is taken away, from everything where nothing else is named, so
//!    that `["!tls"]` covers a protocol that we learn tomorrow. The protocol is unknown until the first bytes: point 5 holds.
//! 8. **Inspection** is a duty of a rule that allows, so the first rule that matches says whether TLS is opened. A rule with
//!    `never-inspect` or `help-line` that covers one of the names shields it wherever in the file it stands, before or behind.
//!    What is inside is judged anew, request by request, by the same rules.
//! 9. **Encrypted ClientHellos** narrow a rule like protocols do, and are known when the protocol is. Without such a rule the
//!    outer name is judged, whatever they are.
//! 10. **Scanning** (`scan`, `scan-uploads`) is a duty of a rule that allows; of several names, one is enough. Which types and
//!     sizes are scanned the table `[scan]` says, for all rules.
//! 11. **Going round our DNS** (`no_dns`) narrows a rule too, and is known from the beginning of a flow; of a question to our
//!     DNS itself it is not.
//! 12. Several schedules of one rule: any of the plain ones, and none of those with `!`.
//!
//! Who a client is: the groups that `people.csv` gives to its address; where it gives none, those whose networks hold the
//! address; else the default group.
//!
//! This module knows no socket and no clock. Type to read first: [`Ruleset`].

mod action;
mod compile;
mod ech;
mod embedded;
mod expect;
mod explain;
mod judge;
mod labels;
mod look_alikes;
mod names;
mod people;
mod problem;
mod protocols;
mod rule;
mod ruleset;
mod scanned;
mod schedule;
mod target;
mod written;

#[cfg(test)]
mod tests;

pub use action::{
    AddressAction, ConnectionAction, Decision, DialPermit, Duties, FlowAction, InspectPermit, NameAction, RelayPermit,
    RequestAction, SendAction,
};
pub use expect::Tried;
pub use explain::{Considered, Explanation};
pub use judge::LookedUp;
pub use labels::{Category, Group, Language, RuleSummary};
pub use names::{NameLimits, Youtube};
pub use people::People;
pub use ruleset::{RefusedCategory, Ruleset};
pub use scanned::ScanPolicy;
pub use schedule::Hours;
pub use target::{begins_with_hello, target_of_connect, target_of_url};

//! Lists of ad blockers.

use crate::access::Host;
use crate::matcher::patterns::PatternSet;
use crate::matcher::rules::{Rule, RuleError};

use super::{Entry, Fault};

/// `||example.fr^`, `/banner.$third-party`, `@@||example.fr/ads/`; what says nothing to a proxy is passed over.
pub fn parse_rule(line: &str, sink: &mut dyn FnMut(Entry<'_>)) -> Result<(), Fault> {
    let Some(rule) = Rule::parse(line).map_err(fault_of)? else { return Ok(()) };
    if let Some(host) = rule.whole_host().and_then(|host| Host::parse(host).ok()) {
        match &host {
            Host::Name(name) => sink(Entry::Name(name.as_str())),
            Host::Address(address) => sink(super::single(*address)),
        }
        return Ok(());
    }
    if let Some(expression) = rule.expression() {
        let help = "expressions of browsers know more than ours: look-around and back-references cannot be used";
        PatternSet::check(expression).map_err(|error| Fault::new(error.to_string(), help))?;
    }
    sink(Entry::Rule { host: rule.host(), text: line });
    Ok(())
}

fn fault_of(error: RuleError) -> Fault {
    let help = match error {
        RuleError::MatchesAll => "name a host, a path or a page",
        RuleError::NotAscii => "write it as it stands in a URL: hosts as `xn--…`, `é` as `%c3%a9`",
        RuleError::Option(_) => "see the page on matching for the options that a proxy follows",
    };
    Fault::new(error.to_string(), help)
}

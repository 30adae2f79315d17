//! Rules that can never decide, because an earlier one always does.

use std::ops::Range;

use super::Compiler;
use super::rules::covers_host;
use crate::policy::rule::{Rule, What};

impl Compiler<'_> {
    pub(super) fn unreachable(&mut self, rules: &[Rule], places: &[Range<usize>]) {
        for (i, (rule, place)) in rules.iter().zip(places).enumerate() {
            if let Some(earlier) = rules[..i].iter().find(|earlier| shadows(earlier, rule)) {
                let what =
                    format!("rule `{}` is never reached: `{}` decides everything before it", rule.name, earlier.name);
                self.document.problem(place, what, "move it up, or remove it");
            }
        }
    }
}

/// Whether `earlier` matches whatever `later` matches, and decides.
fn shadows(earlier: &Rule, later: &Rule) -> bool {
    // A rule that is wrong otherwise (nobody, nothing) has its own problem.
    let meant = later.who != 0 && (later.what.all || names(&later.what) > 0);
    meant
        && !earlier.duties.log_only
        && earlier.who & later.who == later.who
        && (earlier.when.is_always() || earlier.when == later.when)
        && earlier.what.protocols.covers(later.what.protocols)
        && earlier.what.schemes.covers(later.what.schemes)
        && earlier.what.host_sources.covers(later.what.host_sources)
        && earlier.what.ech.covers(later.what.ech)
        && (!earlier.what.no_dns || later.what.no_dns)
        && covers_ports(&earlier.what, &later.what)
        && (earlier.what.all || (!later.what.all && covers_names(earlier, later)))
}

fn names(what: &What) -> usize {
    what.categories.len()
        + what.named.len()
        + what.hosts.len()
        + what.urls.len()
        + what.addresses.len()
        + what.look_alikes_of.len()
}

fn covers_ports(earlier: &What, later: &What) -> bool {
    let within = |(from, to): &(u16, u16)| earlier.ports.iter().any(|(a, b)| a <= from && to <= b);
    earlier.ports.is_empty() || (!later.ports.is_empty() && later.ports.iter().all(within))
}

fn covers_names(earlier: &Rule, later: &Rule) -> bool {
    let (a, b) = (&earlier.what, &later.what);
    // A list also matches by the address resolved, but only where its rule refuses.
    let same_reach = earlier.verdict >= later.verdict;
    let lists = b.named.iter().all(|(list, _)| a.lists.contains(*list)) && (same_reach || b.named.is_empty());
    let categories = b.categories.iter().all(|category| a.categories.contains(category));
    let hosts = b.hosts.iter().all(|entry| covers_host(&a.hosts, &entry.host, entry.below_only));
    let urls = b.urls.iter().all(|entry| {
        a.url(&entry.prefix).is_some()
            || entry.prefix.target().name().is_some_and(|host| covers_host(&a.hosts, host, false))
    });
    let addresses =
        b.addresses.iter().all(|entry| a.addresses.iter().any(|outer| outer.network.contains(&entry.network)));
    let look_alikes = b.look_alikes_of.iter().all(|one| a.look_alikes_of.contains(one));
    lists && categories && hosts && urls && addresses && look_alikes
}

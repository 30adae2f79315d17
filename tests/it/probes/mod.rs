//! Hostile requests: nothing is smuggled past the filter or the log, and nothing hangs.
//!
//! Each probe is sent from a device of its own to an origin name of its own, three ways: as it is (the gateway is no web
//! server: nothing may go anywhere), with its target in absolute form as a browser with a proxy writes it, and inside
//! a CONNECT tunnel (which is judged and otherwise not touched); and two more from devices without a setting, through each
//! of the transparent doors. Then the gateway leaves, and what a
//! [`Recorder`](crate::harness::recorder::Recorder) kept is compared with the log by every reader of
//! [`crate::harness::readers`].

mod families;
mod judge;
mod sample;
mod send;
mod want;

use crate::harness::lab;
use crate::harness::table::Table;

/// One request, or what passes for one.
#[derive(Debug, Clone)]
pub struct Probe {
    pub id: String,
    /// `{HOST}` stands for the origin, `host:port`; `{HOSTNAME}` and `{PORT}` for its halves.
    pub bytes: Vec<u8>,
    /// What is right, in the words of [`want`].
    pub want: String,
}

/// How a probe reaches the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// As it is.
    Bare,
    /// The target of its first line in absolute form, all other bytes as they are.
    Absolute,
    /// Behind a CONNECT.
    Tunnel,
    /// As it is, to the origin itself; the network brings it to the gateway's door for HTTP instead.
    Diverted,
    /// The same, to the door for whatever it may be.
    DivertedUnseen,
}

impl Way {
    /// Those of a browser that is set to use a proxy, and as it is.
    pub const ALL: [Way; 3] = [Way::Bare, Way::Absolute, Way::Tunnel];
    /// Those of a device without any setting.
    pub const DIVERTED: [Way; 2] = [Way::Diverted, Way::DivertedUnseen];

    pub fn is_diverted(self) -> bool {
        Way::DIVERTED.contains(&self)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn none_of_our_own_probes_is_smuggled_past_the_transparent_doors_or_hangs() {
    let test = "probes::none_of_our_own_probes_is_smuggled_past_the_transparent_doors_or_hangs";
    if !lab::enter(test) {
        return;
    }
    let judged = send::send_all(families::all(), &Way::DIVERTED).await;
    let mut table = Table::new("Our own requests, without a proxy's setting");
    judged.sum_up(&mut table);
    table.print();
    judged.check_arrivals(100);
    judged.check("our own probes, transparently", |_| None);
}

#[tokio::test(flavor = "multi_thread")]
async fn none_of_our_own_probes_is_smuggled_past_or_hangs() {
    let probes = families::all();
    assert!(probes.len() >= 300, "{} probes", probes.len());
    let judged = send::send_all(probes, &Way::ALL).await;
    let mut families: std::collections::BTreeMap<&str, (usize, usize)> = Default::default();
    let absolute = || judged.verdicts.iter().filter(|verdict| verdict.sent.way == Way::Absolute);
    for verdict in absolute() {
        let family = verdict.sent.probe.id.split('/').next().unwrap_or_default();
        let (met, all) = families.entry(family).or_default();
        *met += usize::from(verdict.meets(&verdict.sent.probe.want));
        *all += 1;
    }
    let mut table = Table::new("Our own requests");
    for (family, (met, all)) in families {
        table.row(&format!("{family}, in absolute form"), &all, &format!("{met} as they should be"));
    }
    judged.sum_up(&mut table);
    table.print();

    judged.check("our own probes", |verdict| Some(verdict.sent.probe.want.clone()));
}

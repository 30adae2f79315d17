//! The public sample of other people's probes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::judge::Verdict;
use super::send::send_all;
use super::{Probe, Way};
use crate::harness::cli::text;
use crate::harness::table::Table;
use crate::harness::{data, lab};

/// Scored probes whose wish a proxy does not fulfil to the letter: what is asserted instead, and why. What is smuggled,
/// hung or left open is judged all the same.
const OTHERWISE: [(&str, &str, &str); 4] = [
    (
        "llhttp/connection/No restart when keep-alive is off (1.0)#3",
        "1 requests",
        "a parser for one message calls what follows an error; a server answers the first and closes",
    ),
    (
        "llhttp/connection/Upgrade POST request#13",
        "reject, or forward unambiguously",
        "the parser stops at an upgrade and leaves the rest to its caller; we take `Upgrade: HTTP/2.0` out or refuse it",
    ),
    ("llhttp/method/CONNECT request#2", "accept", "the parser stops there; a proxy opens the tunnel"),
    ("llhttp/uri/Underscore in hostname#8", "accept", "the parser stops there; a proxy opens the tunnel"),
];

struct Sample {
    probe: Probe,
    source: String,
    level: String,
    scored: bool,
}

fn sample() -> Option<Vec<Sample>> {
    let file = data()?.join("http-probes-sample.jsonl");
    let lines = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let read = |line: &str| {
        let row: Value = serde_json::from_str(line).expect("a line of JSON");
        // Each character is a byte.
        let bytes = text(&row, "payload_latin1").chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1"));
        Sample {
            probe: Probe { id: text(&row, "id").into(), bytes: bytes.collect(), want: text(&row, "want").into() },
            source: text(&row, "source").into(),
            level: text(&row, "level").into(),
            scored: row["scored"] == true,
        }
    };
    Some(lines.lines().map(read).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_probe_of_the_sample_is_smuggled_past_or_hangs() {
    let Some(sample) = sample() else { return };
    let judged = send_all(sample.iter().map(|one| one.probe.clone()).collect(), &Way::ALL).await;

    let by_id: BTreeMap<&str, &Sample> = sample.iter().map(|one| (one.probe.id.as_str(), one)).collect();
    let meets = |verdict: &Verdict| verdict.meets(&verdict.sent.probe.want);
    let expected = |verdict: &Verdict| {
        let id = verdict.sent.probe.id.as_str();
        OTHERWISE
            .iter()
            .find(|(other, ..)| *other == id)
            .map_or(verdict.sent.probe.want.clone(), |(_, want, _)| (*want).into())
    };
    // A tunnel is only judged; as it is, a probe speaks to no web server.
    let absolute = || judged.verdicts.iter().filter(|verdict| verdict.sent.way == Way::Absolute);
    let mut agreement: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    for verdict in absolute() {
        let one = by_id[verdict.sent.probe.id.as_str()];
        let level = if one.scored { one.level.as_str() } else { "not scored" };
        let (met, all) = agreement.entry((one.source.as_str(), level)).or_default();
        *met += usize::from(meets(verdict));
        *all += 1;
    }
    let mut table = Table::new("Requests made by others");
    for ((source, level), (met, all)) in &agreement {
        table.row(&format!("{source}, {level}, in absolute form"), all, &format!("{met} as the source wants"));
    }
    judged.sum_up(&mut table);
    table.print();

    judged.check("the sample", |verdict| {
        let one = by_id[verdict.sent.probe.id.as_str()];
        (one.scored && one.level == "Must").then(|| expected(verdict))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn no_probe_of_the_sample_is_smuggled_past_the_transparent_doors_or_hangs() {
    let test = "probes::sample::no_probe_of_the_sample_is_smuggled_past_the_transparent_doors_or_hangs";
    if !lab::enter(test) {
        return;
    }
    let Some(sample) = sample() else { return };
    let judged = send_all(sample.into_iter().map(|one| one.probe).collect(), &Way::DIVERTED).await;
    let mut table = Table::new("Requests made by others, without a proxy's setting");
    judged.sum_up(&mut table);
    table.print();
    // Most of them ask to be refused, and are.
    judged.check_arrivals(15);
    judged.check("the sample, transparently", |_| None);
}

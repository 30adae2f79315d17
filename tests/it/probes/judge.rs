//! Compares what arrived at the origin with what the log holds.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;

use super::Way;
use super::send::{Heard, Sent};
use super::want::is_met;
use crate::harness::cli::{number, text};
use crate::harness::readers::{self, Request};
use crate::harness::recorder::Recorded;
use crate::harness::table::Table;

/// All that was sent, with what became of it.
pub struct Judged {
    pub verdicts: Vec<Verdict>,
    /// Connections that arrived at the origin and belong to nobody.
    pub strangers: Vec<String>,
}

/// One probe, one way.
pub struct Verdict {
    pub sent: Sent,
    /// Requests at the origin, where all readers agree.
    pub requests: Option<usize>,
    /// A tunnel whose inside passed as it is.
    pub relayed: bool,
    /// What some reader saw and the log does not hold.
    pub smuggled: Vec<String>,
    /// Rows that are too many or too few.
    pub unlogged: Vec<String>,
}

impl Verdict {
    pub fn heard(&self) -> &Heard {
        &self.sent.heard
    }

    pub fn meets(&self, want: &str) -> bool {
        is_met(want, self.heard(), self.requests)
    }

    /// The gateway said that it does not understand, or not so much: what follows on the line can't be trusted.
    pub fn was_refused(&self) -> bool {
        self.heard().statuses.iter().any(|status| matches!(status, 400 | 408 | 411 | 413 | 414 | 417 | 431 | 501 | 505))
    }

    pub fn line(&self) -> String {
        let heard = self.heard();
        format!(
            "{} ({:?}): heard {:?}{}{}, {} at the origin\n    sent  {}\n    heard {}",
            self.sent.probe.id,
            self.sent.way,
            heard.statuses,
            if heard.closed { " and the close" } else { "" },
            if heard.hung { " HUNG" } else { "" },
            self.requests.map_or("readers differ".to_owned(), |n| n.to_string()),
            shown(&self.sent.bytes),
            shown(heard.text.as_bytes()),
        )
    }
}

/// Bytes as a string literal, cut.
pub fn shown(bytes: &[u8]) -> String {
    let text: String = bytes.iter().take(400).flat_map(|&b| std::ascii::escape_default(b)).map(char::from).collect();
    if bytes.len() > 400 { format!("\"{text}\"… ({} bytes)", bytes.len()) } else { format!("\"{text}\"") }
}

impl Judged {
    pub fn new(
        sent: Vec<Sent>,
        origin: Vec<Recorded>,
        accesses: Vec<Value>,
        connections: Vec<Value>,
        port: u16,
    ) -> Self {
        // A port may be used again within a second (tcp_tw_reuse, on loopback): its rows and its connections have the same order.
        let mut client_of: HashMap<u16, VecDeque<&Value>> = HashMap::new();
        let mut in_order: Vec<&Value> = connections.iter().collect();
        in_order.sort_by_key(|row| text(row, "start"));
        for row in in_order {
            client_of.entry(number(row, "outward_port") as u16).or_default().push_back(row);
        }
        let mut strangers = Vec::new();
        let mut arrived: HashMap<String, Vec<(u64, Recorded)>> = HashMap::new();
        for recorded in origin {
            match client_of.get_mut(&recorded.peer.port()).and_then(VecDeque::pop_front) {
                Some(row) => arrived
                    .entry(text(row, "client_address").to_owned())
                    .or_default()
                    .push((number(row, "sequence"), recorded)),
                None => strangers.push(format!("from {}: {}", recorded.peer, shown(&recorded.bytes))),
            }
        }
        let mut rows: HashMap<String, Vec<Value>> = HashMap::new();
        for row in accesses {
            rows.entry(text(&row, "client_address").to_owned()).or_default().push(row);
        }
        let verdicts = sent
            .into_iter()
            .map(|sent| {
                let client = sent.client.to_string();
                let mut rows = rows.remove(&client).unwrap_or_default();
                rows.sort_by_key(|row| (number(row, "lane"), number(row, "sequence")));
                judge(sent, arrived.remove(&client).unwrap_or_default(), &rows, port)
            })
            .collect();
        Judged { verdicts, strangers }
    }

    /// The row of all of them.
    pub fn sum_up(&self, table: &mut Table) {
        let count = |choose: &dyn Fn(&Verdict) -> bool| self.verdicts.iter().filter(|v| choose(v)).count();
        let smuggled = count(&|v| !v.smuggled.is_empty());
        let hung = count(&|v| v.heard().hung);
        let rows = count(&|v| !v.unlogged.is_empty()) + self.strangers.len();
        table.row(
            "all of them, every way",
            &self.verdicts.len(),
            &format!("{smuggled} smuggled, {hung} hung, {rows} with a wrong number of rows"),
        );
        let relayed = count(&|v| v.relayed);
        table.row("of these, what is no HTTP in a tunnel", &relayed, "relayed as it is, under the tunnel's row");
    }

    /// So many probes at least arrived at an origin, whichever way they went.
    pub fn check_arrivals(&self, least: usize) {
        let ways: std::collections::HashSet<Way> = self.verdicts.iter().map(|verdict| verdict.sent.way).collect();
        for way in ways {
            let of_way = self.verdicts.iter().filter(|verdict| verdict.sent.way == way);
            let arrived = of_way.filter(|verdict| verdict.requests.is_some_and(|n| n > 0)).count();
            assert!(arrived > least, "only {arrived} probes arrived {way:?}: nothing was brought to the gateway");
        }
    }

    /// Nothing smuggled, nothing hung, each request one row, who was told no was let go, and those in absolute form got
    /// what `wanted` says.
    pub fn check(&self, what: &str, wanted: impl Fn(&Verdict) -> Option<String>) {
        let list = |title: &str, all: Vec<String>| {
            (!all.is_empty()).then(|| format!("{title}: {}\n{}\n", all.len(), all.join("\n")))
        };
        // A tunnel is only judged; as it is, a probe speaks to no web server.
        let unmet = |verdict: &Verdict| {
            let want = wanted(verdict).filter(|want| verdict.sent.way == Way::Absolute && !verdict.meets(want))?;
            Some(format!("wants {want}: {}", verdict.line()))
        };
        let of = |choose: &dyn Fn(&Verdict) -> Option<String>| -> Vec<String> {
            self.verdicts.iter().filter_map(choose).collect()
        };
        let faults: Vec<String> = [
            list("connections that no row names", self.strangers.clone()),
            list(
                "SMUGGLED",
                of(&|v| (!v.smuggled.is_empty()).then(|| format!("{}\n    {}", v.line(), v.smuggled.join("\n    ")))),
            ),
            list(
                "ROWS",
                of(&|v| (!v.unlogged.is_empty()).then(|| format!("{}\n    {}", v.line(), v.unlogged.join("\n    ")))),
            ),
            list("HUNG", of(&|v| v.heard().hung.then(|| v.line()))),
            list("not as it should be", of(&|v| unmet(v))),
            list("refused and not closed", of(&|v| (v.was_refused() && !v.heard().closed).then(|| v.line()))),
        ]
        .into_iter()
        .flatten()
        .collect();
        assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
    }
}

fn judge(sent: Sent, arrived: Vec<(u64, Recorded)>, rows: &[Value], port: u16) -> Verdict {
    let mut verdict = Verdict { requests: Some(0), relayed: false, smuggled: Vec::new(), unlogged: Vec::new(), sent };
    if rows.is_empty() && !arrived.is_empty() {
        verdict.unlogged.push("no row at all".to_owned());
    }
    for (sequence, recorded) in &arrived {
        // What we answered ourselves names its connection too.
        let own: Vec<&Value> = rows
            .iter()
            .filter(|row| number(row, "connection") == *sequence && matches!(text(row, "action"), "forward" | "tunnel"))
            .collect();
        let tunnel = own.first().is_some_and(|row| is_of_a_tunnel(row));
        if tunnel {
            through_tunnel(&mut verdict, &own, recorded, port);
        } else {
            forwarded(&mut verdict, &own, recorded);
        }
    }
    let reached = rows.iter().filter(|row| number(row, "connection") != 0);
    for row in reached {
        if !arrived.iter().any(|(sequence, _)| *sequence == number(row, "connection"))
            && text(row, "action") == "forward"
        {
            // The origin was dialled and nothing was sent: only a row that failed may say so.
            let failed = number(row, "status") >= 400 || row["status"].is_null();
            if !failed {
                verdict.unlogged.push(format!("a row for a request that never arrived: {row}"));
            }
        }
    }
    verdict
}

/// The row of a tunnel, or of a flow that was brought here and is no HTTP.
fn is_of_a_tunnel(row: &Value) -> bool {
    text(row, "method") == "CONNECT" || (text(row, "method").is_empty() && text(row, "action") == "tunnel")
}

/// A tunnel has one row that names where it leads. What is HTTP in it is served as HTTP, with a row for each request; all else
/// passes as it is, and then no reader may find a request for another host in it.
fn through_tunnel(verdict: &mut Verdict, rows: &[&Value], recorded: &Recorded, port: u16) {
    let (tunnel, inside): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(|row| is_of_a_tunnel(row));
    if tunnel.len() != 1 {
        verdict.unlogged.push(format!("{} rows for one tunnel", tunnel.len()));
    }
    for row in tunnel {
        // What has no name is known by the address dialled.
        let host = if verdict.sent.way.is_diverted() { "127.0.0.1" } else { &verdict.sent.name };
        if text(row, "host") != host || number(row, "port") != u64::from(port) {
            verdict.smuggled.push(format!("the row of the tunnel names {}:{}", text(row, "host"), number(row, "port")));
        }
    }
    let as_it_is = verdict.sent.bytes.starts_with(&recorded.bytes) || verdict.sent.bytes.ends_with(&recorded.bytes);
    if as_it_is && inside.is_empty() {
        verdict.requests = None;
        verdict.relayed = !recorded.bytes.is_empty();
        let own = format!("{}:{port}", verdict.sent.name);
        for reader in readers::ALL {
            let seen = reader.read(&recorded.bytes);
            let other =
                seen.iter().find(|r| r.method != "?" && !r.host.is_empty() && !r.host.eq_ignore_ascii_case(&own));
            if let Some(other) = other {
                verdict.smuggled.push(format!(
                    "{} finds a request for {} in the tunnel",
                    reader.name,
                    other.host.escape_default()
                ));
            }
        }
    } else {
        forwarded(verdict, &inside, recorded);
    }
}

/// Each reader sees the requests that the rows name, in their order, and nothing else.
fn forwarded(verdict: &mut Verdict, rows: &[&Value], recorded: &Recorded) {
    let mut counts = Vec::new();
    let mut faults: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for reader in readers::ALL {
        let seen = reader.read(&recorded.bytes);
        counts.push(seen.len());
        for (at, request) in seen.iter().enumerate() {
            let fault = rows.get(at).map_or(Some("no row".to_owned()), |row| difference(request, row));
            if let Some(fault) = fault {
                let (method, target, host) = (&request.method, &request.target, &request.host);
                let request = format!("{method} {} for {}", target.escape_default(), host.escape_default());
                faults.entry(format!("{request}: {fault}")).or_default().push(reader.name);
            }
        }
        // A row that says that it failed may stand for a request of which not a byte was sent.
        let never_sent =
            rows.iter().skip(seen.len()).filter(|row| number(row, "status") < 400 && !row["status"].is_null());
        for row in never_sent {
            verdict.unlogged.push(format!("{} sees no request for the row {row}", reader.name));
        }
    }
    for (fault, readers) in faults {
        verdict.smuggled.push(format!("{} see {fault}; bytes {}", readers.join(", "), shown(&recorded.bytes)));
    }
    let agreed = counts.iter().all(|count| *count == counts[0]).then(|| counts[0]);
    verdict.requests = verdict.requests.zip(agreed).map(|(before, now)| before + now);
}

/// What a row says otherwise than a reader.
fn difference(request: &Request, row: &Value) -> Option<String> {
    let host = format!("{}:{}", text(row, "host"), number(row, "port"));
    let seen = if request.host.contains(':') { request.host.clone() } else { format!("{}:80", request.host) };
    if seen.to_ascii_lowercase() != host {
        return Some(format!("the row names {host}"));
    }
    if request.method != text(row, "method") {
        return Some(format!("the row's method is {}", text(row, "method")));
    }
    let path = text(row, "path");
    let seen = request.path.split(['?', '#']).next().unwrap_or_default();
    // A reader keeps bytes as characters, the row has text.
    let seen: Vec<u8> = seen.chars().map(|c| c as u8).collect();
    let seen = String::from_utf8_lossy(&seen);
    (!path.is_empty() && path != seen).then(|| format!("the row's path is {path}"))
}

//! Sends probes, many at a time, and keeps what was heard.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;

use super::judge::Judged;
use super::{Probe, Way};
use crate::harness::dns::NameServer;
use crate::harness::gateway::{Gateway, search};
use crate::harness::lab::run;
use crate::harness::raw::Line;
use crate::harness::recorder::Recorder;
use crate::harness::site::{POLICY, Site, free_port};

/// Whatever comes, an answer or the close must be there by then: more than the limits of [`LIMITS`] allow together.
pub const HANGS_AFTER: Duration = Duration::from_secs(12);
/// What a machine under load may add between an answer and the close that belongs to it.
const CLOSES_WITHIN: Duration = Duration::from_millis(700);

const LIMITS: &str =
    "header_ms = 1000\nkeep_alive_ms = 4000\nbody_idle_ms = 1500\ntunnel_idle_ms = 2500\ndetect_ms = 500";

/// Probes that are under way at the same time.
const AT_ONCE: usize = 48;

/// What a client heard after its probe.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Of the final answers; 1xx are in `interim`.
    pub statuses: Vec<u16>,
    pub interim: Vec<u16>,
    /// The gateway closed, and soon after what it said last.
    pub closed: bool,
    /// Neither an answer nor the close came in time.
    pub hung: bool,
    /// The beginning of it.
    pub text: String,
}

/// A probe that was sent one way.
#[derive(Debug, Clone)]
pub struct Sent {
    pub probe: Arc<Probe>,
    pub way: Way,
    /// Its device, and no other's.
    pub client: Ipv4Addr,
    /// Its origin, and no other's.
    pub name: String,
    /// As they went, without the CONNECT of a tunnel.
    pub bytes: Vec<u8>,
    pub heard: Heard,
}

/// Sends every probe every way, stops the gateway and judges.
pub async fn send_all(probes: Vec<Probe>, ways: &[Way]) -> Judged {
    let names = NameServer::start().await;
    let recorder = Recorder::start().await;
    let mut site = Site::new(Some(names.address));
    site.set("limits", LIMITS);
    // The path is kept, so that rows can be compared with what the origin read.
    site.write_rule("policy.toml", &POLICY.replace("hosts = [\"paths.test\"]", "hosts = [\"probe.test\"]"));
    if ways.iter().any(|way| way.is_diverted()) {
        divert(&mut site, recorder.port());
    }
    let gateway = Gateway::start(&mut site).await;

    let places = Arc::new(Semaphore::new(AT_ONCE));
    let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let mut tasks = Vec::new();
    for (number, probe) in probes.into_iter().enumerate() {
        let probe = Arc::new(probe);
        for &way in ways {
            let (places, probe, proxy, port) = (places.clone(), probe.clone(), gateway.proxy, recorder.port());
            let sent = sent.clone();
            tasks.push(ecluse::tasks::spawn("probe", async move {
                let _place = places.acquire_owned().await.expect("never closed");
                let client = device(number, way);
                let name = format!("p{number}-{way:?}.probe.test").to_ascii_lowercase();
                let bytes = written(&probe, way, &name, port);
                let to = if way.is_diverted() { ([127, 0, 0, 1], port).into() } else { proxy };
                let mut line = Line::from(client.into(), to).await;
                let heard = match way {
                    Way::Tunnel => through_tunnel(&mut line, &format!("{name}:{port}"), &bytes).await,
                    Way::Bare | Way::Absolute | Way::Diverted | Way::DivertedUnseen => {
                        line.try_say(&bytes).await;
                        hear(&mut line, &bytes).await
                    }
                };
                sent.lock().expect("no panic").push(Sent { probe, way, client, name, bytes, heard });
            }));
        }
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    let mut sent = std::mem::take(&mut *sent.lock().expect("no panic"));
    sent.sort_by_key(|one| one.client);
    let (config, state) = (site.config(), site.state());
    gateway.stop().await;
    let accesses = search(Some(&config), &state, &[]);
    let connections = search(Some(&config), &state, &["--stream", "connections"]);
    Judged::new(sent, recorder.connections(), accesses, connections, recorder.port())
}

/// Opens the doors, and has the probes' connections to the recorder brought there (the gateway's own come from 127.0.0.1
/// and pass).
fn divert(site: &mut Site, recorder: u16) {
    let doors = [free_port(), free_port()];
    let [http, unseen] = doors.map(|door| format!("[\"127.0.0.1:{door}\"]"));
    site.set("listen", &format!("transparent_http = {http}\ntransparent_tls = {unseen}"));
    let rules = Way::DIVERTED.iter().zip(doors).map(|(way, door)| {
        let [a, b, ..] = device(0, *way).octets();
        format!("ip saddr {a}.{b}.0.0/16 tcp dport {recorder} redirect to :{door}\n")
    });
    let rules: String = rules.collect();
    run(&format!(
        "nft -f - <<'END'
table ip probes {{
    chain divert {{
        type nat hook output priority -100
        {rules}
    }}
}}
END"
    ));
}

/// On loopback, every 127.x.y.z is another device.
fn device(number: usize, way: Way) -> Ipv4Addr {
    let number = number as u16 + 1;
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 100 + way as u8, high, low)
}

/// The bytes of a probe for one way and one origin.
fn written(probe: &Probe, way: Way, name: &str, port: u16) -> Vec<u8> {
    let host = format!("{name}:{port}");
    let bytes = replace(&probe.bytes, b"{HOST}", host.as_bytes());
    let bytes = replace(&bytes, b"{HOSTNAME}", name.as_bytes());
    let bytes = replace(&bytes, b"{PORT}", port.to_string().as_bytes());
    // Some probes of others name hosts of their own, that lead nowhere here.
    let foreign = !contains(&probe.bytes, "{HOST");
    let bytes = match way {
        Way::Bare | Way::Tunnel => return bytes,
        _ if foreign => with_our_authority(&with_our_host(&bytes, &host), &host),
        _ => bytes,
    };
    if way == Way::Absolute { in_absolute_form(&bytes, &host) } else { bytes }
}

fn replace(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(what) {
            out.extend_from_slice(by);
            at += what.len();
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

/// The first well-formed `Host` becomes ours.
fn with_our_host(bytes: &[u8], host: &str) -> Vec<u8> {
    put_in(bytes, r"(?i-u)\r\nHost: ([a-z0-9.-]+(?::\d+)?)\r\n", host)
}

/// The authority of an absolute form or of a CONNECT becomes ours.
fn with_our_authority(bytes: &[u8], host: &str) -> Vec<u8> {
    let bytes = put_in(bytes, r"\A[\r\n]*[^\s/]+[ \t]+http://([^/?\s]+)[/? ]", host);
    put_in(&bytes, r"\ACONNECT ([^/\s]+) ", host)
}

/// `GET /x` becomes `GET http://host/x`; nothing else changes.
fn in_absolute_form(bytes: &[u8], host: &str) -> Vec<u8> {
    put_in(bytes, r"\A[\r\n]*[^\s/]+[ \t]+()/", &format!("http://{host}"))
}

/// Puts `text` in the place of the first group.
fn put_in(bytes: &[u8], pattern: &str, text: &str) -> Vec<u8> {
    let pattern = regex::bytes::Regex::new(pattern).expect("a pattern");
    match pattern.captures(bytes).and_then(|found| found.get(1)) {
        Some(group) => [&bytes[..group.start()], text.as_bytes(), &bytes[group.end()..]].concat(),
        None => bytes.to_owned(),
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

async fn through_tunnel(line: &mut Line, host: &str, bytes: &[u8]) -> Heard {
    line.say(format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    let reply = line.reply("CONNECT").await;
    assert_eq!(reply.status, 200, "a tunnel to {host}: {}", String::from_utf8_lossy(&reply.body));
    line.try_say(bytes).await;
    // Who asks nothing more says so: an origin may wait for the rest for ever, and the gateway is not to blame for it.
    line.finish_saying().await;
    hear(line, bytes).await
}

/// Listens until the gateway closes, or has answered and stays silent.
async fn hear(line: &mut Line, request: &[u8]) -> Heard {
    let head = request.windows(5).any(|w| w == b"HEAD ");
    let start = Instant::now();
    let mut bytes = Vec::new();
    let mut last = start;
    let closed = loop {
        let answered = !statuses(&bytes, head).is_empty();
        let wait = if answered {
            CLOSES_WITHIN.saturating_sub(last.elapsed())
        } else {
            HANGS_AFTER.saturating_sub(start.elapsed())
        };
        match tokio::time::timeout(wait, line.stream.read_buf(&mut bytes)).await {
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(_)) => last = Instant::now(),
            Err(_) => break false,
        }
    };
    let all = statuses(&bytes, head);
    let (interim, statuses): (Vec<u16>, Vec<u16>) = all.into_iter().partition(|status| *status < 200 && *status != 101);
    let hung = !closed && statuses.is_empty();
    let text = String::from_utf8_lossy(&bytes).chars().take(300).collect();
    Heard { statuses, interim, closed, hung, text }
}

/// The statuses of all answers in `bytes`; the last may be cut in its body.
fn statuses(bytes: &[u8], head: bool) -> Vec<u16> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(4).position(|w| w == b"\r\n\r\n") {
        let text = String::from_utf8_lossy(&rest[..at]).into_owned();
        let Some(status) = text.strip_prefix("HTTP/1.").and_then(|t| t.get(2..5)).and_then(|t| t.parse().ok()) else {
            break;
        };
        found.push(status);
        rest = &rest[at + 4..];
        let fields = text.to_ascii_lowercase();
        let field =
            |name: &str| fields.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
        if head || status < 200 || status == 204 || status == 304 {
            continue;
        }
        match field("content-length:").and_then(|value| value.parse::<usize>().ok()) {
            Some(length) => rest = rest.get(length..).unwrap_or_default(),
            // Chunked or until the close: what follows is found by its status line.
            None => {
                let next = rest.windows(7).position(|w| w == b"HTTP/1.").unwrap_or(rest.len());
                rest = &rest[next..];
            }
        }
    }
    found
}

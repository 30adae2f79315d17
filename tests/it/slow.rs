//! Patience has limits: who is slow is let go in time, and who is not does not notice.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::browser::Browser;
use crate::harness::cli::{number, text};
use crate::harness::gateway::search;
use crate::harness::raw::Line;
use crate::harness::school::School;
use crate::harness::site::{PUPIL, TEACHER};
use crate::harness::table::Table;
use crate::harness::{eventually_within, full, meanwhile, soon, tool};

/// Attackers at the same time.
const ATTACKERS: u32 = 400;
/// What a machine under load may add to a limit.
const SLACK: Duration = Duration::from_secs(10);
/// The longest that an honest client may wait for a small page while the others attack.
const HONEST_WAIT: Duration = Duration::from_secs(5);

const LIMITS: &str =
    "header_ms = 3000\nbody_idle_ms = 3000\npace_ms = 3000\nkeep_alive_ms = 3000\nconnections_per_client = 1000";

/// All attackers have one address.
const FEW: &str = "connections_per_client = 1000";

async fn open_with(limits: &str) -> School {
    School::open_with(|site| {
        site.set("limits", limits);
    })
    .await
}

/// One mode of slowhttptest.
struct Attack {
    name: &'static str,
    arguments: &'static [&'static str],
    path: &'static str,
    /// When the gateway must have let go of everybody.
    limit: Duration,
}

/// What came of an attack.
struct Aftermath {
    lasted: Duration,
    /// Whether the attackers were let go, and did not leave by themselves.
    let_go: bool,
    said: String,
    honest: Vec<Duration>,
}

/// Runs an attack from 127.0.0.1 while a teacher reads pages.
async fn run(school: &School, attack: &Attack) -> Aftermath {
    let Some(program) = tool("slowhttptest") else { unreachable!("asked before") };
    let url = school.url("slow.test", attack.path);
    let gives_up = attack.limit + SLACK + Duration::from_secs(10);
    let mut command = tokio::process::Command::new(program);
    command.args(attack.arguments).args(["-c", &ATTACKERS.to_string(), "-r", "400", "-u", &url]);
    command.args(["-l", &gives_up.as_secs().to_string(), "-p", "5", "-d", &school.gateway.proxy.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);

    let stop = Arc::new(AtomicBool::new(false));
    let honest = honest_reader(school, stop.clone());
    let began = Instant::now();
    let attacked = async {
        let output = command.output().await.expect("slowhttptest starts");
        let lasted = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        (output, lasted)
    };
    let ((output, lasted), honest) = tokio::join!(attacked, honest);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Aftermath { lasted, let_go: said.contains("No open connections left"), said, honest }
}

/// A client that reads one page after the other, each over a connection of its own, until told to stop.
async fn honest_reader(school: &School, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let mut waits = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let mut browser = Browser::at(TEACHER, school.gateway.proxy).await;
        assert_eq!(browser.get(&school.url("honest.test", "/")).await.status, 200);
        waits.push(began.elapsed());
        meanwhile(Duration::from_millis(20)).await;
    }
    waits
}

/// A row of the table, and what went wrong.
fn judge(attack: &Attack, aftermath: &Aftermath, table: &mut Table) -> Vec<String> {
    let mut waits = aftermath.honest.clone();
    waits.sort();
    let (median, worst) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    table.row(
        &format!("slowhttptest {}, limit {} s", attack.name, attack.limit.as_secs()),
        &ATTACKERS,
        &format!(
            "{} after {:.1} s; {} honest pages meanwhile, median {} ms, longest {} ms",
            if aftermath.let_go { "all let go" } else { "NOT all let go" },
            aftermath.lasted.as_secs_f64(),
            waits.len(),
            median.as_millis(),
            worst.as_millis()
        ),
    );
    let most = attack.limit + SLACK;
    let last = aftermath.said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    [
        (aftermath.let_go, format!("some were held past the limit: {last}")),
        (aftermath.lasted < most, format!("held for {:?}, more than {most:?}", aftermath.lasted)),
        (worst < HONEST_WAIT, format!("an honest client waited {worst:?}")),
        (waits.len() >= 10, format!("only {} honest pages", waits.len())),
    ]
    .into_iter()
    .filter(|(holds, _)| !holds)
    .map(|(_, fault)| format!("{}: {fault}", attack.name))
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_slow_clients_are_let_go_in_time_and_honest_ones_served_meanwhile() {
    if tool("slowhttptest").is_none() {
        return;
    }
    let limit = Duration::from_secs(3);
    let attacks = [
        Attack { name: "slow headers", arguments: &["-H", "-i", "1"], path: "/", limit },
        Attack { name: "slow body", arguments: &["-B", "-i", "5", "-s", "8192"], path: "/count", limit },
        // It reads on in its own buffer after a reset: in a few seconds it must be through, to notice.
        Attack {
            name: "slow read",
            arguments: &["-X", "-w", "10", "-y", "20", "-n", "1", "-z", "1024"],
            path: "/bytes/4000000",
            limit,
        },
    ];
    let by_default = Attack {
        name: "slow headers, all limits by default",
        arguments: &["-H", "-i", "2"],
        path: "/",
        limit: Duration::from_secs(10),
    };
    let mut table = Table::new("Slow clients");
    let mut faults = Vec::new();
    for (attack, limits) in attacks.iter().map(|attack| (attack, LIMITS)).chain(full().then_some((&by_default, FEW))) {
        let school = open_with(limits).await;
        let aftermath = run(&school, attack).await;
        faults.extend(judge(attack, &aftermath, &mut table));
        let rows = last_words(school, "127.0.0.1").await;
        if attack.path == "/" && !rows.iter().any(|row| number(row, "status") == 408) {
            faults.push(format!("{}: no row says 408, of {}", attack.name, rows.len()));
        }
    }
    table.print();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Says `bytes` one by one with a pause, as long as the gateway listens; how long that was, and what it answered.
async fn drip(mut line: Line, bytes: &[u8], pause: Duration) -> (Duration, String) {
    let began = Instant::now();
    let (mut reading, mut writing) = line.stream.split();
    let drip = async {
        use tokio::io::AsyncWriteExt;
        for byte in bytes.iter().cycle() {
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
            meanwhile(pause).await;
        }
    };
    let listen = async {
        use tokio::io::AsyncReadExt;
        let mut heard = Vec::new();
        while reading.read_buf(&mut heard).await.is_ok_and(|n| n > 0) {}
        String::from_utf8_lossy(&heard).into_owned()
    };
    let heard = soon("being let go", async {
        tokio::select! {
            heard = listen => heard,
            () = drip => String::new(),
        }
    })
    .await;
    (began.elapsed(), heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_is_told_408_and_has_a_row() {
    let school = open_with("header_ms = 1000").await;
    let mut line = Line::from(PUPIL.parse().unwrap(), school.gateway.proxy).await;
    line.say(b"GET http://drip.test/ HTTP/1.1\r\nHost: drip.test\r\nX: ").await;
    let (lasted, heard) = drip(line, b"x", Duration::from_millis(50)).await;
    assert!(heard.starts_with("HTTP/1.1 408 "), "{heard}");
    assert!(lasted < Duration::from_secs(1) + SLACK, "held for {lasted:?}");
    let rows = last_words(school, PUPIL).await;
    let row =
        rows.iter().find(|row| number(row, "status") == 408).unwrap_or_else(|| panic!("no row says 408: {rows:#?}"));
    assert_eq!(text(row, "ending"), "timed-out", "{row:#}");
}

/// The rows of a client when the gateway has left: the row of what a client repeats is open for a minute.
async fn last_words(school: School, client: &str) -> Vec<serde_json::Value> {
    let School { gateway, site, .. } = school;
    gateway.stop().await;
    search(Some(&site.config()), &site.state(), &["--client", client])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_is_told_408_and_its_row_says_so() {
    let school = open_with("body_idle_ms = 1000").await;
    let mut line = Line::from(PUPIL.parse().unwrap(), school.gateway.proxy).await;
    let host = format!("stop.test:{}", school.origin.port());
    line.say(format!("POST http://{host}/count HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\nhello")).await;
    let began = Instant::now();
    assert_eq!(line.reply("POST").await.status, 408);
    line.expect_close().await;
    assert!(began.elapsed() < Duration::from_secs(1) + SLACK, "held for {:?}", began.elapsed());
    let row = school.gateway.row("stop.test").await;
    assert_eq!((number(&row, "status"), text(&row, "ending")), (408, "timed-out"), "{row:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_let_go() {
    let school = open_with("pace_ms = 1000").await;
    let mut line = Line::from(PUPIL.parse().unwrap(), school.gateway.proxy).await;
    let url = school.url("unread.test", "/bytes/200000000");
    line.say(format!("GET {url} HTTP/1.1\r\nHost: unread.test:{}\r\n\r\n", school.origin.port())).await;
    // The row ends though the client neither reads nor leaves.
    let row = eventually_within("the row ends", Duration::from_secs(1) + SLACK, async || {
        let mut rows = school.gateway.search(&["--host", "unread.test"]);
        rows.pop().filter(|row| text(row, "ending") != "continues")
    })
    .await;
    assert_eq!(text(&row, "ending"), "timed-out", "{row:#}");
    assert!(number(&row, "bytes_down") < 200_000_000, "{row:#}");
    drop(line);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_and_a_client_that_will_say_no_more_is_over_at_once() {
    let school = School::open().await;
    for half in [
        "GET http://half.test/ HTTP/1.1\r\nHost: half",
        "POST http://half.test/ HTTP/1.1\r\nHost: half.test\r\nContent-Length: 9\r\n\r\nhel",
    ] {
        let mut line = Line::from(PUPIL.parse().unwrap(), school.gateway.proxy).await;
        line.say(half.replace("half.test", &format!("half.test:{}", school.origin.port()))).await;
        line.finish_saying().await;
        let began = Instant::now();
        line.hear_all().await;
        assert!(began.elapsed() < SLACK, "held for {:?}", began.elapsed());
    }
    // And a whole one is answered though its client has closed its half.
    let mut line = Line::from(PUPIL.parse().unwrap(), school.gateway.proxy).await;
    let host = format!("whole.test:{}", school.origin.port());
    line.say(format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    line.finish_saying().await;
    assert_eq!(line.reply("GET").await.status, 200);
}

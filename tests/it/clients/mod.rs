//! Programs that people really use, through the proxy: pages, uploads, downloads with a checksum, HEAD, 304, WebSocket,
//! HTTPS in a tunnel, and a refusal that can be read.
//!
//! What is not on the machine is skipped loudly; `tests/run` installs all of it. `python-clients` and `undici` are looked for
//! in `target/clients`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;

use crate::harness::cli::text;
use crate::harness::origin::{Origin, pattern};
use crate::harness::raw::Line;
use crate::harness::school::School;
use crate::harness::site::PUPIL;
use crate::harness::table::Table;
use crate::harness::tls::Authority;
use crate::harness::{skip, tool, websocket};

/// Not a round number of anything.
const DOWNLOAD: usize = 20_000_003;

/// A school and the origins that clients visit.
struct Town {
    school: School,
    secure: Origin,
    websocket: u16,
    ca: PathBuf,
}

impl Town {
    async fn open() -> Self {
        let school = School::open().await;
        let authority = Authority::new();
        let secure = Origin::https(authority.acceptor(&["secure.test"])).await;
        let ca = school.site.folder().join("ca.pem");
        authority.write_pem(&ca);
        Town { school, secure, websocket: websocket::start().await, ca }
    }

    fn proxy(&self) -> String {
        format!("http://{}", self.school.gateway.proxy)
    }

    fn http(&self, path: &str) -> String {
        self.school.url("plain.test", path)
    }

    fn https(&self, path: &str) -> String {
        format!("https://secure.test:{}{path}", self.secure.port())
    }

    fn refused(&self) -> String {
        self.school.url("adult.test", "/")
    }

    /// What the scripts are told.
    fn where_things_are(&self, modules: &Path) -> String {
        let hash = digest(&SHA256, &pattern(DOWNLOAD));
        let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "proxy": self.proxy(),
            "http": self.http(""),
            "https": self.https(""),
            "refused": self.refused(),
            "download": format!("/bytes/{DOWNLOAD}"),
            "sha256": hex,
            "ca": self.ca,
            "ws": format!("ws://socket.test:{}/", self.websocket),
            "modules": modules,
        })
        .to_string()
    }
}

/// Where `tests/run` puts what comes from PyPI and npm.
fn installed(path: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    target.join("clients").join(path)
}

/// Runs a client to its end, beside the test's own origins.
async fn run(mut command: Command) -> Output {
    for variable in
        ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY"]
    {
        command.env_remove(variable);
    }
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(120), command.output()).await;
    output.expect("the client ends within two minutes").expect("the client starts")
}

/// How many things worked; fails unless all did and there were at least `least`.
fn worked(client: &str, output: &Output, least: usize) -> usize {
    let said = String::from_utf8_lossy(&output.stdout);
    let count = said.lines().filter(|line| line.starts_with("ok ")).count();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && count >= least, "{client}: {count} things worked\n{said}\n{errors}");
    count
}

fn row(client: &str, version: &str, count: usize) {
    let mut table = Table::new(client);
    table.row(version.trim(), &count, "each as without a proxy, save the refusal");
    table.print();
}

fn version(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output().expect("the program starts");
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_everything_through_the_proxy() {
    let Some(curl) = tool("curl") else { return };
    let town = Town::open().await;
    let ask = async |arguments: &[&str]| {
        let mut command = Command::new(&curl);
        command.args(["-sS", "--max-time", "60", "--noproxy", "", "-x", &town.proxy()]).arg("--cacert").arg(&town.ca);
        command.args(arguments);
        let output = run(command).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let mut count = 0;
    let mut ok = |name: &str, holds: bool| {
        assert!(holds, "{name}");
        count += 1;
    };

    let write = ["-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n"];
    let (one, two) = (town.http("/1"), town.http("/2"));
    let said = ask(&[write[0], write[1], write[2], write[3], &one, "-o", "/dev/null", &two]).await;
    ok("two pages over one connection", String::from_utf8_lossy(&said) == "200 1\n200 0\n");
    let file = town.school.site.folder().join("upload");
    std::fs::write(&file, pattern(300_000)).unwrap();
    let file = file.display().to_string();
    let chunked = ["-H", "Transfer-Encoding: chunked", "-T", &file, "-X", "POST", &town.http("/count")];
    ok("a chunked upload", ask(&chunked).await == b"300000");
    let expecting = ["-H", "Expect: 100-continue", "--data-binary", &format!("@{file}"), &town.http("/echo")];
    ok("an upload that asks first", ask(&expecting).await == pattern(300_000));
    let head = String::from_utf8_lossy(&ask(&["-I", &town.http("/bytes/1000")]).await).to_ascii_lowercase();
    ok("HEAD", head.contains("200 ok") && head.contains("content-length: 1000"));
    let not_modified = ["-o", "/dev/null", "-w", "%{http_code}", "-H", "If-None-Match: \"one\"", &town.http("/etag")];
    ok("304", ask(&not_modified).await == b"304");
    ok("a download", ask(&[&town.http(&format!("/bytes/{DOWNLOAD}"))]).await == pattern(DOWNLOAD));
    ok(
        "the same by HTTP/1.0",
        ask(&["--http1.0", &town.http(&format!("/bytes/{DOWNLOAD}"))]).await == pattern(DOWNLOAD),
    );
    ok("HTTPS in a tunnel", ask(&[&town.https(&format!("/bytes/{DOWNLOAD}"))]).await == pattern(DOWNLOAD));
    ok("HTTP in a tunnel", ask(&["-p", &town.http("/echo"), "--data-binary", "hello"]).await == b"hello");
    let refusal = ask(&["-w", "%{http_code}", &town.refused()]).await;
    let refusal = String::from_utf8_lossy(&refusal);
    ok("a refusal that says why", refusal.ends_with("403") && refusal.contains("Contenus pour adultes"));
    let version = version(&curl, "--version");
    row("curl", version.split(" (").next().unwrap_or_default(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_requests_and_httpx_get_everything_through_the_proxy() {
    let python = installed("venv/bin/python");
    if !python.is_file() {
        return skip("python-clients", "`tests/run` makes target/clients/venv with requests and httpx");
    }
    let town = Town::open().await;
    let mut command = Command::new(&python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients/pages.py"));
    command.arg(town.where_things_are(Path::new("")));
    let count = worked("python", &run(command).await, 2 * 29);
    row("Python", "requests and httpx", count);
}

#[tokio::test(flavor = "multi_thread")]
async fn undici_gets_everything_through_the_proxy() {
    let modules = installed("node");
    if !modules.join("node_modules/undici").is_dir() {
        return skip("undici", "`tests/run` installs it into target/clients/node");
    }
    let Some(node) = tool("node") else { return };
    let spoken = version(&node, "--version");
    let major: Option<u32> = spoken.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major| major < 20) {
        return skip("undici", &format!("undici 7 needs Node 20 or newer, this is {spoken}"));
    }
    let town = Town::open().await;
    let mut command = Command::new(&node);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients/pages.mjs"));
    command.arg(town.where_things_are(&modules));
    let count = worked("undici", &run(command).await, 2 * 27);
    row("undici", &format!("Node {spoken}"), count);
}

/// A page that a browser opens, with all its places filled in.
fn set_page(town: &Town) {
    let sum = pattern(5_000_000).iter().fold(0u64, |sum, byte| (sum * 31 + u64::from(*byte)) % 4_294_967_291);
    let page = include_str!("page.html")
        .replace("SUM", &sum.to_string())
        .replace("REFUSED", &town.refused())
        .replace("'WS'", &format!("'ws://socket.test:{}/'", town.websocket));
    town.school.origin.serve_page(page);
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_gets_everything_through_the_proxy() {
    let Some(chromium) = tool("chromium") else { return };
    let town = Town::open().await;
    set_page(&town);
    let profile = town.school.site.folder().join("profile");
    let dump = async |url: &str| {
        let mut command = Command::new(&chromium);
        // Nothing of its own goes anywhere, and names are the proxy's business.
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--disable-dev-shm-usage", "--ignore-certificate-errors", "--proxy-bypass-list=<-loopback>"]);
        command.arg(format!("--proxy-server={}", town.proxy())).arg(format!("--user-data-dir={}", profile.display()));
        command.args(["--virtual-time-budget=20000", "--timeout=60000", "--dump-dom", url]);
        let output = run(command).await;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (String::from_utf8_lossy(&output.stdout).into_owned(), errors)
    };
    let (page, errors) = dump(&town.http("/page")).await;
    let heard = page.split("<pre id=\"heard\">").nth(1).unwrap_or_default();
    let worked: Vec<&str> = heard.lines().filter_map(|line| line.trim().strip_prefix("ok ")).collect();
    assert_eq!(
        worked,
        ["pages", "HEAD", "304", "upload", "download", "refusal", "websocket", "done"],
        "{page}\n{errors}"
    );
    let asked = town.school.origin.requests();
    assert!(asked.iter().any(|request| request.header("if-none-match").is_some()), "the cache asked nothing");
    let (page, errors) = dump(&town.https("/")).await;
    assert!(page.contains("hello from secure.test"), "{page}\n{errors}");
    let (page, errors) = dump(&town.refused()).await;
    assert!(page.contains("Contenus pour adultes"), "{page}\n{errors}");
    row("Chromium", &version(&chromium, "--version"), worked.len() + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_talks_through_an_upgrade_and_is_one_row() {
    let town = Town::open().await;
    let host = format!("socket.test:{}", town.websocket);
    let mut line = Line::from(PUPIL.parse().unwrap(), town.school.gateway.proxy).await;
    line.say(format!(
        "GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ))
    .await;
    let head = line.reply_head().await;
    assert_eq!(head.status, 101);
    let accept = crate::harness::reply::header(&head.headers, "sec-websocket-accept");
    assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    // A text, masked with zeros, and back without a mask.
    for word in ["one", "two", "three"] {
        line.say([&[0x81, 0x80 | word.len() as u8, 0, 0, 0, 0], word.as_bytes()].concat()).await;
        line.expect([&[0x81, word.len() as u8], word.as_bytes()].concat()).await;
    }
    line.say([0x88, 0x80, 0, 0, 0, 0]).await;
    line.expect([0x88, 0]).await;
    line.expect_close().await;
    drop(line);
    let row = town.school.gateway.row("socket.test").await;
    assert_eq!((text(&row, "method"), text(&row, "ending")), ("GET", "complete"), "{row:#}");
    assert_eq!(row["status"], 101, "{row:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_an_upgrade_too_early_is_not_smuggled() {
    let town = Town::open().await;
    // The origin is no WebSocket: it answers 200, and what came behind is one more request, judged as such.
    let host = format!("plain.test:{}", town.school.origin.port());
    let mut line = Line::from(PUPIL.parse().unwrap(), town.school.gateway.proxy).await;
    line.say(format!(
        "GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
         GET http://adult.test/ HTTP/1.1\r\nHost: adult.test\r\n\r\n"
    ))
    .await;
    assert_eq!(line.reply("GET").await.status, 200);
    if let Some(reply) = line.try_reply("GET").await {
        assert_eq!(reply.status, 403);
    }
    assert_eq!(town.school.origin.requests().len(), 1);
}

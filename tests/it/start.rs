//! Starting, stopping, and what is said when that does not go well.

use std::path::Path;
use std::time::Duration;

use crate::harness::browser::Browser;
use crate::harness::dns::NameServer;
use crate::harness::gateway::Gateway;
use crate::harness::raw::RawOrigin;
use crate::harness::school::School;
use crate::harness::site::Site;
use crate::harness::{cli, skip};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_says_that_there_is_a_first() {
    let mut school = School::open().await;
    school.site.move_ports();
    let not = Gateway::try_start(&school.site).await.expect_err("one state folder has one gateway");
    assert_ne!(not.status.code(), Some(0));
    assert!(not.stderr.contains(&school.site.state().display().to_string()), "{}", not.stderr);
    assert!(not.stderr.contains(&school.gateway.pid().to_string()), "it names the first: {}", not.stderr);
    assert_eq!(school.pupil().await.get(&school.url("plain.test", "/")).await.status, 200, "the first is unharmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_a_cure() {
    let site = Site::new(None);
    let _taken = RawOrigin::listen_on(&site.proxy().to_string()).await;
    let not = Gateway::try_start(&site).await.expect_err("the port is taken");
    assert_ne!(not.status.code(), Some(0));
    assert!(not.stderr.contains(&site.proxy().to_string()), "{}", not.stderr);
    assert!(not.stderr.contains("listen"), "it says where to change it: {}", not.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_that_cannot_be_written_is_named() {
    let site = Site::new(None);
    // Also for root, a file is no folder.
    let file = site.folder().join("file");
    std::fs::write(&file, "").unwrap();
    let config = site.write_config();
    let mut gateway = Gateway::spawn(Some(&config), &file.join("state"), site.proxy());
    let not = gateway.wait_ready().await.expect_err("there is nowhere to write");
    assert_ne!(not.status.code(), Some(0));
    assert!(not.stderr.contains(&file.display().to_string()), "{}", not.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_download_may_finish_when_the_gateway_is_asked_to_leave() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let mut browser = school.pupil().await;
    browser.send("GET", &format!("http://long.test:{}/", origin.address.port()), &[], b"").await;
    let mut asked = origin.accept().await;
    asked.hear_head().await;
    asked.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ").await;
    browser.line.reply_head().await;
    browser.line.expect("half ").await;

    let School { mut gateway, site, .. } = school;
    gateway.signal(rustix::process::Signal::TERM);
    // It takes nobody new and keeps what it has.
    let proxy = gateway.proxy;
    crate::harness::eventually("the port is closed", async || {
        tokio::net::TcpStream::connect(proxy).await.is_err().then_some(())
    })
    .await;
    asked.say("whole").await;
    browser.line.expect("whole").await;
    drop(browser);
    assert_eq!(gateway.wait().await.code(), Some(0));
    let rows = crate::harness::gateway::search(Some(&site.config()), &site.state(), &["--host", "long.test"]);
    assert_eq!(rows.len(), 1);
    assert_eq!(cli::text(&rows[0], "ending"), "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_gateway_starts_again_with_all_its_rows() {
    let names = NameServer::start().await;
    let origin = crate::harness::origin::Origin::http().await;
    let mut site = Site::new(Some(names.address));
    for round in 1..=3 {
        let gateway = Gateway::start(&mut site).await;
        let mut browser = Browser::to(gateway.proxy).await;
        assert_eq!(browser.get(&origin.url("again.test", "/")).await.status, 200);
        drop(browser);
        gateway.rows(round, &["--host", "again.test"]).await;
        assert_eq!(gateway.stop().await.code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_with_a_configuration_is_said_at_once() {
    let mut site = Site::new(None);
    site.set("gateway", "name = \"NOT a name\"");
    site.set("limits", "no_such_limit = 5\nheader_ms = \"soon\"");
    site.set("no_such_table", "x = 1");
    site.write_rule("policy.toml", "name = \"x\"\ndefault = \"perhaps\"\nunknown = 1\n");
    let said = cli::run(Some(&site.write_config()), &site.state(), &["check", "--rules"]);
    assert_eq!(said.code, Some(64), "{said:?}");
    for told in ["NOT a name", "no_such_limit", "header_ms", "no_such_table"] {
        assert!(said.stderr.contains(told) || said.stdout.contains(told), "{told} is missing: {said:?}");
    }
    let file = site.config().display().to_string();
    assert!(said.stderr.contains(&file) || said.stdout.contains(&file), "no file named: {said:?}");

    let mut gateway = Gateway::spawn(Some(&site.config()), &site.state(), site.proxy());
    let not = gateway.wait_ready().await.expect_err("a broken configuration does not start");
    assert_eq!(not.status.code(), Some(64), "{}", not.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_machine_needs_no_configuration() {
    const DEFAULT: &str = "127.0.0.1:3128";
    if std::net::TcpListener::bind(DEFAULT).is_err() {
        return skip("port-3128", "somebody on this machine listens there");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::spawn(None, folder.path(), DEFAULT.parse().unwrap());
    gateway.wait_ready().await.unwrap_or_else(|not| panic!("{}", not.stderr));
    assert!(gateway.lines().iter().any(|line| line.contains("curl")), "what to try next: {}", gateway.stderr());
    let origin = RawOrigin::listen().await;
    let mut browser = Browser::to(gateway.proxy).await;
    browser.send("GET", &format!("http://127.0.0.1:{}/", origin.address.port()), &[], b"").await;
    let mut asked = origin.accept().await;
    asked.hear_head().await;
    asked.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(browser.line.reply("GET").await.text(), "ok");
    assert_eq!(gateway.row("127.0.0.1").await["status"], 200);
    only_loopback(gateway.pid());
}

/// Every listening socket of a process is bound to loopback.
fn only_loopback(pid: u32) {
    let mut sockets = std::collections::HashSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        if let Ok(target) = std::fs::read_link(entry.unwrap().path())
            && let Some(inode) = target.to_string_lossy().strip_prefix("socket:[")
        {
            sockets.insert(inode.trim_end_matches(']').to_owned());
        }
    }
    const LISTEN: &str = "0A";
    for (file, loopback) in [("tcp", "0100007F"), ("tcp6", "00000000000000000000000001000000")] {
        let table = std::fs::read_to_string(Path::new("/proc/net").join(file)).unwrap_or_default();
        for line in table.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[3] == LISTEN && sockets.contains(words[9]) {
                assert!(words[1].starts_with(loopback), "listening on {}", words[1]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_gateway_leaves_at_once() {
    let school = School::open().await;
    let start = std::time::Instant::now();
    assert_eq!(school.gateway.stop().await.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5));
}

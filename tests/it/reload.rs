//! SIGHUP: new rules are built aside and swapped; broken ones change nothing; traffic does not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::browser::Browser;
use crate::harness::raw::RawOrigin;
use crate::harness::school::School;
use crate::harness::site::POLICY;
use crate::harness::{eventually, meanwhile};

/// [`POLICY`] with one more refusal.
fn policy_refusing(host: &str) -> String {
    format!(
        "{POLICY}\n[[rule]]\nname = \"nouvelle\"\nlabel = \"Nouvelle\"\nhosts = [\"{host}\"]\naction = \"refuse\"\n\
         reason = \"Une règle de plus.\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rules_are_in_force_after_a_signal() {
    let school = School::open().await;
    let url = school.url("plain.test", "/");
    let mut browser = school.pupil().await;
    assert_eq!(browser.get(&url).await.status, 200);
    school.site.write_rule("policy.toml", &policy_refusing("plain.test"));
    assert_eq!(browser.get(&url).await.status, 200, "nothing changes before the signal");
    school.gateway.reload().await;
    assert_eq!(browser.get(&url).await.status, 403, "also for a connection that was there before");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_entries_of_a_list_are_in_force_after_a_signal() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    school.site.write_rule("lists/adult.txt", "plain.test\n");
    school.gateway.reload().await;
    assert_eq!(browser.get(&school.url("plain.test", "/")).await.status, 403);
    assert_eq!(browser.get(&school.url("adult.test", "/")).await.status, 200, "its line is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_people_are_known_after_a_signal() {
    let school = School::open().await;
    let url = school.url("games.test", "/");
    assert_eq!(school.pupil().await.get(&url).await.status, 403);
    let people = format!("address,person,groups\n{},m.martin,enseignants\n", crate::harness::site::PUPIL);
    school.site.write_rule("people.csv", &people);
    school.gateway.reload().await;
    assert_eq!(school.pupil().await.get(&url).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_rules_change_nothing_and_are_explained() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    let version = school.gateway.rules_version();
    for broken in
        ["this is not TOML", "[[rule]]\nname = \"x\"\ncategories = [\"no-such-category\"]\naction = \"refuse\"\n"]
    {
        school.site.write_rule("policy.toml", broken);
        school.gateway.signal(Signal::HUP);
        eventually("the status explains", async || {
            school.gateway.status().to_string().contains("policy.toml").then_some(())
        })
        .await;
        assert_eq!(school.gateway.rules_version(), version);
        assert_eq!(browser.get(&school.url("adult.test", "/")).await.status, 403);
        assert_eq!(browser.get(&school.url("plain.test", "/")).await.status, 200);
    }
    assert!(school.gateway.stderr().contains("policy.toml"), "{}", school.gateway.stderr());

    // The repaired rules are taken, and the complaint goes away.
    school.site.write_rule("policy.toml", &policy_refusing("plain.test"));
    school.gateway.reload().await;
    assert_eq!(browser.get(&school.url("plain.test", "/")).await.status, 403);
    assert!(!school.gateway.status().to_string().contains("policy.toml:"), "{:#}", school.gateway.status());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_download_does_not_notice() {
    let school = School::open().await;
    let origin = RawOrigin::listen().await;
    let mut browser = school.pupil().await;
    browser.send("GET", &format!("http://long.test:{}/", origin.address.port()), &[], b"").await;
    let mut asked = origin.accept().await;
    asked.hear_head().await;
    asked.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ").await;
    assert_eq!(browser.line.reply_head().await.status, 200);
    browser.line.expect("half ").await;

    school.site.write_rule("policy.toml", &policy_refusing("plain.test"));
    school.gateway.reload().await;
    asked.say("whole").await;
    browser.line.expect("whole").await;
    assert_eq!(school.gateway.row("long.test").await["ending"], "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_lose_no_request() {
    let school = Arc::new(School::open().await);
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicU64::new(0));
    let mut browsers = Vec::new();
    for client in 0..4 {
        let (school, stop, served) = (school.clone(), stop.clone(), served.clone());
        browsers.push(ecluse::tasks::spawn("browser", async move {
            while !stop.load(Ordering::Relaxed) {
                let mut browser = Browser::at("127.0.0.2", school.gateway.proxy).await;
                for _ in 0..10 {
                    let reply = browser.get(&school.url(&format!("load{client}.test"), "/bytes/1000")).await;
                    assert_eq!((reply.status, reply.body.len()), (200, 1000));
                    served.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    for round in 0..6 {
        let seen = served.load(Ordering::Relaxed);
        school.site.write_rule("policy.toml", &policy_refusing(&format!("round{round}.test")));
        school.gateway.reload().await;
        eventually("requests go on", async || (served.load(Ordering::Relaxed) > seen + 20).then_some(())).await;
    }
    meanwhile(Duration::from_millis(100)).await;
    stop.store(true, Ordering::Relaxed);
    for browser in browsers {
        browser.await.expect("no request was lost");
    }
    assert_eq!(school.origin.requests().len() as u64, served.load(Ordering::Relaxed));
}

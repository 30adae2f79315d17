//! What an update does when all is well, and that it can be undone.

use std::fs;
use std::process::Stdio;

use super::{Desk, finish, names};
use crate::harness::browser::Browser;
use crate::harness::cli::{self, number, text};
use crate::harness::gateway::Gateway;
use crate::harness::mirror::Published;
use crate::harness::site::PUPIL;
use crate::harness::{Dice, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_fetched_counted_and_compiled_and_asked_for_again_only_if_it_changed() {
    let desk = Desk::with_file("").await;
    desk.mirror.publish("/list", Published::file(names(100), "one"));
    let (row, stderr) = desk.expect(&[], 0, "updated").await;
    assert_eq!((number(&row, "entries"), text(&row, "url")), (100, desk.mirror.url("/list").as_str()), "{row:#}");
    assert_eq!(number(&row, "bytes"), names(100).len() as u64);
    assert!(stderr.contains("no gateway is running"), "{stderr}");
    assert!(desk.holds("name99.listed.test") && !desk.holds("name100.listed.test"));

    let image = fs::metadata(desk.site.state().join("lists.image")).unwrap().modified().unwrap();
    let (row, _) = desk.expect(&[], 0, "unchanged").await;
    assert_eq!(number(&row, "entries"), 100);
    let asked = desk.mirror.asked();
    assert!(!asked[0].contains("if-none-match") && asked[1].contains("if-none-match: \"one\""), "{asked:#?}");
    assert_eq!(fs::metadata(desk.site.state().join("lists.image")).unwrap().modified().unwrap(), image);

    desk.mirror.publish("/list", Published::file(names(101), "two"));
    let (row, _) = desk.expect(&[], 0, "updated").await;
    assert_eq!((number(&row, "entries"), number(&row, "entries_before")), (101, 100));
    assert!(desk.holds("name100.listed.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_without_etags_is_asked_by_date_and_one_without_either_by_content() {
    let desk = Desk::with_file("").await;
    let day = Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned());
    desk.mirror.publish("/list", Published::File { body: names(50).into(), etag: None, last_modified: day });
    desk.expect(&[], 0, "updated").await;
    desk.expect(&[], 0, "unchanged").await;
    assert!(desk.mirror.asked()[1].contains("if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT"));
    let shown = cli::run(Some(&desk.site.config()), &desk.site.state(), &["lists", "show"]).ok();
    assert!(shown.contains("1994-11-06"), "the day of the list is that of its file: {shown}");

    desk.mirror.publish("/list", Published::File { body: names(50).into(), etag: None, last_modified: None });
    desk.expect(&[], 0, "unchanged").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_list_comes_from_is_shown() {
    let desk = Desk::with_file("").await;
    desk.mirror.publish("/list", Published::file(names(100), "one"));
    let (row, _) = desk.expect(&[], 0, "updated").await;
    let shown = cli::run(Some(&desk.site.config()), &desk.site.state(), &["lists", "show"]).ok();
    for part in
        [&desk.mirror.url("/list"), text(&row, "sha256"), &format!("{} bytes", names(100).len()), "distant: fetched 20"]
    {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gateway_refuses_a_newly_listed_host_without_a_restart() {
    let mut desk = Desk::with_file("").await;
    desk.mirror.publish("/list", Published::file("listed.test\n", "one"));
    desk.expect(&[], 0, "updated").await;
    let gateway = Gateway::start(&mut desk.site).await;
    let origin = crate::harness::origin::Origin::http().await;
    let mut browser = Browser::at(PUPIL, gateway.proxy).await;
    assert_eq!(browser.get(&origin.url("listed.test", "/")).await.status, 403);
    assert_eq!(browser.get(&origin.url("new.test", "/")).await.status, 200);
    let pid = gateway.pid();

    desk.mirror.publish("/list", Published::file("listed.test\nnew.test\n", "two"));
    let (_, stderr) = desk.expect(&["--no-reload"], 0, "updated").await;
    assert!(!stderr.contains("in force"), "{stderr}");
    assert_eq!(browser.get(&origin.url("new.test", "/")).await.status, 200, "it was not told");
    // Nothing is newer, and the gateway is behind all the same: as after a run that was killed before it told.
    let (_, stderr) = desk.expect(&[], 0, "unchanged").await;
    assert!(stderr.contains("in force"), "{stderr}");
    assert_eq!(browser.get(&origin.url("new.test", "/")).await.status, 403, "on the same connection");
    assert_eq!(gateway.status()["pid"], pid);
    let (_, stderr) = desk.expect(&[], 0, "unchanged").await;
    assert!(!stderr.contains("in force"), "there was nothing to tell: {stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_the_gateway_refuses_are_the_commands_failure() {
    let mut desk = Desk::with_file("").await;
    desk.mirror.publish("/list", Published::file("listed.test\n", "one"));
    let gateway = Gateway::start(&mut desk.site).await;
    let version = gateway.rules_version();
    desk.site.write_rule("policy.toml", "this is not TOML");
    let (_, stderr) = desk.expect(&[], 1, "updated").await;
    assert!(stderr.contains("refuses the new rules") && stderr.contains("policy.toml"), "{stderr}");
    assert_eq!(gateway.rules_version(), version);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_before_can_be_restored_and_what_was_set_aside_does_not_come_back_by_night() {
    let desk = Desk::with_file("").await;
    desk.mirror.publish("/list", Published::file(names(100), "good"));
    desk.expect(&[], 0, "updated").await;
    let bad = format!("{}school.test\n", names(100));
    desk.mirror.publish("/list", Published::file(bad.clone(), "bad"));
    desk.expect(&[], 0, "updated").await;
    assert!(desk.holds("school.test"));

    desk.expect(&["--restore", "distant"], 0, "restored").await;
    assert!(!desk.holds("school.test"));
    // The night after, with and without a mirror that knows its validators.
    let (row, _) = desk.expect(&[], 0, "unchanged").await;
    assert!(row["why"].to_string().contains("set aside"), "{row:#}");
    desk.mirror.publish("/list", Published::file(bad, "bad again"));
    desk.expect(&[], 0, "unchanged").await;
    assert!(!desk.holds("school.test"));

    desk.mirror.publish("/list", Published::file(names(102), "better"));
    desk.expect(&[], 0, "updated").await;
    assert!(desk.holds("name101.listed.test"));
    desk.expect(&["--restore", "distant"], 0, "restored").await;
    desk.expect(&["--accept-change"], 0, "updated").await;
    assert!(desk.holds("name101.listed.test"), "a person may take it again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_without_a_version_before_says_so() {
    let desk = Desk::with_file("").await;
    desk.mirror.publish("/list", Published::file(names(10), "one"));
    desk.expect(&[], 0, "updated").await;
    let (_, stderr) = desk.expect(&["--restore", "distant"], 65, "refused").await;
    assert!(stderr.contains("no version before"), "{stderr}");
    assert!(desk.holds("name9.listed.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_put_there_by_hand_becomes_the_version_before() {
    let desk = Desk::with_file("").await;
    fs::create_dir_all(desk.lists()).unwrap();
    fs::write(desk.lists().join("distant.txt"), "by-hand.test\n".repeat(9)).unwrap();
    desk.mirror.publish("/list", Published::file(names(10), "one"));
    let (row, _) = desk.expect(&[], 0, "updated").await;
    assert_eq!(number(&row, "entries_before"), 9);
    assert!(desk.holds("name9.listed.test") && !desk.holds("by-hand.test"));
    desk.expect(&["--restore", "distant"], 0, "restored").await;
    assert!(desk.holds("by-hand.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_beside_the_catalogue_goes_first_and_that_is_said() {
    let desk = Desk::with_file("").await;
    desk.site.write_rule("lists/distant.txt", "beside.test\n");
    let said = desk.run(&[]).await;
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{}", said.stderr);
    assert!(said.stderr.contains("which goes first"), "{}", said.stderr);
    assert!(desk.mirror.asked().is_empty() && desk.holds("beside.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_instant_it_leaves_a_whole_list_and_the_next_run_cleans_up() {
    let desk = Desk::with_folder("").await;
    let published = |round: usize| {
        let domains: String = (0..20_000).map(|i| format!("r{round}-{i}.listed.test\n")).collect();
        let body = super::archives::gzip(&super::archives::tar(&[
            ("blacklists/adult/domains", &domains),
            ("blacklists/games/domains", &domains),
        ]));
        Published::file(body, &format!("round {round}"))
    };
    desk.mirror.publish("/list", published(0));
    let started = std::time::Instant::now();
    desk.expect(&[], 0, "updated").await;
    let usual = started.elapsed().as_millis() as u64;
    let mut dice = Dice::new();
    let kills = std::env::var("ECLUSE_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    for round in 1..=kills {
        desk.mirror.publish("/list", published(round));
        let mut child = desk.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        crate::harness::meanwhile(std::time::Duration::from_millis(dice.below(usual + usual / 4))).await;
        child.kill().unwrap();
        child.wait().unwrap();

        let texts = ["adult", "games"]
            .map(|list| fs::read_to_string(desk.lists().join("ut1").join(list).join("domains")).unwrap());
        assert!(texts[0] == texts[1] && texts[0].lines().count() == 20_000, "a list that is neither old nor new");
        let compiled = cli::run(Some(&desk.site.config()), &desk.site.state(), &["lists", "compile"]);
        assert_eq!(compiled.code, Some(0), "{}", compiled.stderr);
        let name = texts[0].lines().next().unwrap();
        assert!(desk.holds(name), "{name} is in place and not in the image");
    }
    desk.mirror.publish("/list", published(kills + 1));
    desk.expect(&[], 0, "updated").await;
    assert!(desk.holds(&format!("r{}-19999.listed.test", kills + 1)));
    let left: Vec<_> =
        fs::read_dir(desk.lists().join(".fetched/ut1")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the version in place and the one before: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_fetches_it_leaves_the_list_and_its_lock() {
    let desk = Desk::with_file("").await;
    desk.mirror.publish("/list", Published::file(names(10), "one"));
    desk.expect(&[], 0, "updated").await;
    desk.mirror
        .publish("/list", Published::Silent(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf.test\n".to_vec()));
    let mut child = desk.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("half of it came", async || {
        let draft = desk.lists().join(".fetched/distant/4.new/archive");
        fs::metadata(draft).is_ok_and(|found| found.len() > 0).then_some(())
    })
    .await;
    let second = desk.run(&[]).await;
    assert_eq!(second.code, Some(75), "one update at a time: {}", second.stderr);
    assert!(second.stderr.contains(&format!("(process {})", child.id())), "{}", second.stderr);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_to_string(desk.lists().join("distant.txt")).unwrap(), names(10));
    desk.mirror.publish("/list", Published::file(names(11), "two"));
    desk.expect(&[], 0, "updated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_the_environment_is_used_and_our_own_will_do() {
    let mut desk = Desk::with_file("").await;
    desk.mirror.publish("/list", Published::file(names(10), "one"));
    let gateway = Gateway::start(&mut desk.site).await;
    let mut command = desk.command(&["--no-reload"]);
    command.env("https_proxy", format!("http://{}", gateway.proxy));
    finish(command).await.ok();
    assert_eq!(gateway.row("lists.test").await["method"], "CONNECT");
    assert!(desk.holds("name9.listed.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_json_there_is_one_line_a_source() {
    let desk = Desk::with_file("").await;
    desk.mirror.publish("/list", Published::file(names(10), "one"));
    let plain = || {
        let mut command = cli::command(Some(&desk.site.config()), &desk.site.state());
        command.args(["lists", "update", "--ca-file"]).arg(desk.site.folder().join("authority.pem"));
        command
    };
    let url = desk.mirror.url("/list");
    let said = finish(plain()).await.ok();
    assert_eq!(said, format!("distant: updated, 10 entries, {} bytes from {url}\n", names(10).len()));
    let said = finish(plain()).await.ok();
    assert!(said.starts_with("distant: unchanged since 20") && said.ends_with(", 10 entries\n"), "{said}");
}

//! Mirrors that fail, lie or change their mind: the list in place stays, and the message says what to do.

use std::fs;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};

use super::{Desk, names};
use crate::harness::cli::{self, number, text};
use crate::harness::mirror::{Mirror, Published};
use crate::harness::origin::Origin;
use crate::harness::tls::Authority;

/// A desk that has the list of 100 names, of `/list`.
async fn with_list(keys: &str) -> Desk {
    let desk = Desk::with_file(keys).await;
    desk.mirror.publish("/list", Published::file(names(100), "good"));
    desk.expect(&[], 0, "updated").await;
    desk
}

/// The update is refused or comes to nothing, says `why`, and the list of 100 names stays.
async fn stays(desk: &Desk, arguments: &[&str], code: i32, result: &str, why: &str) {
    let (row, stderr) = desk.expect(arguments, code, result).await;
    assert!(stderr.contains(why), "{stderr}, not {why}");
    assert_eq!(number(&row, "entries"), 100, "{row:#}");
    assert_eq!(fs::read_to_string(desk.lists().join("distant.txt")).unwrap(), names(100));
    assert!(desk.holds("name99.listed.test"));
}

fn raw(head: &str, body: &str) -> Published {
    Published::Raw(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mirror_cannot_give_changes_nothing() {
    let desk = with_list("").await;
    for (published, why) in [
        (raw("Content-Length: 1000", "cut.test\n"), "broke off after 9 bytes"),
        (raw("Transfer-Encoding: chunked", "5\r\na.te"), "broke off"),
        (raw("Content-Length: 9\r\nContent-Length: 10", "cut.test\n"), "does not speak HTTP"),
        (Published::Raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()), "does not speak HTTP"),
        (Published::Raw(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec()), "it answers 500"),
        (Published::Raw(b"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\na\n".to_vec()), "it answers 206"),
        (Published::redirect("/list"), "more than 5 redirects"),
        (Published::redirect("http://lists.test/list"), "from https to http"),
        (Published::redirect("ftp://lists.test/list"), "to another protocol"),
        (Published::redirect("/elsewhere"), "it answers 404"),
    ] {
        desk.mirror.publish("/list", published);
        stays(&desk, &[], 75, "unreachable", why).await;
    }
    desk.mirror.publish("/list", raw("Content-Length: 2000000000", ""));
    stays(&desk, &[], 65, "refused", "larger than 1073741824 bytes").await;
    desk.mirror.publish("/list", Published::redirect("/moved"));
    desk.mirror.publish("/moved", Published::file(names(101), "moved"));
    desk.expect(&[], 0, "updated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_http_is_not_even_asked() {
    let desk = with_list("").await;
    let plain = Origin::http().await;
    desk.mirror.publish("/list", Published::redirect(&plain.url("lists.test", "/list")));
    stays(&desk, &[], 75, "unreachable", "from https to http").await;
    assert!(plain.ledger.connections().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_falls_silent_is_given_up() {
    let desk = with_list("").await;
    for beginning in ["", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\na.test\n"] {
        desk.mirror.publish("/list", Published::Silent(beginning.as_bytes().to_vec()));
        let started = Instant::now();
        stays(&desk, &["--timeout", "1"], 75, "unreachable", "nothing came for 1 s").await;
        assert!(started.elapsed() < Duration::from_secs(15));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_it_says_so_and_keeps_what_it_has() {
    let desk = with_list("").await;
    let unused = crate::harness::site::free_port();
    let address = desk.mirror.url("/list");
    for (url, why) in [
        (format!("https://lists.test:{unused}/list"), "nobody answers at lists.test"),
        ("https://gone.test/list".to_owned(), "gone.test: there is no such name"),
    ] {
        let toml = fs::read_to_string(desk.site.rules().join("lists/distant.toml")).unwrap();
        desk.site.write_rule("lists/distant.toml", &toml.replace(&address, &url));
        stays(&desk, &[], 75, "unreachable", why).await;
        desk.site.write_rule("lists/distant.toml", &toml);
    }
    let never = Desk::with_file("").await;
    let (row, stderr) = never.expect(&[], 75, "unreachable").await;
    assert!(row["entries"].is_null() && stderr.contains("it answers 404"), "{row:#}{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_an_authority_vouches_for_is_believed() {
    let desk = with_list("").await;
    let toml = fs::read_to_string(desk.site.rules().join("lists/distant.toml")).unwrap();
    let stranger = Mirror::start(Authority::new().acceptor(&["lists.test"])).await;
    stranger.publish("/list", Published::file(names(101), "stranger"));
    desk.site.write_rule("lists/distant.toml", &toml.replace(&desk.mirror.url("/list"), &stranger.url("/list")));
    stays(&desk, &[], 75, "unreachable", "no secure connection").await;
    // Our authority, and another name.
    let wrong = desk.mirror.url("/list").replace("lists.test", "wrong.test");
    desk.site.write_rule("lists/distant.toml", &toml.replace(&desk.mirror.url("/list"), &wrong));
    stays(&desk, &[], 75, "unreachable", "no secure connection").await;
    assert!(stranger.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_are_tried_in_order_and_each_failure_is_told() {
    let desk = Desk::with_file(
        "urls = [\"https://127.0.0.1:1/\", \"https://MIRROR/cut\", \"https://MIRROR/none\", \"https://MIRROR/good\"]",
    )
    .await;
    desk.mirror.publish("/cut", raw("Content-Length: 1000", "cut.test\n"));
    desk.mirror.publish("/good", Published::file(names(100), "good"));
    let (row, _) = desk.expect(&[], 0, "updated").await;
    assert_eq!(text(&row, "url"), desk.mirror.url("/good"));
    for (at, why) in ["127.0.0.1:1: Connection refused", "broke off", "it answers 404"].iter().enumerate() {
        assert!(row["why"][at].as_str().is_some_and(|told| told.contains(why)), "{row:#}");
    }
    // The validators are those of the mirror that gave the list.
    desk.mirror.publish("/cut", Published::file(names(100), "good"));
    desk.expect(&[], 0, "unchanged").await;
    let asked = desk.mirror.asked();
    assert!(asked[3].starts_with("GET /cut ") && !asked[3].contains("if-none-match"), "{asked:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_is_behind_does_not_take_a_list_back() {
    let desk = Desk::with_file("urls = [\"https://MIRROR/main\", \"https://MIRROR/behind\"]").await;
    let on = |day: &str, n| Published::File {
        body: names(n).into(),
        etag: None,
        last_modified: Some(format!("{day} Nov 1994 08:49:37 GMT")),
    };
    desk.mirror.publish("/main", on("Sun, 06", 100));
    desk.expect(&[], 0, "updated").await;
    desk.mirror.publish("/main", Published::Raw(Vec::new()));
    desk.mirror.publish("/behind", on("Sat, 05", 99));
    stays(&desk, &[], 65, "refused", "this mirror is behind").await;
    desk.mirror.publish("/behind", on("Mon, 07", 99));
    desk.expect(&[], 0, "updated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_whose_sum_is_not_the_published_one_is_refused() {
    let desk = Desk::with_file("sums_url = \"https://MIRROR/SUMS\"").await;
    let sum = |n| digest(&SHA256, names(n).as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect::<String>();
    let sums = |text: String| desk.mirror.publish("/SUMS", Published::file(text, "sums"));
    desk.mirror.publish("/list", Published::file(names(100), "good"));
    desk.expect(&[], 75, "unreachable").await;
    sums(format!("{}  other\n", sum(100)) + &format!("{}  another\n", sum(100)));
    let (_, stderr) = desk.expect(&[], 65, "refused").await;
    assert!(stderr.contains("has no sum for `list`"), "{stderr}");
    sums(format!("{}  list\n", sum(100)));
    desk.expect(&[], 0, "updated").await;

    desk.mirror.publish("/list", Published::file(names(101), "changed on the way"));
    stays(&desk, &[], 65, "refused", "sum is not the published one").await;
    sums("6e8ed1cc71ce6c5c0b3e1d1b0e6f3a4d  list\n".to_owned());
    stays(&desk, &["--accept-change"], 65, "refused", "sum is not the published one").await;
    sums(format!("{}  list\n", sum(101)));
    desk.expect(&[], 0, "updated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_list_is_fetched_once_also_over_http() {
    let sum: String =
        digest(&SHA256, b"hello from pinned.test:1\n").as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let desk = Desk::with_file(&format!("urls = [\"https://MIRROR/list\"]\nsha256 = \"{sum}\"")).await;
    let plain = Origin::http().await;
    let port = plain.port();
    let body = format!("hello from pinned.test:{port}\n");
    let pinned: String = digest(&SHA256, body.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let toml = fs::read_to_string(desk.site.rules().join("lists/distant.toml")).unwrap();
    let toml = toml.replace(&desk.mirror.url("/list"), &plain.url("pinned.test", "/list"));
    desk.site.write_rule("lists/distant.toml", &toml);
    let (_, stderr) = desk.expect(&[], 65, "refused").await;
    assert!(stderr.contains("sum is not the published one"), "{stderr}");
    // The right sum, and a body that is no list: the sum is not all that is looked at.
    desk.site.write_rule("lists/distant.toml", &toml.replace(&sum, &pinned));
    let (_, stderr) = desk.expect(&[], 65, "refused").await;
    assert!(stderr.contains("this is no list"), "{stderr}");

    let desk = Desk::with_file("").await;
    let sum: String = digest(&SHA256, names(5).as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let toml = fs::read_to_string(desk.site.rules().join("lists/distant.toml")).unwrap();
    desk.site.write_rule("lists/distant.toml", &format!("{toml}sha256 = \"{sum}\"\n"));
    desk.mirror.publish("/list", Published::file(names(5), "pinned"));
    desk.expect(&[], 0, "updated").await;
    desk.expect(&[], 0, "unchanged").await;
    assert_eq!(desk.mirror.asked().len(), 1, "what is pinned and in place needs nobody to be asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_changed_too_much_waits_for_a_person() {
    let desk = with_list("minimum_entries = 50").await;
    for (count, why) in [(69, "lost more than 30 %"), (301, "grew by more than 200 %")] {
        desk.mirror.publish("/list", Published::file(names(count), &count.to_string()));
        stays(&desk, &[], 65, "refused", why).await;
        stays(&desk, &[], 65, "refused", "`ecluse lists update --accept-change distant`").await;
    }
    for (body, why) in [
        (names(49), "`minimum_entries` is 50"),
        (String::new(), "it has 0 entries"),
        ("<html>\n<p>Closed for the night.</p>\n".repeat(100), "this is no list"),
    ] {
        desk.mirror.publish("/list", Published::file(body, why));
        stays(&desk, &["--accept-change"], 65, "refused", why).await;
    }
    desk.mirror.publish("/list", Published::file(names(301), "accepted"));
    desk.expect(&["--accept-change"], 0, "updated").await;
    assert!(desk.holds("name300.listed.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_asks_for_trouble_is_told_so() {
    let desk = Desk::with_file("").await;
    let good = fs::read_to_string(desk.site.rules().join("lists/distant.toml")).unwrap();
    let url = desk.mirror.url("/list");
    for (from, to, why) in [
        (url.as_str(), "http://lists.test/list", "can be changed by anybody on the way"),
        (&url, "https://me:secret@lists.test/list", "names a user"),
        (&url, "file:///etc/passwd", "is no address to fetch from"),
        ("distant.txt", "../../distant.txt", "is no place for a fetched list"),
        ("distant.txt", "/etc/passwd", "is no place for a fetched list"),
        ("distant.txt", ".fetched/x", "is no place for a fetched list"),
        ("\"distant\"", "\"..\"", "is no name for a source"),
        ("optional = true", "sums_url = \"http://lists.test/SUMS\"", "`sums_url` is not secure"),
        ("optional = true", "sha256 = \"abc\"", "no SHA-256 sum"),
        ("optional = true", "maximum_loss_percent = 101", "over 100"),
        ("optional = true", "minimum_entrys = 1", "unknown field"),
    ] {
        desk.site.write_rule("lists/distant.toml", &good.replace(from, to));
        let said = desk.run(&[]).await;
        assert_eq!(said.code, Some(64), "{to}: {}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains(why) && said.stderr.contains("help: "), "{}", said.stderr);
        assert!(!said.stderr.contains("secret"), "{}", said.stderr);
    }
    let twice = good.replace("\"distant\"", "\"second\"");
    desk.site.write_rule("lists/distant.toml", &format!("{good}{twice}"));
    let said = desk.run(&[]).await;
    assert!(said.code == Some(64) && said.stderr.contains("place of another"), "{}", said.stderr);
    desk.site.write_rule("lists/distant.toml", &good);
    let said = desk.run(&["ut2"]).await;
    assert!(said.code == Some(64) && said.stderr.contains("there are: distant"), "{}", said.stderr);
    let missing =
        cli::run(Some(&desk.site.config()), &desk.site.state(), &["lists", "update", "--ca-file", "none.pem"]);
    assert!(missing.code == Some(1) && missing.stderr.contains("none.pem"), "{}", missing.stderr);
}

//! Urgent changes of the lists: a site is refused, or a false positive lifted, while the gateway runs and nothing is
//! compiled; and the log says who answers for it.

use std::time::SystemTime;

use crate::harness::cli::Said;
use crate::harness::school::School;

fn urgent(school: &School, arguments: &[&str]) -> Said {
    school.gateway.cli(&[&["lists", "urgent"], arguments].concat())
}

fn compiled_at(school: &School) -> SystemTime {
    school.site.state().join("lists.image").metadata().unwrap().modified().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phishing_site_is_refused_at_once_and_the_row_says_who_decided() {
    let school = School::open().await;
    let before = compiled_at(&school);
    let mut browser = school.pupil().await;
    let url = school.url("www.phish.test", "/");
    assert_eq!(browser.get(&url).await.status, 200);

    let said =
        urgent(&school, &["add", "phish.test", "--category", "adult", "--reason", "Signalé", "--author", "m.durand"]);
    assert!(said.stderr.contains("in force"), "{}", said.stderr);
    assert_eq!(browser.get(&url).await.status, 403, "also for a connection that was there before");
    assert_eq!(compiled_at(&school), before, "nothing was compiled");
    let rows = school.gateway.rows(2, &["--host", "www.phish.test"]).await;
    let row = rows.iter().find(|row| row["action"] == "refuse").unwrap();
    assert_eq!((row["list"].as_str(), row["category"].as_str()), (Some("urgent/adult"), Some("adult")));
    let entry = row["entry"].as_str().unwrap();
    assert!(entry.starts_with("phish.test (urgent.toml:4, m.durand, 20"), "{entry}");

    // Explained in the same words, found by the same name, and taken back.
    let explained = school.gateway.cli(&["explain", "--json", "--client", "127.0.0.2", "--url", &url]).ok();
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    assert_eq!((explained["author"].as_str(), explained["line"].as_str()), (Some("m.durand"), Some("urgent.toml:4")));
    assert!(school.gateway.cli(&["lists", "find", "phish.test"]).ok().contains(", by m.durand, 20"));
    assert!(urgent(&school, &["show"]).ok().starts_with("add    phish.test (adult): Signalé; m.durand, "));
    urgent(&school, &["withdraw", "phish.test"]).ok();
    assert_eq!(browser.get(&url).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_positive_is_lifted_at_once_and_stays_so_when_the_lists_are_compiled() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    school.site.write_rule("lists/adult.txt", "test\nadult.test\nbad.other.test\n");
    school.gateway.reload().await;
    let good = school.url("other.test", "/");
    assert_eq!(browser.get(&good).await.status, 403);

    urgent(&school, &["remove", "other.test", "--reason", "Listé par erreur", "--author", "m.durand"]).ok();
    let held = async |browser: &mut crate::harness::browser::Browser| {
        assert_eq!(browser.get(&good).await.status, 200);
        assert_eq!(browser.get(&school.url("www.other.test", "/")).await.status, 200);
        assert_eq!(browser.get(&school.url("bad.other.test", "/")).await.status, 403, "a narrower line stays");
        assert_eq!(browser.get(&school.url("adult.test", "/")).await.status, 403);
    };
    held(&mut browser).await;
    // A change of the lists compiles them, and merges.
    school.site.write_rule("lists/games.txt", "games.test\nmore-games.test\n");
    school.gateway.reload().await;
    assert_eq!(browser.get(&school.url("more-games.test", "/")).await.status, 403);
    held(&mut browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_of_urgent_changes_changes_nothing_and_is_explained() {
    let school = School::open().await;
    school.site.write_rule("lists/urgent.toml", "[[add]]\nentry = \"plain.test\"\n");
    let said = urgent(&school, &["add", "phish.test", "--category", "adult", "--reason", "x", "--author", "y"]);
    assert_eq!(said.code, Some(64));
    assert!(said.stderr.contains("urgent.toml:1"), "{}", said.stderr);
    let checked = school.gateway.cli(&["check"]);
    assert!(checked.code == Some(64) && checked.stderr.contains("urgent.toml:1"), "{}", checked.stderr);
    let mut browser = school.pupil().await;
    assert_eq!(browser.get(&school.url("plain.test", "/")).await.status, 200);
    assert_eq!(browser.get(&school.url("adult.test", "/")).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_ad_blockers_know_who_asks() {
    let school = School::open_with(|site| {
        let source = "\n[[source]]\nname = \"pub\"\nformat = \"adblock\"\npath = \"pub.txt\"\ncategory = \"adult\"\n";
        site.write_rule("lists/pub.toml", source);
        site.write_rule("lists/pub.txt", "||tracker.test/pixel$third-party,image\n/banner.$domain=page.test\n");
    })
    .await;
    let asked = async |url: &str, fields: &[(&str, &str)]| {
        let mut browser = school.pupil().await;
        browser.get_with(url, fields).await.status
    };
    let pixel = school.url("tracker.test", "/pixel");
    let image = ("Sec-Fetch-Dest", "image");
    assert_eq!(asked(&pixel, &[]).await, 200, "nothing is guessed");
    assert_eq!(asked(&pixel, &[("Referer", "http://page.test/"), image]).await, 403);
    assert_eq!(asked(&pixel, &[("Referer", "http://www.tracker.test/"), image]).await, 200);
    assert_eq!(asked(&pixel, &[("Referer", "http://page.test/"), ("Sec-Fetch-Dest", "script")]).await, 200);
    let banner = school.url("pictures.test", "/banner.gif");
    assert_eq!(asked(&banner, &[("Origin", "http://www.page.test")]).await, 403);
    assert_eq!(asked(&banner, &[("Origin", "http://other.test")]).await, 200);
}

//! Refusals: what the person reads, what the origin did not see, and what the log can tell afterwards.

use regex::Regex;

use crate::harness::cli::text;
use crate::harness::reply::Reply;
use crate::harness::school::School;

/// The reference on a page: the eight characters by which the row is found.
fn reference(page: &str) -> String {
    let pattern = Regex::new(r"\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b").expect("a pattern");
    let found = pattern.find(page).unwrap_or_else(|| panic!("no reference in {page}"));
    found.as_str().to_owned()
}

fn assert_page(reply: &Reply, language: &str) -> String {
    assert_eq!(reply.status, 403);
    assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{:?}", reply.headers);
    assert!(reply.header("cache-control").is_some_and(|value| value.contains("no-store")), "{:?}", reply.headers);
    let page = reply.text();
    assert!(page.contains(&format!("lang=\"{language}\"")), "{page}");
    // Nothing on the page is fetched from elsewhere.
    let outside = Regex::new(r#"(?i)(src|href|action)\s*=\s*["']?\s*(https?:)?//([^"'/\s>]+)"#).expect("a pattern");
    for link in outside.captures_iter(&page) {
        assert_eq!(&link[3], "ecluse.internal", "the page leads elsewhere: {}", &link[0]);
    }
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_why_in_french_and_can_be_found_by_its_reference() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    let reply = browser.get(&school.url("www.adult.test", "/secret?q=1")).await;
    let page = assert_page(&reply, "fr");
    assert!(page.contains("contenus réservés aux adultes"), "{page}");
    assert!(page.contains("Contenus pour adultes"), "{page}");
    assert!(page.contains("filtrage@college.test"), "{page}");
    assert!(school.origin.ledger.connections().is_empty(), "the origin was dialled");

    let row = school.gateway.row("www.adult.test").await;
    assert_eq!(text(&row, "reference"), reference(&page));
    assert_eq!(text(&row, "action"), "refuse");
    assert_eq!(text(&row, "rule"), "adultes");
    assert_eq!(text(&row, "category"), "adult");
    assert_eq!(text(&row, "list"), "adultes");
    assert_eq!(text(&row, "ending"), "answered");
    assert_eq!(text(&row, "path"), "");
    let entry = text(&row, "entry");
    assert!(entry.starts_with("adult.test (") && entry.ends_with(":3)"), "{entry}");
    assert!(!text(&row, "rules_version").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_prefers_english_reads_english() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    let url = school.url("adult.test", "/");
    let page = assert_page(&browser.get_with(&url, &[("Accept-Language", "en-GB,en;q=0.9,fr;q=0.3")]).await, "en");
    assert!(page.contains("adult content"), "{page}");
    assert_page(&browser.get_with(&url, &[("Accept-Language", "fr-FR,fr;q=0.9,en;q=0.8")]).await, "fr");
    assert_page(&browser.get_with(&url, &[("Accept-Language", "de")]).await, "fr");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_page_is_refused_in_every_spelling_and_its_neighbours_pass() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    for path in ["/adult", "/adult/a?b", "/%61dult/", "/x/../adult/", "//adult/", "/./adult", "/adult/../adult/"] {
        let reply = browser.get(&school.url("mixed.test", path)).await;
        assert_eq!(reply.status, 403, "{path}");
    }
    for path in ["/", "/adulthood", "/x/adult", "/?/adult"] {
        let reply = browser.get(&school.url("mixed.test", path)).await;
        assert_eq!(reply.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_name_is_refused_in_every_spelling() {
    let school = School::open().await;
    // A connection for each: what is no URL at all is answered 400 and closed.
    for host in ["adult.test", "ADULT.test", "adult.test.", "a.b.c.adult.test", "%61dult.test", "ａdult.test"] {
        let reply = school.pupil().await.get(&school.url(host, "/")).await;
        assert!(matches!(reply.status, 400 | 403), "{host}: {}", reply.status);
    }
    let mut browser = school.pupil().await;
    for host in ["notadult.test", "adult.test.example.test"] {
        assert_eq!(browser.get(&school.url(host, "/")).await.status, 200, "{host}");
    }
    assert_eq!(school.origin.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_matters() {
    let school = School::open().await;
    let url = school.url("games.test", "/");
    assert_eq!(school.pupil().await.get(&url).await.status, 403);
    assert_eq!(school.teacher().await.get(&url).await.status, 200);
    let rows = school.gateway.rows(2, &["--host", "games.test"]).await;
    let mut actions: Vec<_> = rows.iter().map(|row| text(row, "action")).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["forward", "refuse"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn being_listed_is_not_being_refused() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    assert_eq!(browser.get(&school.url("bank.test", "/")).await.status, 200);
    assert_eq!(browser.get(&school.url("help.test", "/")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_refused_is_not_dialled() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    for host in ["127.66.0.1", "0x7f420001", "127.0x42.1"] {
        let reply = browser.get(&school.url(host, "/")).await;
        assert_eq!(reply.status, 403, "{host}");
    }
    for row in school.gateway.rows(3, &["--host", "127.66.0.1"]).await {
        assert_eq!(text(&row, "rule"), "adresse-interdite");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_leaves_nothing_behind_on_the_connection() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    let smuggled = format!("GET {} HTTP/1.1\r\nHost: inner.test\r\n\r\n", school.url("inner.test", "/"));
    let reply = browser.post(&school.url("adult.test", "/"), smuggled.as_bytes()).await;
    assert_eq!(reply.status, 403);
    // Served in order or closed; never a reading of the body as a request.
    let next =
        format!("GET {} HTTP/1.1\r\nHost: next.test:{}\r\n\r\n", school.url("next.test", "/"), school.origin.port());
    if browser.line.try_say(next).await
        && let Some(reply) = browser.line.try_reply("GET").await
    {
        assert!(reply.text().contains("next.test"), "{reply:?}");
    }
    assert!(school.origin.requests().iter().all(|seen| !seen.host().starts_with("inner")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_reads_no_html_is_refused_in_plain_words() {
    let school = School::open().await;
    let mut browser = school.pupil().await;
    browser.send("HEAD", &school.url("adult.test", "/"), &[], b"").await;
    let reply = browser.line.reply("HEAD").await;
    assert_eq!((reply.status, reply.body.len()), (403, 0));
    assert_eq!(browser.get(&school.url("allowed.test", "/")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_translator_or_a_reader_shows_is_refused_in_clear_and_in_a_tunnel() {
    let school = School::open().await;
    for url in [
        "http://www-adult-test.translate.goog/page",
        "http://translate.google.fr/translate?u=https%3A%2F%2Fwww.adult.test%2F",
        "http://www.google.com/amp/s/adult.test/",
        "http://web.archive.org/web/2020/https://adult.test/",
        "http://12ft.io/https://adult.test/",
    ] {
        let page = assert_page(&school.pupil().await.get(url).await, "fr");
        assert!(page.contains("contenus réservés aux adultes"), "{url}: {page}");
    }
    for authority in ["www-adult-test.translate.goog:443", "adult-test.cdn.ampproject.org:443"] {
        assert_eq!(school.pupil().await.connect(authority).await.status, 403, "{authority}");
    }
    assert!(school.origin.ledger.connections().is_empty(), "the origin was dialled");
    let rows = school.gateway.rows(2, &["--host", "www-adult-test.translate.goog"]).await;
    for row in &rows {
        let entry = text(row, "entry");
        assert!(entry.starts_with("adult.test ("), "the reason names what was shown: {row:#}");
        assert_eq!((text(row, "rule"), text(row, "category")), ("adultes", "adult"));
    }
}

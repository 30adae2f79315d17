//! Bodies too large to be held: they stream, and what is found ends them broken off.

use std::time::Duration;

use super::shelf::Item;
use super::{SCAN, Scanned};
use crate::harness::clamd::{EICAR_NAME, eicar};
use crate::harness::cli::{number, text};
use crate::harness::origin::pattern;
use crate::harness::{eventually, meanwhile};

/// So much is never passed on before the verdict.
const TAIL: usize = 64 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_with_a_virus_at_its_end_breaks_off_and_the_next_page_says_why() {
    let Some(scanned) = Scanned::open().await else { return };
    for (path, chunked) in [("/length", false), ("/chunked", true)] {
        let item = Item::of(pattern(5_000_000)).then(eicar());
        let url = scanned.shelf.put(path, if chunked { item.chunked() } else { item });
        let mut pupil = scanned.school.pupil().await;
        let reply = pupil.get(&url).await;
        assert!(reply.status == 200 && !reply.whole, "it broke off: {} {}", reply.status, reply.body.len());
        assert!(reply.body.len() <= 5_000_000 + eicar().len() - TAIL && reply.body.len() > 3_000_000);
        assert!(pattern(5_000_000).starts_with(&reply.body));
        // An image of a page is no page.
        let home = scanned.shelf.url("/");
        let reply = scanned.school.pupil().await.get_with(&home, &[("Accept", "image/png")]).await;
        assert_eq!(reply.status, 200);
        let page = ("Accept", "text/html,application/xhtml+xml");
        let told = scanned.school.pupil().await.get_with(&home, &[page, ("Accept-Language", "fr")]).await;
        assert_eq!(told.status, 403);
        for words in [EICAR_NAME, "interrompu", "files.test"] {
            assert!(told.text().contains(words), "{words}: {}", told.text());
        }
        // Once.
        assert_eq!(scanned.school.pupil().await.get_with(&home, &[page]).await.status, 200);
        let row = eventually("the row of the download", async || {
            let rows = scanned.school.gateway.search(&["--host", "files.test"]);
            rows.into_iter().find(|row| text(row, "ending") == "cut" && told.text().contains(text(row, "reference")))
        })
        .await;
        assert_eq!(text(&row, "finding"), format!("virus: {EICAR_NAME}"), "{row:#}");
        assert_eq!((text(&row, "action"), text(&row, "rule")), ("refuse", "gateway-antivirus"));
        assert!(number(&row, "bytes_down") > 3_000_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_clean_file_comes_whole_and_begins_before_its_end_is_known() {
    let Some(scanned) = Scanned::open().await else { return };
    let url = scanned.shelf.put("/large", Item::of(pattern(1_000_000)).repeated(20).header("etag", "\"a\""));
    let mut pupil = scanned.school.pupil().await;
    for _ in 0..2 {
        let reply = pupil.get(&url).await;
        assert!(reply.status == 200 && reply.whole && reply.body == pattern(1_000_000).repeat(20));
        assert_eq!((reply.header("content-length"), reply.header("etag")), (Some("20000000"), Some("\"a\"")));
    }
    let chunked = Item::of(pattern(1_000_000)).repeated(3).chunked();
    let reply = pupil.get(&scanned.shelf.put("/chunked", chunked)).await;
    assert!(reply.whole && reply.body == pattern(1_000_000).repeat(3));
    let rows = scanned.school.gateway.rows(3, &["--host", "files.test"]).await;
    for row in &rows {
        assert_eq!((text(row, "finding"), text(row, "ending")), ("clean", "complete"), "{row:#}");
        assert_eq!(row["connection"], rows[0]["connection"], "the link to the origin was kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_in_the_middle_ends_the_examination() {
    let Some(scanned) = Scanned::open_with("", "at_once = 1\nconnect_ms = 3000", SCAN).await else { return };
    let url = scanned.shelf.put("/large", Item::of(pattern(1_000_000)).repeated(90));
    let mut pupil = scanned.school.pupil().await;
    pupil.send("GET", &url, &[], b"").await;
    meanwhile(Duration::from_millis(300)).await;
    drop(pupil);
    // The one place is free again.
    let small = scanned.shelf.put("/small", Item::of("hello"));
    let reply = scanned.school.pupil().await.get(&small).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
}

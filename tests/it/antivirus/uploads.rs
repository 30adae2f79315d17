//! What clients send, where a rule wants that scanned.

use super::Scanned;
use super::shelf::Item;
use crate::harness::clamd::{EICAR_NAME, eicar};
use crate::harness::cli::{number, text};
use crate::harness::origin::pattern;

const SCAN_UPLOADS: &str = r#"
[[rule]]
name = "envois"
who = ["eleves"]
all = true
action = "allow"
duties = ["scan-uploads"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_virus_that_is_sent_reaches_no_origin_and_what_is_clean_does() {
    let Some(scanned) = Scanned::open_with("", "", SCAN_UPLOADS).await else { return };
    let url = scanned.shelf.put("/in", Item::of("thanks"));
    let mut pupil = scanned.school.pupil().await;
    let page = pupil.post(&url, &eicar()).await;
    assert!(page.status == 403 && page.text().contains(EICAR_NAME), "{}", page.status);
    assert!(scanned.shelf.asked().is_empty(), "nothing was dialled for it");
    for size in [10, 300_000, 5_000_000] {
        let reply = pupil.post(&url, &pattern(size)).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "thanks"), "{size}");
        let (_, head, body) = scanned.shelf.asked().pop().expect("a request");
        assert!(body == pattern(size) && head["content-length"] == size.to_string().as_str());
    }
    // A large one is broken off on its way, and the page says so at once.
    let large = [pattern(5_000_000), eicar()].concat();
    let page = scanned.school.pupil().await.post(&url, &large).await;
    assert!(page.status == 403 && page.text().contains(EICAR_NAME), "{}", page.status);
    let (_, _, body) = scanned.shelf.asked().pop().expect("a request");
    assert!(body.len() < 5_000_000, "its end did not arrive: {}", body.len());
    let rows = scanned.school.gateway.rows(5, &["--host", "files.test"]).await;
    let found = rows.iter().filter(|row| text(row, "finding") == format!("virus: {EICAR_NAME}"));
    let mut endings: Vec<_> = found.map(|row| (text(row, "ending"), number(row, "status"))).collect();
    endings.sort();
    assert_eq!(endings, [("answered", 403), ("cut", 403)], "{rows:#?}");
    assert_eq!(rows.iter().filter(|row| text(row, "finding") == "clean").count(), 3);
}

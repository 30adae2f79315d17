//! What cannot be scanned, and what the settings make of it.

use super::shelf::Item;
use super::{SCAN, Scanned};
use crate::harness::clamd::eicar;
use crate::harness::cli::{has_flag, text};
use crate::harness::eventually;
use crate::harness::origin::pattern;

/// What a pupil gets of an item under some settings: the status, and the finding and flags of the row.
async fn outcome(
    conf: &str,
    settings: &str,
    table: &str,
    item: Item,
) -> Option<(u16, bool, String, Vec<&'static str>)> {
    let scanned = Scanned::open_with(conf, settings, &format!("{table}{SCAN}")).await?;
    if conf == DOWN {
        let Scanned { school, shelf, clamd } = scanned;
        drop(clamd);
        return Some(ask(&school, &shelf, item).await);
    }
    Some(ask(&scanned.school, &scanned.shelf, item).await)
}

/// In place of lines of clamd's configuration: it is not there any more.
const DOWN: &str = "# down";

async fn ask(
    school: &crate::harness::school::School,
    shelf: &super::shelf::Shelf,
    item: Item,
) -> (u16, bool, String, Vec<&'static str>) {
    let reply = school.pupil().await.get(&shelf.put("/file", item)).await;
    let row = school.gateway.row("files.test").await;
    let flags = ["not-scanned", "failed-open", "failed-closed"].into_iter().filter(|flag| has_flag(&row, flag));
    (reply.status, reply.whole, text(&row, "finding").to_owned(), flags.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_that_is_down_blocks_or_lets_pass_and_the_row_says_so() {
    let item = || Item::of("hello");
    for (settings, expected) in [
        ("on_failure = \"block\"", (403, true, "no-verdict".to_owned(), vec!["failed-closed"])),
        (
            "on_failure = \"allow\"",
            (200, true, "not-scanned: no-verdict".to_owned(), vec!["not-scanned", "failed-open"]),
        ),
    ] {
        let Some(got) = outcome(DOWN, settings, "", item()).await else { return };
        assert_eq!(got, expected, "{settings}");
    }
    // A large one, of which nothing has gone when the scanner is missed.
    let large = Item::of(pattern(3_000_000));
    let got = outcome(DOWN, "", "", large).await.expect("clamd");
    assert_eq!(got, (403, true, "no-verdict".to_owned(), vec!["failed-closed"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_passes_or_not_by_its_length_its_bytes_and_clamd_s_own_limit() {
    let table = "[scan]\nmax_bytes = 2000000\n";
    let (said, unsaid) = (|| Item::of(pattern(3_000_000)), || Item::of(pattern(3_000_000)).chunked());
    let passes = (200, true, "not-scanned: over-limit".to_owned(), vec!["not-scanned"]);
    for (conf, table, item) in [
        ("", table, said()),
        ("", table, unsaid()),
        ("StreamMaxLength 2M", "", said()),
        ("StreamMaxLength 2M", "", unsaid()),
    ] {
        let Some(got) = outcome(conf, "over_limit = \"allow\"", table, item).await else { return };
        assert_eq!(got, passes, "{conf} {table}");
    }
    let block = "over_limit = \"block\"";
    assert_eq!(outcome("", block, table, said()).await.expect("clamd"), (403, true, "over-limit".to_owned(), vec![]));
    assert_eq!(
        outcome("", block, table, unsaid()).await.expect("clamd"),
        (200, false, "over-limit".to_owned(), vec![])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coding_that_nobody_knows_and_an_archive_with_a_password_have_their_settings() {
    let unknown = || Item::of(eicar()).coded("compress");
    let broken = || Item::of("no gzip at all").coded("gzip");
    for item in [unknown(), broken()] {
        let Some(got) = outcome("", "", "", item).await else { return };
        assert_eq!(got, (403, true, "unknown-coding".to_owned(), vec![]));
    }
    let got = outcome("", "unknown_coding = \"allow\"", "", unknown()).await.expect("clamd");
    assert_eq!(got, (200, true, "not-scanned: unknown-coding".to_owned(), vec!["not-scanned"]));
    let archive = || Item::of(encrypted_zip()).header("content-type", "application/zip");
    assert_eq!(outcome("", "", "", archive()).await.expect("clamd"), (403, true, "encrypted".to_owned(), vec![]));
    let got = outcome("", "encrypted = \"allow\"", "", archive()).await.expect("clamd");
    assert_eq!(got, (200, true, "not-scanned: encrypted".to_owned(), vec!["not-scanned"]));
}

/// One stored member whose flag says that it is encrypted (APPNOTE.TXT 4.4.4, bit 0); nobody has its password.
fn encrypted_zip() -> Vec<u8> {
    let (name, data) = (b"secret.txt", [0x5a_u8; 44]);
    let common = |signature: &[u8]| {
        let mut head = signature.to_vec();
        if signature[2] == 1 {
            head.extend_from_slice(&20u16.to_le_bytes());
        }
        for short in [20u16, 1, 0, 0, 0x5a21] {
            head.extend_from_slice(&short.to_le_bytes());
        }
        for long in [0x1234_5678u32, data.len() as u32, data.len() as u32 - 12] {
            head.extend_from_slice(&long.to_le_bytes());
        }
        head.extend_from_slice(&(name.len() as u16).to_le_bytes());
        head
    };
    let mut file = common(b"PK\x03\x04");
    file.extend_from_slice(&0u16.to_le_bytes());
    file.extend_from_slice(name);
    file.extend_from_slice(&data);
    let directory_at = file.len() as u32;
    let mut directory = common(b"PK\x01\x02");
    directory.extend_from_slice(&[0; 16]);
    directory.extend_from_slice(name);
    let length = directory.len() as u32;
    file.extend(directory);
    file.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&directory_at.to_le_bytes());
    file.extend_from_slice(&0u16.to_le_bytes());
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_refused_although_the_whole_was_asked_for_and_types_that_policy_leaves_out_pass() {
    let Some(scanned) = Scanned::open_with("", "", &format!("[scan]\ntypes = [\"*\", \"!video/*\"]\n{SCAN}")).await
    else {
        return;
    };
    let mut pupil = scanned.school.pupil().await;
    let part =
        |name: &str| Item::of("ell").status(206).header("content-range", "bytes 1-3/5").header("content-type", name);
    for (name, status) in [("text/plain", 403), ("multipart/byteranges; boundary=a", 403), ("video/mp4", 206)] {
        let reply = pupil.get_with(&scanned.shelf.put("/part", part(name)), &[("Range", "bytes=1-3")]).await;
        assert_eq!(reply.status, status, "{name}");
    }
    let video = Item::of(eicar()).header("content-type", "video/mp4");
    assert_eq!(pupil.get(&scanned.shelf.put("/video", video)).await.body, eicar());
    let rows = scanned.school.gateway.rows(4, &["--host", "files.test"]).await;
    let findings = |finding: &str| rows.iter().filter(|row| text(row, "finding") == finding).count();
    assert_eq!((findings("partial"), findings("")), (2, 2), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_start_it_is_said_whether_the_scanner_is_there_and_takes_as_much_as_policy_wants_scanned() {
    let said = async |conf: &str, more: fn(&crate::harness::clamd::Clamd) -> String, words: &str| {
        let clamd = crate::harness::clamd::Clamd::start(conf).await?;
        let settings = clamd.settings(&more(&clamd));
        let school = crate::harness::school::School::open_with(|site| {
            site.set("antivirus", &settings);
            site.write_rule("policy.toml", &format!("{}{SCAN}", crate::harness::site::POLICY));
        })
        .await;
        eventually(words, async || Some(()).filter(|()| school.gateway.stderr().contains(words))).await;
        let check = school.gateway.cli(&["check"]);
        assert_eq!(check.code, Some(0), "{}", check.stderr);
        Some(check.stderr)
    };
    let conf = |clamd: &crate::harness::clamd::Clamd| format!("clamd_conf = {:?}", clamd.conf().display().to_string());
    let Some(_) = said("StreamMaxLength 100M", |_| String::new(), "takes bodies of 104857600 bytes").await else {
        return;
    };
    // Asked by trying, where the file is not named; read from the file where it is.
    said("StreamMaxLength 10M", |_| String::new(), "clamd takes less than the 104857600 bytes").await;
    let checked = said("StreamMaxLength 10M", conf, "clamd takes 10485760 bytes (`StreamMaxLength`").await;
    assert!(checked.is_some_and(|check| check.contains("clamd takes 10485760 bytes")));
}

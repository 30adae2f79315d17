//! Archives: what UT1 is, and what an attacker would make of one.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::Desk;
use crate::harness::cli::number;
use crate::harness::mirror::Published;

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// An archive with a good list and one record that a decent archiver would not write.
fn with_record(kind: EntryType, name: &str, target: &str) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_cksum();
    let good = tar(&[("blacklists/adult/domains", "new.test\n")]);
    gzip(&[header.as_bytes().as_slice(), &good].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_like_ut1s_becomes_a_list_for_each_folder_and_its_links_are_names() {
    let desk = Desk::with_folder("").await;
    desk.mirror.publish("/list", Published::file(with_record(EntryType::Symlink, "blacklists/porn", "adult"), "one"));
    let (row, _) = desk.expect(&[], 0, "updated").await;
    assert_eq!(number(&row, "entries"), 1);
    assert!(desk.holds("new.test"));
    assert_eq!(fs::read_link(desk.lists().join("ut1/porn")).unwrap().to_str(), Some("adult"));
    let shown = crate::harness::cli::run(Some(&desk.site.config()), &desk.site.state(), &["lists", "show"]).ok();
    assert!(shown.contains("ut1/adult") && shown.contains("  = ut1/porn"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_means_harm_changes_nothing() {
    let desk = Desk::with_folder("").await;
    desk.mirror.publish("/list", Published::file(gzip(&tar(&[("blacklists/adult/domains", "old.test\n")])), "good"));
    desk.expect(&[], 0, "updated").await;
    let many: Vec<String> = (0..10_001).map(|i| format!("blacklists/c{i}/domains")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..7].copy_from_slice(b"domains");
    header.set_size(1 << 30);
    header.set_cksum();
    // A gibibyte of nothing in a megabyte, as a gzip file of many members.
    let bomb = [gzip(header.as_bytes()), gzip(&vec![0; 1 << 20]).repeat(1024)].concat();
    let mut too_large = header.clone();
    too_large.set_size((1 << 30) + 1);
    too_large.set_cksum();

    let whole = gzip(&tar(&[("blacklists/adult/domains", &super::names(50_000))]));
    for (body, expected) in [
        (bomb, "200 times its size"),
        (gzip(too_large.as_bytes()), "more than 1073741824 bytes"),
        (gzip(&tar(&many)), "more than 10000 files"),
        (with_record(EntryType::Symlink, "blacklists/porn", "../../../../../rules"), "link to outside"),
        (with_record(EntryType::Symlink, "blacklists/porn", "/etc"), "link to outside"),
        (with_record(EntryType::Link, "blacklists/adult/urls", "/etc/passwd"), "leads outside"),
        (with_record(EntryType::Regular, "/tmp/ecluse-escaped", ""), "leads outside"),
        (with_record(EntryType::Regular, "blacklists/../../../escaped", ""), "leads outside"),
        (with_record(EntryType::Block, "blacklists/sda", ""), "of the kind `4`"),
        (with_record(EntryType::Fifo, "blacklists/pipe", ""), "of the kind `6`"),
        (whole[..whole.len() / 2].to_vec(), "archive that can be read"),
        (b"<html>maintenance</html>".to_vec(), "no tar archive"),
    ] {
        desk.mirror.publish("/list", Published::file(body, expected));
        let (row, stderr) = desk.expect(&[], 65, "refused").await;
        assert!(stderr.contains(expected), "{stderr}, not {expected}");
        assert_eq!(number(&row, "entries"), 1, "{row:#}");
        assert_eq!(fs::read_to_string(desk.lists().join("ut1/adult/domains")).unwrap(), "old.test\n");
        assert!(desk.holds("old.test") && !desk.holds("new.test"));
        assert_eq!(fs::read_dir(desk.lists().join(".fetched/ut1")).unwrap().count(), 1, "nothing of it is left");
    }
    assert!(!desk.site.state().join("escaped").exists() && !std::path::Path::new("/tmp/ecluse-escaped").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_category_that_vanishes_is_no_update_until_a_person_says_so() {
    let desk = Desk::with_folder("").await;
    let text = super::names(1000);
    let both = tar(&[("blacklists/adult/domains", &text), ("blacklists/games/domains", "games.test\n")]);
    desk.mirror.publish("/list", Published::file(gzip(&both), "both"));
    desk.expect(&[], 0, "updated").await;
    desk.mirror.publish("/list", Published::file(gzip(&tar(&[("blacklists/adult/domains", &text)])), "one"));
    let (_, stderr) = desk.expect(&[], 65, "refused").await;
    assert!(stderr.contains("ut1/games (1)"), "{stderr}");
    desk.expect(&["--accept-change", "ut1"], 0, "updated").await;
}

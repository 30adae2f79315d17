use super::*;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{EntryType, Header};

/// One record as it stands, whatever a decent archiver would say.
fn record(kind: EntryType, name: &str, target: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    let fields = header.as_old_mut();
    fields.name[..name.len()].copy_from_slice(name.as_bytes());
    fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o7777);
    header.set_mtime(784_111_777);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, content: &str) -> Vec<u8> {
    record(EntryType::Regular, name, "", content.as_bytes())
}

fn folder(name: &str) -> Vec<u8> {
    record(EntryType::Directory, name, "", b"")
}

fn link(name: &str, target: &str) -> Vec<u8> {
    record(EntryType::Symlink, name, target, b"")
}

fn archive(records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = records.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The files below a folder with their texts, links with their targets; or why it was refused.
fn unpacked_within(limits: &UnpackLimits, format: Format, body: &[u8]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("here/into");
    fs::create_dir(folder.path().join("here")).unwrap();
    fs::write(folder.path().join("secret"), "outside").unwrap();
    let result = unpack(body, format, &into, limits);
    assert_eq!(fs::read_to_string(folder.path().join("secret")).unwrap(), "outside");
    let outside: Vec<_> =
        fs::read_dir(folder.path()).unwrap().chain(fs::read_dir(folder.path().join("here")).unwrap()).collect();
    assert!(outside.len() <= 3, "something lies outside: {outside:?}");
    result.map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    list(&into, &into, &mut found);
    found.sort();
    Ok(found)
}

fn unpacked(body: &[u8]) -> Result<Vec<String>, String> {
    unpacked_within(&UnpackLimits::default(), Format::SquidGuard, body)
}

fn list(root: &Path, path: &Path, found: &mut Vec<String>) {
    let kind = fs::symlink_metadata(path).unwrap();
    let name = path.strip_prefix(root).unwrap().display();
    if kind.is_symlink() {
        let target = path.canonicalize().expect("a link that leads somewhere");
        assert!(target.starts_with(root.canonicalize().unwrap()), "{name} leads to {}", target.display());
        found.push(format!("{name} -> {}", fs::read_link(path).unwrap().display()));
    } else if kind.is_file() {
        found.push(format!("{name}={}", String::from_utf8_lossy(&fs::read(path).unwrap())));
    } else {
        fs::read_dir(path).unwrap().for_each(|entry| list(root, &entry.unwrap().path(), found));
    }
}

#[test]
fn a_list_with_its_aliases_is_unpacked_as_it_is() {
    let bytes = archive(&[
        folder("blacklists/"),
        folder("blacklists/adult/"),
        file("blacklists/adult/domains", "adult.test\n"),
        link("blacklists/porn", "adult"),
        record(EntryType::Link, "blacklists/copy/domains", "blacklists/adult/domains", b""),
        file("./blacklists/games/urls", "games.test/x\n"),
    ]);
    let expected = [
        "blacklists/adult/domains=adult.test\n",
        "blacklists/copy/domains=adult.test\n",
        "blacklists/games/urls=games.test/x\n",
        "blacklists/porn -> adult",
    ];
    assert_eq!(unpacked(&bytes).unwrap(), expected);
    assert_eq!(unpacked(&gzip(&bytes)).unwrap(), expected);
}

#[test]
fn whatever_leads_outside_is_refused_and_nothing_is_written_there() {
    let outside = "leads outside";
    let is_link = "is a link to outside";
    let cases: Vec<(Vec<Vec<u8>>, &str)> = vec![
        (vec![file("/etc/passwd", "x")], outside),
        (vec![file("../secret", "x")], outside),
        (vec![file("a/../../../secret", "x")], outside),
        (vec![file("a\\..\\b", "x")], outside),
        (vec![file("a/\u{1b}[2J", "x")], outside),
        (vec![folder("a/b/c/d/e/f/g/h/i/")], outside),
        (vec![link("a", "/etc")], is_link),
        (vec![link("a", "..")], is_link),
        (vec![link("b/a", "../..")], is_link),
        (vec![link("a", "../../secret")], is_link),
        (vec![link("a", "")], is_link),
        // Dots that count right, and lead outside through another link.
        (vec![folder("d/e"), link("d/e/up", ".."), link("x", "d/e/up/../..")], is_link),
        (vec![record(EntryType::Link, "a", "/etc/passwd", b"")], outside),
        (vec![record(EntryType::Link, "a", "../../secret", b"")], outside),
        (vec![record(EntryType::Link, "a", "nothing", b"")], "nothing that is in the archive"),
        (vec![folder("d"), record(EntryType::Link, "a", "d", b"")], "nothing that is in the archive"),
        // A file through a link of the archive.
        (vec![link("a", "b"), file("a/x", "x")], "twice"),
        (vec![file("a", "x"), file("a/x", "x")], "twice"),
        (vec![file("a", "x"), link("a", "b")], "twice"),
        (vec![file("a", "x"), file("./a", "y")], "twice"),
        (vec![record(EntryType::Char, "null", "", b"")], "of the kind `3`"),
        (vec![record(EntryType::Block, "sda", "", b"")], "of the kind `4`"),
        (vec![record(EntryType::Fifo, "pipe", "", b"")], "of the kind `6`"),
        (vec![record(EntryType::GNUSparse, "holes", "", b"")], "of the kind `S`"),
        (vec![record(EntryType::XHeader, "x", "", b"22 GNU.sparse.major=1\n"), file("a", "x")], "of the kind `x`"),
        (vec![record(EntryType::XHeader, "x", "", b"18 path=../secret\n"), file("a", "x")], outside),
        (vec![record(EntryType::GNULongName, "L", "", b"../secret\0"), file("a", "x")], outside),
        (vec![record(EntryType::GNULongLink, "K", "", b"/etc\0"), link("a", "b")], is_link),
        (vec![record(EntryType::GNULongName, "L", "", &[b'a'; 20_000]), file("a", "x")], "more than 16384"),
    ];
    for (records, expected) in cases {
        let why = unpacked(&archive(&records)).expect_err(expected);
        assert!(why.contains(expected), "{why}, not {expected}");
        assert!(!why.chars().any(char::is_control), "{why:?} plays with the terminal");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_left_out() {
    let bytes = archive(&[file("a/domains", "x"), link("b", "gone"), link("c", "c"), link("d", "a")]);
    assert_eq!(unpacked(&bytes).unwrap(), ["a/domains=x", "d -> a"]);
}

#[test]
fn long_names_are_read_in_both_spellings() {
    let long = format!("{}/domains", "n".repeat(120));
    let pax = format!("path={long}\n");
    let pax = format!("{} {pax}", pax.len() + 4);
    for extension in [
        record(EntryType::GNULongName, "L", "", format!("{long}\0").as_bytes()),
        record(EntryType::XHeader, "x", "", pax.as_bytes()),
    ] {
        assert_eq!(unpacked(&archive(&[extension, file("short", "x")])).unwrap(), [format!("{long}=x")]);
    }
}

#[test]
fn more_than_the_limits_is_refused_before_it_is_written() {
    let small = UnpackLimits { bytes: 100_000, files: 10, ..UnpackLimits::default() };
    let refused = |limits: &UnpackLimits, format, bytes: &[u8]| unpacked_within(limits, format, bytes).unwrap_err();
    let zeros = vec![b'\n'; 200_000];
    let big = archive(&[record(EntryType::Regular, "a", "", &zeros)]);
    assert_eq!(refused(&small, Format::SquidGuard, &big), "it holds more than 100000 bytes");
    assert_eq!(refused(&small, Format::Domains, &gzip(&zeros)), "it holds more than 100000 bytes");
    // The end of the archive is not the end of what is packed.
    let behind = [archive(&[file("a", "x")]), zeros.clone()].concat();
    assert_eq!(refused(&small, Format::SquidGuard, &gzip(&behind)), "it holds more than 100000 bytes");

    let many: Vec<_> = (0..11).map(|i| file(&format!("f{i}"), "")).collect();
    assert_eq!(refused(&small, Format::SquidGuard, &archive(&many)), "it holds more than 10 files");
    assert_eq!(unpacked_within(&small, Format::SquidGuard, &archive(&many[..10])).unwrap().len(), 10);
    let deep: Vec<_> = (0..6).map(|i| file(&format!("{i}/f"), "")).collect();
    assert_eq!(refused(&small, Format::SquidGuard, &archive(&deep)), "it holds more than 10 files");
    let names: Vec<_> = (0..50).map(|_| record(EntryType::XGlobalHeader, "g", "", b"10 a=bcde\n")).collect();
    assert_eq!(refused(&small, Format::SquidGuard, &archive(&names)), "it holds more than 10 files");

    let bomb = gzip(&archive(&[record(EntryType::Regular, "a", "", &vec![0; 20 << 20])]));
    assert_eq!(
        refused(&UnpackLimits::default(), Format::SquidGuard, &bomb),
        "it unpacks to more than 200 times its size: no list of names does"
    );
    let slow = UnpackLimits { within: Duration::ZERO, ..UnpackLimits::default() };
    assert_eq!(refused(&slow, Format::Domains, b"a.test\n"), "it takes more than 0 s to unpack");
}

#[test]
fn cut_or_changed_anywhere_it_is_refused_or_the_same() {
    let whole = gzip(&archive(&[folder("a"), file("a/domains", "adult.test\nother.test\n"), link("b", "a")]));
    let expected = unpacked(&whole).unwrap();
    for end in 0..whole.len() {
        assert!(unpacked(&whole[..end]).is_err(), "cut at {end}");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        // Dates and names in the head of the gzip file are nobody's content.
        assert!(unpacked(&changed).is_err_and(|why| !why.is_empty()) || unpacked(&changed) == Ok(expected.clone()));
    }
    assert!(unpacked(&[&whole[..], b"garbage"].concat()).is_err());
}

#[test]
fn what_is_no_archive_is_told_from_a_damaged_one() {
    assert!(unpacked(b"<html>maintenance</html>").unwrap_err().starts_with("it is no tar archive"));
    assert!(unpacked(b"").unwrap_err().starts_with("it is no tar archive"));
    assert!(unpacked(&gzip(b"adult.test\n")).unwrap_err().starts_with("it is no tar archive"));
    assert!(unpacked(&archive(&[file("a", "x")])[..512]).unwrap_err().starts_with("it is no archive that can be read"));
}

#[test]
fn a_list_of_one_file_is_text_or_text_in_gzip() {
    let one = |bytes: &[u8]| unpacked_within(&UnpackLimits::default(), Format::Domains, bytes);
    for text in ["a.test\nb.test\n", "a", ""] {
        assert_eq!(one(text.as_bytes()).unwrap(), [format!("={text}")]);
        assert_eq!(one(&gzip(text.as_bytes())).unwrap(), [format!("={text}")]);
    }
    let twice = [gzip(b"a.test\n"), gzip(b"b.test\n")].concat();
    assert_eq!(one(&twice).unwrap(), ["=a.test\nb.test\n"]);
}

#[test]
fn the_folder_that_wraps_the_lists_is_taken_off() {
    for (paths, expected) in [
        (&["blacklists/adult/domains", "blacklists/games/urls"][..], "blacklists"),
        (&["a/blacklists/adult/domains", "a/blacklists/games/urls"], "a/blacklists"),
        (&["adult/domains", "games/domains"], ""),
        (&["child/domains"], ""),
        (&["blacklists/child/domains"], "blacklists"),
        (&["README", "adult/domains"], ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
            fs::write(folder.path().join(path), "").unwrap();
        }
        assert_eq!(root_of(folder.path()).unwrap(), folder.path().join(expected), "{paths:?}");
    }
}

/// A record of few names, so that records meet: files, folders and links through one another.
fn hostile_record() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![
        Just(EntryType::Regular),
        Just(EntryType::Directory),
        Just(EntryType::Symlink),
        Just(EntryType::Link),
        Just(EntryType::GNULongName),
        Just(EntryType::GNULongLink),
    ];
    let path = || {
        let part = prop_oneof![4 => Just("a"), 4 => Just("b"), 2 => Just(".."), 1 => Just("."), 1 => Just("")];
        proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
    };
    (kind, path(), path()).prop_map(|(kind, name, target)| record(kind, &name, &target, target.as_bytes()))
}

proptest! {
    #[test]
    fn no_bytes_bring_it_down(mut bytes in proptest::collection::vec(any::<u8>(), 0..3000), as_gzip: bool) {
        if as_gzip {
            bytes = gzip(&bytes);
        }
        for format in [Format::SquidGuard, Format::Hosts] {
            let _ = unpacked_within(&UnpackLimits::default(), format, &bytes);
        }
    }

    #[test]
    fn no_order_of_files_and_links_leads_outside(records in proptest::collection::vec(hostile_record(), 1..8)) {
        // The looking for links and files outside is in there.
        let _ = unpacked(&archive(&records));
    }
}

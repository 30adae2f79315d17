use super::*;

use crate::access::Host;
use crate::lists::{Candidate, Format};
use crate::matcher::names::hash::Seed;

fn texts() -> Vec<ListText<'static>> {
    vec![
        ListText::new("a", "a", Format::Domains, "example.fr\nchild.example.fr\n10.1.2.3\nother.fr\n"),
        ListText::new("u", "u", Format::Urls, "example.net/a/b\nexample.net/c\n"),
        ListText::new("e", "e", Format::Expressions, "/sponsor/\n"),
        ListText::new("n", "n", Format::Cidr, "10.0.0.0/8\n2001:db8::/32\n"),
    ]
}

fn bytes() -> Vec<u8> {
    crate::lists::compile::compile_texts(&texts()).unwrap()
}

fn ask_everything(image: &Image) {
    for (host, path) in
        [("www.example.fr", ""), ("child.example.fr", "/x"), ("www.example.net", "/a/b/c"), ("10.1.2.3", "/sponsor/")]
    {
        let candidate = Candidate::new(&Host::parse(host).unwrap(), path);
        for list in image.matches(&candidate).iter() {
            let _ = image.entry(list, &candidate);
        }
    }
}

fn damage_of(bytes: Vec<u8>) -> Damage {
    Image::from_bytes(bytes).expect_err("it was damaged")
}

#[test]
fn what_is_no_image_is_refused_and_says_why() {
    let good = bytes();
    assert_eq!(damage_of(Vec::new()), Damage::NotAnImage);
    assert_eq!(damage_of(vec![b'x'; 4096]), Damage::NotAnImage);
    let cut = good[..good.len() - 1].to_vec();
    assert!(matches!(damage_of(cut), Damage::Length { .. }));
    let mut newer = good.clone();
    newer[8] = 9;
    assert_eq!(damage_of(newer), Damage::Version(9));
    let mut header = good.clone();
    header[24] ^= 1;
    assert_eq!(damage_of(header), Damage::Header);
}

#[test]
fn a_damaged_hot_section_is_refused_at_once_a_cold_one_when_verified() {
    let good = bytes();
    let layout = Layout::read(&good).unwrap();
    let hot_end = layout.hot().end;
    let mut refused = 0;
    for at in (4096..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        match Image::from_bytes(bad) {
            Err(Damage::Checksum(_)) => {
                assert!(at < hot_end);
                refused += 1;
            }
            Err(other) => assert!(at > hot_end, "{other}"),
            Ok(image) => {
                ask_everything(&image);
                // What lies between sections is nobody's.
                let inside = Kind::ALL.iter().any(|kind| {
                    let start = layout.bytes(&good, *kind).as_ptr() as usize - good.as_ptr() as usize;
                    (start..start + layout.bytes(&good, *kind).len()).contains(&at)
                });
                assert_eq!(image.verify().is_err(), inside, "byte {at}");
            }
        }
    }
    assert!(refused > 50);
}

#[test]
fn a_damaged_text_does_not_open_the_way() {
    let good = bytes();
    let layout = Layout::read(&good).unwrap();
    let place = |kind| {
        let start = layout.bytes(&good, kind).as_ptr() as usize - good.as_ptr() as usize;
        start..start + layout.bytes(&good, kind).len()
    };
    let mut unconfirmed = 0;
    for at in place(Kind::NameTexts).chain(place(Kind::NameIndex)) {
        for flip in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            let image = Image::from_bytes(bad).unwrap();
            for host in ["other.fr", "www.example.fr"] {
                let candidate = Candidate::host(&Host::parse(host).unwrap());
                let found: Vec<usize> = image.matches(&candidate).iter().map(ListId::index).collect();
                assert_eq!(found, [0], "{host}, byte {at}");
                let entry = image.entry(ListId::default(), &candidate).unwrap();
                assert_eq!(entry.text.ends_with(UNCONFIRMED), image.unconfirmed() > 0, "{}", entry.text);
                if image.unconfirmed() > 0 {
                    unconfirmed += 1;
                    break;
                }
            }
            assert!(image.verify().is_err());
        }
    }
    assert!(unconfirmed > 30, "{unconfirmed}");
}

#[test]
fn a_host_with_the_fingerprint_of_a_listed_name_is_not_listed() {
    // Of 300,000 names about ten pairs share 32 bits.
    let seed = Seed::nth(0);
    let mut seen = std::collections::HashMap::new();
    let pair = (0..300_000).map(|i| format!("name-{i}.fr")).find_map(|name| {
        let fingerprint = seed.hash(&name).fingerprint();
        seen.insert(fingerprint, name.clone()).map(|other| (name, other))
    });
    let (listed, other) = pair.unwrap();
    let image = Image::from_texts(&[ListText::new("a", "a", Format::Domains, &listed)]).unwrap();
    assert_eq!(NameTable::view(image.section(Kind::Names)).unwrap().seed(), seed);
    let found = |host: &str| image.matches(&Candidate::host(&Host::parse(host).unwrap())).len();
    assert_eq!((found(&listed), found(&other), image.unconfirmed()), (1, 0, 0));
}

/// The checksums protect against accidents, not against malice: who can write the file can write them, too.
#[test]
fn a_hostile_image_with_right_checksums_never_panics() {
    let good = bytes();
    let layout = Layout::read(&good).unwrap();
    let ranges: Vec<std::ops::Range<usize>> = Kind::ALL
        .iter()
        .map(|kind| {
            let bytes = layout.bytes(&good, *kind);
            let start = bytes.as_ptr() as usize - good.as_ptr() as usize;
            start..start + bytes.len()
        })
        .collect();
    let mut opened = 0;
    for (number, range) in ranges.iter().enumerate() {
        for at in range.clone().step_by(1 + range.len() / 400) {
            for value in [0u8, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                reseal(&mut bad, number, range);
                if let Ok(image) = Image::from_bytes(bad) {
                    ask_everything(&image);
                    opened += 1;
                }
            }
        }
    }
    assert!(opened > 1000, "{opened}");
}

/// Makes the checksums right again.
fn reseal(bytes: &mut [u8], section: usize, range: &std::ops::Range<usize>) {
    let entry = 128 + 32 * section;
    let crc = crc32c::crc32c(&bytes[range.clone()]);
    bytes[entry + 24..entry + 28].copy_from_slice(&crc.to_le_bytes());
    let end = 128 + 32 * Kind::ALL.len();
    bytes[88..92].fill(0);
    let crc = crc32c::crc32c(&bytes[..end]);
    bytes[88..92].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn the_message_of_a_bad_image_tells_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    assert!(matches!(Image::open(&path), Err(ImageError::Open { .. })));
    std::fs::write(&path, b"").unwrap();
    let message = Image::open(&path).unwrap_err().to_string();
    assert!(message.contains("no image of lists") && message.contains("ecluse lists compile"), "{message}");
}

#[test]
fn aliases_are_names_of_the_same_list() {
    let mut image = Image::from_texts(&texts()).unwrap();
    image.description.lists[0].aliases.push("other-name".into());
    image.description.category_aliases.push(("other".into(), "a".into()));
    assert_eq!(image.list_named(&"other-name".into()), image.list_named(&"a".into()));
    assert_eq!(image.category_of_alias(&"other".into()), Some(&"a".into()));
    assert_eq!(image.category_of_alias(&"a".into()), None);
}

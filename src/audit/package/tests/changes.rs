//! Whatever is changed in a package is found, and the first row that it concerns is named.

use super::*;
use crate::access::proof::{Halves, Salts};

fn whole() -> Place {
    let place = Place::with(11, Stream::Accesses, 70, 25);
    let within = HostFilter::Within(crate::access::HostName::parse("example.fr").unwrap());
    let written = place.export(Filter { host: Some(within), ..Filter::all(Stream::Accesses) }, true);
    assert!(written.rows > 15 && written.openings > 15, "{written:?}");
    place
}

fn lines(place: &Place, name: &str) -> Vec<String> {
    let text = fs::read_to_string(place.package().join(name)).unwrap();
    text.split_inclusive('\n').map(str::to_owned).collect()
}

fn put(place: &Place, name: &str, lines: &[String]) {
    fs::write(place.package().join(name), lines.concat()).unwrap();
}

/// Signs what lies there, with sums that fit: what somebody can do who has a key.
fn sign_again(folder: &Path, signer: &Signer) {
    let bytes = fs::read(folder.join(MANIFEST)).unwrap();
    let mut manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
    manifest.key = signer.public();
    for (name, sum) in &mut manifest.files {
        let bytes = fs::read(folder.join(name)).unwrap();
        *sum = FileSum { bytes: bytes.len() as u64, sha256: Hash::of(&[&bytes]) };
    }
    let bytes = serde_json::to_vec_pretty(&manifest).unwrap();
    fs::write(folder.join(MANIFEST), &bytes).unwrap();
    let signed = SignedText::sign(signer, PACKAGE, signed_message(&bytes, None));
    let signature = ManifestSignature { key: signer.public(), signature: signed.signature };
    fs::write(folder.join(SIGNATURE), format!("{}\n", serde_json::to_string(&signature).unwrap())).unwrap();
}

#[test]
fn any_byte_that_is_changed_is_found_and_the_first_row_named() {
    let place = whole();
    let mut dice = Dice::seeded(21);
    for name in files::names(&place.package()).unwrap() {
        let path = place.package().join(&name);
        let bytes = fs::read(&path).unwrap();
        let is_small = bytes.len() < 400;
        let places: Vec<usize> = match is_small {
            true => (0..bytes.len()).collect(),
            false => (0..150).map(|_| dice.below(bytes.len() as u64) as usize).chain([0, bytes.len() - 1]).collect(),
        };
        for at in places {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << dice.below(8);
            fs::write(&path, &changed).unwrap();
            let error = place.verify().expect_err(&format!("{name}, byte {at}: {:?}", bytes[at] as char));
            let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
            match name.as_str() {
                ROWS | LEAVES => assert_eq!(error.row(), Some(line + 1), "{name}, byte {at}: {error}"),
                TABLE if line > 0 => assert_eq!(error.row(), Some(line), "{name}, byte {at}: {error}"),
                _ => {}
            }
        }
        fs::write(&path, &bytes).unwrap();
    }
    place.verify().unwrap();
}

#[test]
fn a_row_that_was_removed_added_or_moved_is_named_as_such() {
    let place = whole();
    let rows = lines(&place, ROWS);
    let check = |changed: &[String], row: u64, word: &str| {
        put(&place, ROWS, changed);
        let error = place.verify().unwrap_err();
        assert_eq!(error.row(), Some(row), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        put(&place, ROWS, &rows);
    };
    let mut removed = rows.clone();
    removed.remove(6);
    check(&removed, 7, "it was removed");
    removed = rows.clone();
    removed.pop();
    check(&removed, rows.len() as u64, "it was removed");
    let mut moved = rows.clone();
    moved.swap(3, 9);
    check(&moved, 4, "it was moved");
    let mut added = rows.clone();
    let foreign: Row = sample::rows(&mut Dice::seeded(99), Stream::Accesses, 60).pop().unwrap();
    let mut line = Vec::new();
    super::super::write::row_line(&foreign, &mut line).unwrap();
    added.insert(5, String::from_utf8(line).unwrap());
    check(&added, 6, "it was");
    let mut doubled = rows.clone();
    doubled.push(rows[0].clone());
    check(&doubled, rows.len() as u64 + 1, "it was added");
}

#[test]
fn who_signs_again_with_another_key_cannot_alter_add_or_hide_a_row() {
    let thief = Signer::from_seed(&[66; 32]).unwrap();
    let place = whole();
    // Whole again but for the signer: told as unknown.
    sign_again(&place.package(), &thief);
    assert_eq!(place.verify().unwrap().unknown, [thief.public().fingerprint()]);

    // A row and its leaf are altered together, in both files.
    let (rows, leaves, table) = (lines(&place, ROWS), lines(&place, LEAVES), lines(&place, TABLE));
    let mut row: crate::access::AccessRow = serde_json::from_str(&rows[12]).unwrap();
    row.record.bytes_down += 1;
    let row = Row::Access(Box::new(row));
    let mut leaf: LeafLine = serde_json::from_str(&leaves[12]).unwrap();
    let proof = leaf.proof.as_mut().unwrap();
    proof.hash = Halves::of_row(&row).leaf(Salts { who: proof.who, what: proof.what });
    let tree = proof.root;
    let (mut line, mut cells) = (Vec::new(), Vec::new());
    super::super::write::row_line(&row, &mut line).unwrap();
    crate::audit::csv::Csv::new(Stream::Accesses).row(&row, &mut cells).unwrap();
    let replaced = |all: &[String], n: usize, line: String| {
        let mut all = all.to_vec();
        all[n] = line;
        all
    };
    put(&place, ROWS, &replaced(&rows, 12, String::from_utf8(line).unwrap()));
    put(&place, TABLE, &replaced(&table, 13, String::from_utf8(cells).unwrap()));
    put(&place, LEAVES, &replaced(&leaves, 12, format!("{}\n", serde_json::to_string(&leaf).unwrap())));
    sign_again(&place.package(), &thief);
    let error = place.verify().unwrap_err();
    let first_of_tree = leaves
        .iter()
        .position(|line| serde_json::from_str::<LeafLine>(line).unwrap().proof.unwrap().root == tree)
        .unwrap();
    assert_eq!(error.row(), Some(first_of_tree as u64 + 1), "{error}");

    // A root is altered: no key but the gateway's signs it.
    let place = whole();
    let roots = lines(&place, ROOTS);
    put(&place, ROOTS, &replaced(&roots, 0, roots[0].replacen("\\\"segment\\\":1", "\\\"segment\\\":2", 1)));
    sign_again(&place.package(), &thief);
    assert!(place.verify().unwrap_err().to_string().contains("the root was altered"));
    // A root is left out.
    put(&place, ROOTS, &roots[..roots.len() - 1]);
    sign_again(&place.package(), &thief);
    place.verify().unwrap_err();
}

#[test]
fn an_answer_that_is_left_out_is_missed_where_completeness_is_claimed() {
    let thief = Signer::from_seed(&[66; 32]).unwrap();
    let place = Place::with(5, Stream::Accesses, 120, 25);
    let person = place
        .rows
        .iter()
        .find_map(|row| match row {
            Row::Access(row) => row.record.person,
            Row::Connection(_) => None,
        })
        .unwrap();
    let filter = Filter { persons: Some(vec![person]), ..Filter::all(Stream::Accesses) };
    let written = place.export(filter.clone(), true);
    assert!(written.rows > 0 && written.rows < 120);
    assert_eq!(place.verify().unwrap().accounted, Some(120));

    // An opening is left out.
    let openings = lines(&place, OPENINGS);
    put(&place, OPENINGS, &openings[1..]);
    sign_again(&place.package(), &thief);
    place.verify().unwrap_err();

    // The rows are asked for somebody else, so that they are hidden as openings that match: told.
    let nobody = Filter { persons: Some(vec![Pseudonym([0xee; 16])]), ..filter };
    place.export(nobody, true);
    let bytes = fs::read(place.package().join(MANIFEST)).unwrap();
    let mut manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
    manifest.wanted.persons = Some(vec![person]);
    fs::write(place.package().join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
    sign_again(&place.package(), &thief);
    let error = place.verify().unwrap_err();
    assert!(error.to_string().contains("may be an answer"), "{error}");
}

#[test]
fn a_file_that_is_missing_added_cut_or_no_file_is_named() {
    let place = whole();
    for name in files::names(&place.package()).unwrap() {
        let path = place.package().join(&name);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(place.verify().is_err(), "{name} removed");
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(place.verify().is_err(), "{name} is a link");
        fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert!(place.verify().is_err(), "{name} is a pipe");
        fs::remove_file(&path).unwrap();
        for cut in [0, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(place.verify().is_err(), "{name} cut at {cut}");
        }
        fs::write(&path, &bytes).unwrap();
    }
    fs::write(place.package().join("more.txt"), "x").unwrap();
    assert!(place.verify().unwrap_err().to_string().starts_with("more.txt: "));
}

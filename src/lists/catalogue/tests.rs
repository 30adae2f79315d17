use super::*;

use std::os::unix::fs::symlink;

use crate::lists::{Image, Usage, compile};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self) -> Result<Catalogue, Vec<Problem>> {
        Catalogue::read(&self.path("rules"), &self.path("state"))
    }
}

#[test]
fn a_squidguard_folder_is_a_list_for_each_folder_and_a_link_is_a_name() {
    let folder = Folder::new();
    folder.write(
        "rules/a.toml",
        "[[source]]\nname = 'ut1'\nformat = 'squidguard'\npath = 'ut1'\nlicence = 'CC BY-SA 4.0'\ncategory_names = { agressif = 'violence' }\n",
    );
    folder.write("state/ut1/agressif/domains", "example.fr\n");
    folder.write("state/ut1/agressif/usage", "black\naggressive\n");
    folder.write("state/ut1/bank/domains", "bank.example\n");
    folder.write("state/ut1/bank/usage", "white\nblack\n");
    folder.write("state/ut1/bank/very_restrictive_expression", "(banking|banker)\n");
    folder.write("state/ut1/README", "no list\n");
    folder.write("state/ut1/empty/usage", "black\n");
    symlink("agressif", folder.path("state/ut1/violence-en")).unwrap();
    symlink("/nowhere", folder.path("state/ut1/broken")).unwrap();

    let catalogue = folder.read().unwrap();
    let lists: Vec<String> = catalogue.lists().map(|(name, category)| format!("{name}={category}")).collect();
    assert_eq!(lists, ["ut1/agressif=violence", "ut1/bank=bank", "ut1/bank-very-restrictive=bank-very-restrictive"]);
    let out = folder.path("state/image");
    let report = compile(&catalogue, &out).unwrap();
    assert_eq!(report.problems, []);
    let image = Image::open(&out).unwrap();
    assert_eq!(image.source_fingerprint(), catalogue.fingerprint());
    let list = image.list_named(&"ut1/violence-en".into()).unwrap();
    let meta = image.list(list).unwrap();
    assert_eq!((meta.name.as_str(), meta.usage), ("ut1/agressif", Some(Usage::Black)));
    assert_eq!(meta.files.names, "agressif/domains");
    assert!(meta.source_date.as_ref().is_some_and(|date| date.len() == 10));
    assert_eq!(image.category_of_alias(&"violence-en".into()), Some(&"violence".into()));
    assert_eq!(image.lists()[1].usage, Some(Usage::Both));
    let left: Vec<_> = fs::read_dir(folder.path("state")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "only the lists and the image: {left:?}");
}

#[test]
fn every_problem_of_every_file_is_told_at_once() {
    let folder = Folder::new();
    folder.write(
        "rules/a.toml",
        "[[source]]\nname = 'one'\nformat = 'nothing'\npath = 'x'\n\n[[source]]\nname = 'two words'\nformat = 'domains'\npath = ''\n\n[[source]]\nname = 'three'\nformat = 'domains'\npath = 'absent'\n",
    );
    folder.write("rules/b.toml", "[[source]\n");
    folder.write("rules/c.toml", "[[source]]\nname = 'four'\nformat = 'hosts'\npath = 'absent'\nurl = 'x'\n");
    let problems = folder.read().unwrap_err();
    let shown: Vec<String> = problems
        .iter()
        .map(|p| format!("{}:{:?} {}", p.file.file_name().unwrap().to_string_lossy(), p.line, p.what))
        .collect();
    assert_eq!(shown.len(), 6, "{shown:#?}");
    for (shown, (begin, part)) in shown.iter().zip([
        ("a.toml:Some(1)", "nothing"),
        ("a.toml:Some(6)", "two words"),
        ("a.toml:Some(6)", "`path` is empty"),
        ("a.toml:Some(11)", "absent"),
        ("b.toml:Some(1)", ""),
        ("c.toml:Some(1)", "url"),
    ]) {
        assert!(shown.starts_with(begin) && shown.contains(part), "{shown}");
    }
    assert!(problems.iter().all(|problem| !problem.help.is_empty()));
}

#[test]
fn an_optional_list_that_is_absent_is_a_note() {
    let folder = Folder::new();
    folder.write("rules/a.toml", "[[source]]\nname = 'one'\nformat = 'domains'\npath = 'x'\noptional = true\n");
    let catalogue = folder.read().unwrap();
    assert_eq!((catalogue.notes.len(), catalogue.sources.len(), catalogue.lists().count()), (1, 1, 0));
    assert!(!catalogue.sources[0].present);
    assert_eq!(Catalogue::read(&folder.path("none"), &folder.path("none")).unwrap().sources, []);
}

#[test]
fn the_fingerprint_changes_when_a_list_does() {
    let folder = Folder::new();
    folder.write("rules/a.toml", "[[source]]\nname = 'one'\nformat = 'domains'\npath = 'x'\n");
    folder.write("rules/x", "a.fr\n");
    let before = folder.read().unwrap().fingerprint();
    assert_eq!(folder.read().unwrap().fingerprint(), before);
    folder.write("rules/x", "a.fr\nb.fr\n");
    assert_ne!(folder.read().unwrap().fingerprint(), before);
}

#[test]
fn two_lists_of_one_name_are_a_problem() {
    let folder = Folder::new();
    let source = "[[source]]\nname = 'one'\nformat = 'domains'\npath = 'x'\n";
    folder.write("rules/a.toml", source);
    folder.write("rules/b.toml", source);
    folder.write("rules/x", "a.fr\n");
    assert!(folder.read().unwrap_err()[0].what.contains("two lists have the name `one`"));
}

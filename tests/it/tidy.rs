//! Habits that a machine can check are checked by a machine.

use std::path::{Path, PathBuf};

use regex::Regex;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The repository's own texts, relative to its root.
fn texts() -> Vec<(PathBuf, String)> {
    const EXTENSIONS: [&str; 10] = ["rs", "md", "toml", "html", "css", "service", "csv", "txt", "yml", "sh"];
    const NAMES: [&str; 2] = ["run", ".gitignore"];
    let mut folders = vec![root().to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", ".git"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if NAMES.contains(&name.as_str())
                || path.extension().is_some_and(|e| EXTENSIONS.iter().any(|known| e == *known))
            {
                let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                found.push((path.strip_prefix(root()).expect("below the root").to_owned(), text));
            }
        }
    }
    found
}

fn check(what: &str, wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

/// Lines of files chosen by `files` on which `pattern` matches.
fn lines_matching(files: impl Fn(&Path) -> bool, pattern: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).expect("a pattern");
    let mut found = Vec::new();
    for (file, text) in texts().into_iter().filter(|(file, _)| files(file)) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| pattern.is_match(line)) {
            found.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
        }
    }
    found
}

fn is_rust(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "rs")
}

/// This file spells what it looks for.
fn elsewhere(file: &Path) -> bool {
    !file.ends_with("tests/it/tidy.rs")
}

#[test]
fn a_file_fits_a_head() {
    const MOST: usize = 600;
    let long = texts().into_iter().filter(|(file, _)| is_rust(file));
    let long = long.filter(|(_, text)| text.lines().count() > MOST && !text.contains("Longer than 600 lines because"));
    check(
        "over 600 lines and no sentence `Longer than 600 lines because …`",
        long.map(|(file, _)| file.display().to_string()).collect(),
    );
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent = texts().into_iter().filter(|(file, text)| {
        is_rust(file) && !file.ends_with("tests.rs") && !text.starts_with("//!") && !text.starts_with("#![doc")
    });
    check("files without a `//!` at their head", silent.map(|(file, _)| file.display().to_string()).collect());
}

#[test]
fn types_are_named_by_the_field() {
    let names = "Manager|Helper|Util|Utils|Handler|Container|Data|Info|Processor|Common";
    let declared = format!(r"\b(struct|enum|trait|type|mod)\s+(\w*[a-z])?({names})\b");
    let mut declared = lines_matching(|file| is_rust(file) && elsewhere(file), &declared);
    // The name of an associated type of `http_body::Body` is not ours to choose.
    declared.retain(|line| !line.ends_with("type Data = Bytes;"));
    check("names that say nothing", declared);
    let lower = names.to_lowercase();
    let files = texts().into_iter().map(|(file, _)| file).filter(|file| is_rust(file));
    let stem = Regex::new(&format!("^({lower})$")).unwrap();
    let files = files.filter(|file| stem.is_match(&file.file_stem().unwrap_or_default().to_string_lossy()));
    check("files whose names say nothing", files.map(|file| file.display().to_string()).collect());
}

#[test]
fn nothing_is_left_for_later_in_a_comment() {
    check("left for later", lines_matching(|file| is_rust(file) && elsewhere(file), r"\b(TODO|FIXME|XXX|HACK)\b"));
}

#[test]
fn no_text_knows_the_machine_it_was_written_on() {
    check("paths of somebody's machine", lines_matching(elsewhere, r#"(^|[\s"'`(=])/(home|Users|root|work|mnt)/"#));
}

#[test]
fn tests_wait_for_events_and_none_is_switched_off() {
    let tests = |file: &Path| is_rust(file) && elsewhere(file) && !file.starts_with("tests/it/harness");
    // Under `start_paused` a sleep takes no time: there it is the very thing that is tested.
    let waiting = |file: &Path| {
        let is_test = file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
        let text = || std::fs::read_to_string(root().join(file)).unwrap_or_default();
        tests(file) && is_test && !text().contains("start_paused")
    };
    check("sleeps (use `eventually`)", lines_matching(waiting, r"\b(thread|time)::sleep\b"));
    check("ignored tests", lines_matching(tests, r"#\[ignore"));
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let page = std::fs::read_to_string(root().join("docs/dependencies.md")).expect("docs/dependencies.md");
    let mut wrong = Vec::new();
    for table in ["dependencies", "dev-dependencies"] {
        for name in manifest[table].as_table().expect("a table").keys() {
            if !page.contains(&format!("| `{name}` |")) {
                wrong.push(format!("{name} is in Cargo.toml and not in docs/dependencies.md"));
            }
        }
    }
    let listed = Regex::new(r"(?m)^\| `([\w-]+)` \|").unwrap();
    for name in listed.captures_iter(&page).map(|found| found[1].to_owned()) {
        if !["dependencies", "dev-dependencies"].iter().any(|table| manifest[*table].get(&name).is_some()) {
            wrong.push(format!("{name} is in docs/dependencies.md and not in Cargo.toml"));
        }
    }
    check("dependencies and their reasons", wrong);
}

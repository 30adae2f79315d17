//! The table of layers in `src/README.md`, held: a new edge between modules is a change of [`LAYERS`] or [`SIDEWAYS`] in
//! the same commit.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Lowest first. A module may use any layer above its own row in this list, that is: any earlier row.
const LAYERS: [&[&str]; 6] = [
    &["access", "clock", "metrics", "tasks"],
    &["config", "matcher", "lists", "policy"],
    &["listen", "framing", "detect", "dns", "identity", "origin", "tls", "scan", "relay", "store", "accesslog"],
    &["gateway"],
    &["audit", "fleet", "console"],
    &["process", "cli"],
];

/// Edges inside a row.
const SIDEWAYS: [(&str, &str); 8] = [
    ("tasks", "metrics"),
    ("clock", "access"),
    ("lists", "matcher"),
    ("policy", "config"),
    ("policy", "lists"),
    ("policy", "matcher"),
    ("accesslog", "store"),
    ("cli", "process"),
];

fn row(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

fn allowed(from: &str, to: &str) -> bool {
    from == to || row(to) < row(from) || SIDEWAYS.contains(&(from, to))
}

/// The code without comments and without what stands in string literals, so that words in them are no paths.
fn code_of(text: &str) -> String {
    let pattern = r##"(?s)//[^\n]*|/\*.*?\*/|r#".*?"#|r"[^"]*"|"(?:[^"\\]|\\.)*"|'(?:[^'\\\n]|\\.)'"##;
    Regex::new(pattern).expect("a pattern").replace_all(text, " ").into_owned()
}

/// The top-level modules that a file of `module`, `depth` modules below the crate's root, names by path.
fn named_modules(text: &str, depth: usize) -> BTreeSet<String> {
    let code = code_of(text);
    let mut found = BTreeSet::new();
    let starts = Regex::new(r"\b(crate|super(?:\s*::\s*super)*)\s*::\s*(\{|\w+)").expect("a pattern");
    for path in starts.captures_iter(&code) {
        // `super` that climbs less than to the root stays inside the module.
        if &path[1] != "crate" && path[1].matches("super").count() < depth {
            continue;
        }
        let first = path.get(2).expect("a group");
        if first.as_str() == "{" {
            found.extend(grouped(&code[first.end()..]));
        } else {
            found.insert(first.as_str().to_owned());
        }
    }
    found
}

/// The first words inside `{a::b, c::{d, e}, f}`, whose opening brace was read.
fn grouped(code: &str) -> Vec<String> {
    let mut depth = 0;
    let mut words = Vec::new();
    let mut word = String::new();
    let mut first = true;
    for c in code.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                words.push(std::mem::take(&mut word));
                first = true;
            }
            ':' if depth == 0 => first = false,
            c if depth == 0 && first && !c.is_whitespace() => word.push(c),
            _ => {}
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Module and depth of a file relative to `src`: `lists/compile.rs` → (`lists`, 2).
fn place(file: &Path) -> (String, usize) {
    let mut parts: Vec<String> = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let last = parts.pop().expect("a file has a name");
    if last != "mod.rs" {
        parts.push(last.trim_end_matches(".rs").to_owned());
    }
    (parts[0].clone(), parts.len())
}

/// Every edge that the table does not have, as `file: module → module`.
fn violations(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    rust_files(root, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(root).expect("below the root");
        let (module, depth) = place(relative);
        if module == "lib" || module == "main" {
            continue;
        }
        if row(&module).is_none() {
            wrong.push(format!("{}: `{module}` is in no layer", relative.display()));
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("a readable file");
        for other in named_modules(&text, depth) {
            if row(&other).is_some() && !allowed(&module, &other) {
                wrong.push(format!("{}: {module} → {other}", relative.display()));
            }
        }
    }
    wrong
}

#[test]
fn every_edge_between_modules_is_in_the_table() {
    let wrong = violations(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(wrong.is_empty(), "edges that the table of layers does not have:\n{}", wrong.join("\n"));
}

#[test]
fn main_leads_to_the_command_line_only() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    let paths = Regex::new(r"\becluse::(\w+)").unwrap();
    let code = code_of(&text);
    for path in paths.captures_iter(&code) {
        assert_eq!(&path[1], "cli", "main.rs uses {}", &path[0]);
    }
}

#[test]
fn an_edge_is_seen_however_it_is_written() {
    let all = |text: &str, depth: usize| named_modules(text, depth).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(all("use crate::store::Batch;", 1), "store");
    assert_eq!(all("use crate::{access::{Host, HostName}, store::*, relay};", 2), "access relay store");
    assert_eq!(all("fn f() { crate::gateway::run(crate :: tls :: X) }", 1), "gateway tls");
    assert_eq!(all("pub(in crate::lists) use super::super::store::Row;", 2), "lists store");
    assert_eq!(all("use super::store::Row;", 2), "");
    assert_eq!(all("// crate::store\nlet a = \"crate::relay\"; /* crate::tls */ let b = '\"';", 1), "");
    assert_eq!(all("let a = r#\"crate::x\"#; use crate::cli;", 1), "cli");
}

#[test]
fn the_table_allows_what_it_says_and_no_more() {
    for (from, to) in [("gateway", "relay"), ("policy", "lists"), ("accesslog", "store"), ("cli", "audit")] {
        assert!(allowed(from, to), "{from} → {to}");
    }
    for (from, to) in [
        ("relay", "origin"),
        ("store", "accesslog"),
        ("access", "metrics"),
        ("lists", "policy"),
        ("gateway", "audit"),
        ("origin", "gateway"),
        ("process", "cli"),
    ] {
        assert!(!allowed(from, to), "{from} → {to}");
    }
    let all: Vec<_> = LAYERS.concat();
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "a module is in one row");
}

use super::*;

const ENTRY: &str = "entry = \"Hameconnage.example\"\ncategories = [\"phishing\"]\nauthor = \"m.durand\"\n\
                     date = \"2026-11-25T02:40:00Z\"\nreason = \"Signalé\"\n";

fn parsed(text: &str) -> Result<Urgent, String> {
    let lines = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    Urgent::parse(Path::new("urgent.toml"), text).map_err(lines)
}

#[test]
fn every_problem_of_the_file_is_told_with_its_line() {
    for (text, expected) in [
        ("[[add]]\nentry = 1\n", "urgent.toml:1"),
        (&*format!("[[add]]\n{ENTRY}colour = 1\n"), "unknown field `colour`"),
        (&*format!("\n\n[[add]]\n{}", ENTRY.replace("Hameconnage.example", "a b")), "urgent.toml:3: `a b` is no host"),
        (&*format!("[[remove]]\n{}", ENTRY.replace("[\"phishing\"]", "[]")), "there is no category"),
        (&*format!("[[add]]\n{}", ENTRY.replace("m.durand", " ")), "there is no author"),
        (&*format!("[[add]]\n{}", ENTRY.replace("Signalé", "")), "there is no reason"),
        (&*format!("[[add]]\n{}", ENTRY.replace("2026-11-25", "yesterday ")), "is no instant"),
        ("not TOML", "urgent.toml:1"),
    ] {
        let problem = parsed(text).unwrap_err();
        assert!(problem.contains(expected), "{problem}\n{expected}");
    }
    let two = format!("[[add]]\n{0}\n[[remove]]\n{0}", ENTRY.replace("Signalé", ""));
    assert_eq!(parsed(&two).unwrap_err().matches("there is no reason").count(), 2);
}

#[test]
fn an_entry_is_what_people_paste() {
    for (entry, host, path) in [
        ("Phish.example", "phish.example", ""),
        ("https://phish.example/", "phish.example", ""),
        ("http://phish.example:80", "phish.example", ""),
        ("*.phish.example", "phish.example", ""),
        ("10.1.515", "10.1.2.3", ""),
        ("2001:DB8::1", "2001:db8::1", ""),
        ("https://www.phish.example/a/./b/", "phish.example", "/a/b"),
        ("phish.example?q=1", "phish.example", "/?q=1"),
        ("phish.example/#top", "phish.example", "/"),
    ] {
        let text = format!("[[add]]\n{}", ENTRY.replace("Hameconnage.example", entry));
        let entry = &parsed(&text).unwrap().entries[0];
        assert_eq!((&*entry.host, &*entry.path), (host, path));
    }
}

#[test]
fn what_is_written_is_what_is_read() {
    let text = format!(
        "# ours\n[[remove]]\n{ENTRY}[[add]]\n{ENTRY}\n\n[[add]]\n{}",
        ENTRY.replace("Signalé", "\\\"a\\\\b\\\"")
    );
    let urgent = parsed(&text).unwrap();
    assert_eq!(urgent.entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [2, 8, 16]);
    let again = parsed(&urgent.to_text()).unwrap();
    let without_lines = |urgent: &Urgent| -> Vec<UrgentEntry> {
        urgent.entries.iter().map(|entry| UrgentEntry { line: 0, ..entry.clone() }).collect()
    };
    assert_eq!(without_lines(&again), without_lines(&urgent));
    let lines: Vec<String> = again.to_text().lines().map(str::to_owned).collect();
    for entry in &again.entries {
        assert!(lines[entry.line as usize - 1].starts_with("[["), "line {}", entry.line);
    }
}

#[test]
fn more_than_an_overlay_is_for_is_refused() {
    let many = format!("[[add]]\n{ENTRY}").repeat(MAX_ENTRIES + 1);
    assert!(parsed(&many).unwrap_err().contains("10000 are the most"));
}

#[test]
fn the_example_of_the_documentation_is_right() {
    let page = include_str!("../../../docs/lists.md");
    let example = page.split("```toml\n").find(|block| block.starts_with("[[add]]")).unwrap();
    assert_eq!(parsed(example.split("```").next().unwrap()).unwrap().entries.len(), 2);
}

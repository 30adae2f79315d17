use std::fs;

use tempfile::TempDir;

use super::*;

fn asker() -> Asker {
    Asker { account: "principal".into(), uid: 1000, sudo_user: None }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn ask_at(state: &Path, now: Timestamp) -> Question {
    ask(state, now, asker(), "log search", serde_json::json!({"host": "example.fr"}), Some("a case")).unwrap()
}

/// Six lines in two months.
fn trail() -> TempDir {
    let state = TempDir::new().unwrap();
    for now in ["2026-11-30T10:00:00Z", "2026-12-01T10:00:00Z"].map(at) {
        ask_at(state.path(), now).answered(now, 7, true, vec![]).unwrap();
    }
    ask_at(state.path(), at("2026-12-02T10:00:00Z")).refused(at("2026-12-02T10:00:00Z"), "bad filter".into()).unwrap();
    state
}

fn file(state: &TempDir, month: &str) -> PathBuf {
    state.path().join(format!("trail/consultations-{month}.jsonl"))
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let mut lines: Vec<String> = fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    change(&mut lines);
    fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

/// What `verify` says after a change of December's four lines.
fn broken_by(change: impl FnOnce(&mut Vec<String>)) -> String {
    let state = trail();
    rewrite(&file(&state, "2026-12"), change);
    let broken = verify(state.path()).unwrap_err().to_string();
    broken.rsplit_once("consultations-").unwrap().1.to_owned()
}

#[test]
fn a_whole_trail_verifies_and_its_lines_say_who_asked_what() {
    let state = trail();
    let verified = verify(state.path()).unwrap();
    assert_eq!((verified.lines, verified.first, verified.torn), (6, 1, 0));
    let first = fs::read_to_string(file(&state, "2026-11")).unwrap();
    let line: serde_json::Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!(line["event"], "asked");
    assert_eq!(line["account"], "principal");
    assert_eq!(line["filters"]["host"], "example.fr");
    assert_eq!(line["reason"], "a case");
    let answer: Line = serde_json::from_str(first.lines().nth(1).unwrap()).unwrap();
    assert_eq!(answer.event, Event::Answered { question: 1, rows: 7, complete: true, persons: vec![] });
}

#[test]
fn an_altered_line_is_named() {
    let broken = broken_by(|lines| lines[1] = lines[1].replace("\"rows\":7", "\"rows\":1"));
    assert!(broken.starts_with("2026-12.jsonl:3: the line before (number 4) was altered"), "{broken}");
    let broken = broken_by(|lines| lines[1].clear());
    assert!(broken.starts_with("2026-12.jsonl:2: this is no line of a trail"), "{broken}");
}

#[test]
fn a_removed_line_is_named() {
    for removed in 1..=2 {
        let broken = broken_by(|lines| drop(lines.remove(removed)));
        assert!(broken.starts_with(&format!("2026-12.jsonl:{}: the line before", removed + 1)), "{broken}");
    }
    // The first of a month, whose predecessor is in another file.
    let broken = broken_by(|lines| drop(lines.remove(0)));
    assert!(broken.starts_with("2026-12.jsonl:1: the line before (number 2)"), "{broken}");
}

#[test]
fn a_moved_line_is_named() {
    let broken = broken_by(|lines| lines.swap(1, 2));
    assert!(broken.starts_with("2026-12.jsonl:2: the line before (number 3)"), "{broken}");
}

#[test]
fn a_line_added_by_somebody_who_knows_the_chain_is_named_by_its_number() {
    let broken = broken_by(|lines| {
        let previous = chain::hash(lines[3].as_bytes());
        let mut line: serde_json::Value = serde_json::from_str(&lines[3]).unwrap();
        line["previous"] = previous.into();
        lines.push(line.to_string());
    });
    assert!(broken.starts_with("2026-12.jsonl:5: this line has number 6 where 7 follows"), "{broken}");
}

#[test]
fn a_line_torn_by_a_crash_stays_and_the_trail_goes_on() {
    for kept in [0, 1, 40] {
        let state = trail();
        let path = file(&state, "2026-12");
        let text = fs::read(&path).unwrap();
        let last = text[..text.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
        fs::write(&path, &text[..last + kept]).unwrap();
        let torn = u64::from(kept > 0);
        assert_eq!(verify(state.path()).unwrap().torn, torn);
        // In the same month, and in the next one.
        for now in ["2026-12-03T10:00:00Z", "2027-01-03T10:00:00Z"].map(at) {
            ask_at(state.path(), now).answered(now, 0, true, vec![]).unwrap();
            let verified = verify(state.path()).unwrap();
            assert_eq!(verified.torn, torn, "{kept}");
        }
        assert_eq!(verify(state.path()).unwrap().lines, 9 + torn);
    }
}

#[test]
fn a_torn_line_at_the_end_of_a_month_is_followed_in_the_next() {
    let state = trail();
    let path = file(&state, "2026-12");
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len() - 9]).unwrap();
    let now = at("2027-01-03T10:00:00Z");
    ask_at(state.path(), now).answered(now, 0, true, vec![]).unwrap();
    let verified = verify(state.path()).unwrap();
    assert_eq!((verified.lines, verified.torn), (8, 1));
}

#[test]
fn a_deleted_month_is_shown_by_the_first_number() {
    let state = trail();
    fs::remove_file(file(&state, "2026-11")).unwrap();
    let verified = verify(state.path()).unwrap();
    assert_eq!((verified.lines, verified.first), (4, 3));
}

#[test]
fn a_month_of_the_trail_goes_a_year_after_its_end_and_that_is_written_down() {
    let state = trail();
    let months = |now: &str| forget_old(state.path(), at(now)).unwrap();
    assert_eq!(months("2027-11-30T23:59:59Z"), 0, "a line of that month's last day is not a year old");
    assert_eq!(months("2027-12-01T00:00:00Z"), 1);
    assert!(!file(&state, "2026-11").exists() && file(&state, "2026-12").exists());
    let verified = verify(state.path()).unwrap();
    assert_eq!((verified.lines, verified.first), (5, 3));
    let last = fs::read_to_string(file(&state, "2027-12")).unwrap();
    assert!(last.contains("\"forgotten\"") && last.contains("2026-11"), "{last}");
    // What was written down today is the newest: it stays although all others go.
    assert_eq!(months("2029-01-01T00:00:00Z"), 1);
    assert_eq!(verify(state.path()).unwrap().lines, 2);
}

#[test]
fn a_clock_that_goes_back_does_not_go_back_in_the_trail() {
    let state = trail();
    let now = at("2026-11-05T10:00:00Z");
    ask_at(state.path(), now).answered(now, 1, true, vec![]).unwrap();
    assert_eq!(verify(state.path()).unwrap().lines, 8);
    assert_eq!(fs::read_to_string(file(&state, "2026-12")).unwrap().lines().count(), 6);
}

#[test]
fn a_trail_that_cannot_be_written_says_how_to_make_it_so() {
    let state = TempDir::new().unwrap();
    fs::write(state.path().join("trail"), "a file where the directory should be").unwrap();
    let error = ask(state.path(), at("2026-11-30T10:00:00Z"), asker(), "log search", Value::Null, None).unwrap_err();
    assert!(error.to_string().contains("nothing is shown"), "{error}");
}

#[test]
fn askers_at_the_same_time_take_turns() {
    let state = TempDir::new().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let now = at("2026-11-30T10:00:00Z");
                    ask_at(state.path(), now).answered(now, 1, true, vec![]).unwrap();
                }
            });
        }
    });
    assert_eq!(verify(state.path()).unwrap().lines, 80);
}

#[test]
fn a_line_holds_the_longest_question_and_the_most_persons() {
    let state = TempDir::new().unwrap();
    let now = at("2026-11-30T10:00:00Z");
    let text = Some("\u{1}".repeat(100_000));
    let filters = crate::audit::Filters {
        from: text.clone(),
        to: text.clone(),
        host: text.clone(),
        subdomains: true,
        client: text.clone(),
        person: text.clone(),
        device: text.clone(),
        category: text.clone(),
        decision: text.clone(),
        rule: text.clone(),
        reference: text.clone(),
        college: text.clone(),
        stream: text.clone(),
    };
    let filters = serde_json::to_value(filters.for_the_trail()).unwrap();
    let question = ask(state.path(), now, asker(), "log search", filters, text.as_deref()).unwrap();
    question.answered(now, 1, true, vec![Pseudonym([1; 16]); 100_000]).unwrap();
    assert_eq!(verify(state.path()).unwrap().lines, 2);
}

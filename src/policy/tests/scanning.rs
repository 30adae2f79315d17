//! What is scanned, by rule and by type.

use super::*;

const SCAN: &str = r#"
[[rule]]
name = "antivirus"
who = ["eleves"]
all = true
schemes = ["http", "https"]
action = "allow"
duties = ["scan", "scan-uploads"]
"#;

#[test]
fn scanning_is_a_duty_of_the_rule_that_decides() {
    let ruleset = school(SCAN);
    let teacher = access(client("enseignants"), http("http://example.fr/"), MONDAY_10H);
    check(
        &ruleset,
        &[
            (pupil(http("http://example.fr/")), "forward by antivirus +scan +scan-uploads"),
            (teacher, "forward by default"),
        ],
    );
}

#[test]
fn what_makes_no_sense_to_scan_is_told() {
    let problem = |rule: &str| build(&format!("{SCHOOL}[[rule]]\nname = \"a\"\nall = true\n{rule}"), "").unwrap_err();
    for (rule, words) in [
        ("action = \"refuse\"\nduties = [\"scan\"]", "what is refused is not scanned"),
        ("action = \"allow\"\nduties = [\"help-line\", \"scan-uploads\"]", "nobody looks into"),
        ("action = \"allow\"\nduties = [\"scann\"]", "no duty"),
    ] {
        assert!(problem(rule).to_string().contains(words), "{rule}: {}", problem(rule));
    }
    let table = |table: &str| build(&SCHOOL.replacen("[", &format!("{table}\n["), 1), "");
    assert_eq!(table("[scan]\ntypes = [\"video/*\"]\nmax_bytes = 5\n").unwrap().scan().max_bytes, 5);
    for (text, words) in
        [("[scan]\ntypes = [\"zip\"]\n", "`zip` is no type"), ("[scan]\nmax_bytes = 0\n", "0 is not between")]
    {
        assert!(table(text).unwrap_err().to_string().contains(words), "{text}");
    }
}

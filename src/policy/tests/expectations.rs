//! The expectations of a policy, tried.

use super::*;

const RULES: &str = r#"
[[rule]]
name = "jeux"
who = ["eleves"]
when = ["journee"]
categories = ["games"]
action = "refuse"
"#;

fn failures(expectations: &str) -> Vec<String> {
    let people = "address,person,groups\n10.131.0.9,a.martin,enseignants\n";
    let ruleset =
        build(&format!("{SCHOOL}{RULES}{expectations}"), people).unwrap_or_else(|problems| panic!("{problems}"));
    ruleset.check_expectations().into_iter().map(|problem| problem.what).collect()
}

fn case(lines: &str) -> String {
    format!("[[expect]]\n{lines}\n")
}

#[test]
fn a_case_that_holds_is_silent() {
    let at = "at = \"2026-11-23T10:00:00+01:00\"";
    let cases = [
        format!("who = \"eleves\"\nurl = \"https://games.example/\"\n{at}\ndecision = \"refuse\"\nrule = \"jeux\""),
        format!(
            "who = \"eleves\"\nurl = \"http://games.example/\"\n{at}\ndecision = \"refuse\"\ncategory = \"games\"\nlist = \"t/games\""
        ),
        format!(
            "person = \"a.martin\"\nurl = \"https://games.example/\"\n{at}\ndecision = \"allow\"\nrule = \"default\""
        ),
        format!("client = \"10.131.0.9\"\nurl = \"https://games.example/\"\n{at}\ndecision = \"allow\""),
        format!(
            "client = \"10.131.0.8\"\nconnect = \"example.fr:443\"\nsni = \"games.example\"\n{at}\ndecision = \"refuse\""
        ),
        "who = \"eleves\"\nurl = \"https://games.example/\"\nat = 2026-11-22T10:00:00+01:00\ndecision = \"allow\""
            .to_owned(),
        "who = \"enseignants\"\nurl = \"https://games.example/\"\ndecision = \"allow\"".to_owned(),
    ];
    assert_eq!(failures(&cases.map(|lines| case(&lines)).concat()), [""; 0]);
}

#[test]
fn a_case_that_does_not_hold_says_what_is() {
    let at = "at = \"2026-11-23T10:00:00+01:00\"";
    let pupil = format!("who = \"eleves\"\nurl = \"https://games.example/\"\n{at}\n");
    for (lines, expected) in [
        ("decision = \"allow\"", "expected allow, is refused by the rule `jeux`, category `games` (Monday 10:00)"),
        ("decision = \"refuse\"\nrule = \"default\"", "expected the rule `default`, is `jeux` (Monday 10:00)"),
        ("decision = \"refuse\"\nlist = \"t/adult\"", "expected the list `t/adult`, is `t/games` (Monday 10:00)"),
        ("decision = \"refuse\"\ncategory = \"adult\"", "expected the category `adult`, is `games` (Monday 10:00)"),
    ] {
        assert_eq!(
            failures(&case(&format!("{pupil}{lines}"))),
            [format!("eleves → https://games.example/: {expected}")]
        );
    }
}

#[test]
fn a_case_without_a_time_must_hold_at_all_times() {
    let lines = "who = \"eleves\"\nurl = \"https://games.example/\"\ndecision = \"refuse\"";
    let found = failures(&case(lines));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("is allowed by the rule `default` (Monday 00:00)"), "{found:?}");
    let lines = "who = \"eleves\"\nurl = \"https://games.example/\"\ndecision = \"allow\"";
    assert!(failures(&case(lines))[0].contains("(Monday 08:00)"));
}

#[test]
fn a_case_that_makes_no_sense_is_a_problem_of_the_policy() {
    for (lines, expected) in [
        ("url = \"http://a.fr/\"\ndecision = \"allow\"", "a case needs exactly one client"),
        (
            "who = \"eleves\"\nclient = \"10.0.0.1\"\nurl = \"http://a.fr/\"\ndecision = \"allow\"",
            "a case needs exactly one client",
        ),
        ("who = \"elves\"\nurl = \"http://a.fr/\"\ndecision = \"allow\"", "there is no group `elves`"),
        ("person = \"x\"\nurl = \"http://a.fr/\"\ndecision = \"allow\"", "people.csv does not name this person"),
        ("client = \"x\"\nurl = \"http://a.fr/\"\ndecision = \"allow\"", "`x` is no address"),
        ("who = \"eleves\"\ndecision = \"allow\"", "a case needs exactly one target"),
        ("who = \"eleves\"\nurl = \"a.fr\"\ndecision = \"allow\"", "`a.fr` has no scheme: write http:// or https://"),
        ("who = \"eleves\"\nurl = \"http://a.fr/\"\nsni = \"b.fr\"\ndecision = \"allow\"", "this goes with `connect`"),
        ("who = \"eleves\"\nurl = \"http://a.fr/\"", "nothing is expected"),
        ("who = \"eleves\"\nurl = \"http://a.fr/\"\ndecision = \"deny\"", "`deny` is no decision"),
        ("who = \"eleves\"\nurl = \"http://a.fr/\"\ndecision = \"allow\"\nrule = \"jeu\"", "there is no rule `jeu`"),
        (
            "who = \"eleves\"\nurl = \"http://a.fr/\"\ndecision = \"allow\"\ncategory = \"x\"",
            "there is no category `x`",
        ),
        ("who = \"eleves\"\nurl = \"http://a.fr/\"\ndecision = \"allow\"\nat = \"10:00\"", "this is no instant"),
        ("who = \"eleves\"\nconnect = \"a.fr:99999\"\ndecision = \"allow\"", "`99999` is no port"),
    ] {
        let problems = build(&format!("{SCHOOL}{}", case(lines)), "").expect_err(lines).0;
        let found: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(found, [expected], "{lines}");
    }
}

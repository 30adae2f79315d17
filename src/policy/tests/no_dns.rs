//! Rules about flows that go round our DNS.

use super::*;

const RULES: &str = r#"
[[rule]]
name = "sans-dns"
who = ["eleves"]
no_dns = true
action = "refuse"
"#;

fn round(target: Target) -> Target {
    Target { no_dns: true, ..target }
}

#[test]
fn what_goes_round_our_dns_is_refused_where_a_rule_says_so_whatever_its_name() {
    let ruleset = school(RULES);
    for (who, target, expected) in [
        ("eleves", round(tls("example.fr:443")), "refuse by sans-dns"),
        ("eleves", round(with_sni(tls("192.0.2.1:443"), "example.fr")), "refuse by sans-dns"),
        ("eleves", round(http("http://example.fr/")), "refuse by sans-dns"),
        ("eleves", tls("example.fr:443"), "tunnel by default"),
        ("eleves", http("http://example.fr/"), "forward by default"),
        ("enseignants", round(tls("example.fr:443")), "tunnel by default"),
    ] {
        let access = access(client(who), target, MONDAY_10H);
        assert_eq!(answer(&ruleset, &access), expected, "{who}");
    }
}

#[test]
fn it_narrows_what_a_rule_names_and_is_known_before_the_first_bytes() {
    let narrow = "[[rule]]\nname = \"a\"\ncategories = [\"games\"]\nno_dns = true\naction = \"refuse\"\n";
    let ruleset = school(narrow);
    check(
        &ruleset,
        &[
            (pupil(round(tls("games.example:443"))), "refuse by a (games, t/games)"),
            (pupil(tls("games.example:443")), "tunnel by default"),
            (pupil(round(tls("example.fr:443"))), "tunnel by default"),
        ],
    );
    let unseen = |no_dns: bool| {
        let target = Target { protocol: Protocol::Unseen, no_dns, ..tls("games.example:443") };
        matches!(ruleset.decide_connection(&pupil(target)).action, ConnectionAction::Proceed)
    };
    assert!(unseen(false) && !unseen(true));
}

#[test]
fn who_asks_our_dns_is_answered() {
    let ruleset = school(RULES);
    let asked = pupil(Target::name(HostName::parse("example.fr").unwrap()));
    assert!(matches!(ruleset.decide_name(&asked).action, NameAction::Answer(_)));
}

#[test]
fn an_expectation_may_say_it() {
    let case = |more: &str| {
        let text = format!("{SCHOOL}{RULES}[[expect]]\nwho = \"eleves\"\n{more}");
        match build(&text, "") {
            Ok(ruleset) => ruleset.check_expectations().iter().map(|problem| problem.what.clone()).collect(),
            Err(problems) => problems.0.iter().map(|problem| problem.what.clone()).collect::<Vec<_>>(),
        }
    };
    let refused = "decision = \"refuse\"\nrule = \"sans-dns\"\n";
    assert!(case(&format!("url = \"https://example.fr/\"\nno_dns = true\n{refused}")).is_empty());
    assert!(case(&format!("url = \"http://example.fr/\"\nno_dns = true\n{refused}")).is_empty());
    assert!(case("url = \"https://example.fr/\"\ndecision = \"allow\"\n").is_empty());
    let wrong = case("connect = \"example.fr:443\"\nno_dns = true\ndecision = \"allow\"\n");
    assert!(wrong[0].contains("expected allow, is refused"), "{wrong:?}");
}

#[test]
fn a_rule_says_true_or_nothing_and_never_shadows_what_is_wider() {
    let problems = |text: &str| match build(&format!("{SCHOOL}{text}"), "") {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(|problem| problem.what.clone()).collect::<Vec<_>>(),
    };
    assert_eq!(problems(&RULES.replace("true", "false")), ["`no_dns = false` narrows nothing"]);
    let wider = "[[rule]]\nname = \"jeux\"\nwho = [\"eleves\"]\ncategories = [\"games\"]\naction = \"refuse\"\n";
    assert!(problems(&format!("{RULES}{wider}")).is_empty());
    let narrower = wider.replace("action", "no_dns = true\naction");
    let found = problems(&format!("{RULES}{narrower}"));
    assert_eq!(found, ["rule `jeux` is never reached: `sans-dns` decides everything before it"]);
}

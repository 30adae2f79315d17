//! Rules about encrypted ClientHellos: refused where their keys are known, and judged by the outer name where not.

use super::*;
use crate::access::Ech;

const RULES: &str = r#"
[[rule]]
name = "noms-caches"
who = ["eleves"]
ech = ["real"]
action = "refuse"
"#;

fn hello(host: &str, ech: Option<Ech>) -> Target {
    Target { ech, ..tls(host) }
}

#[test]
fn what_hides_a_name_is_refused_where_a_rule_says_so_and_grease_is_not() {
    let ruleset = school(RULES);
    for (who, ech, expected) in [
        ("eleves", Some(Ech::Real), "refuse by noms-caches"),
        ("eleves", Some(Ech::Unknown), "tunnel by default"),
        ("eleves", None, "tunnel by default"),
        ("enseignants", Some(Ech::Real), "tunnel by default"),
    ] {
        let access = access(client(who), hello("example.fr:443", ech), MONDAY_10H);
        assert_eq!(answer(&ruleset, &access), expected, "{who} {ech:?}");
    }
}

#[test]
fn without_a_rule_the_outer_name_is_judged() {
    let ruleset = school("[[rule]]\nname = \"jeux\"\ncategories = [\"games\"]\naction = \"refuse\"\n");
    for ech in [None, Some(Ech::Unknown), Some(Ech::Real)] {
        check(
            &ruleset,
            &[
                (pupil(hello("games.example:443", ech)), "refuse by jeux (games, t/games)"),
                (pupil(with_sni(hello("example.fr:443", ech), "games.example")), "refuse by jeux (games, t/games)"),
                (pupil(hello("example.fr:443", ech)), "tunnel by default"),
            ],
        );
    }
}

#[test]
fn before_the_first_bytes_such_a_rule_refuses_nobody_and_an_allowing_one_holds_back() {
    let unseen = |ruleset: &Ruleset| {
        let target = Target { protocol: Protocol::Unseen, ..tls("games.example:443") };
        matches!(ruleset.decide_connection(&pupil(target)).action, ConnectionAction::Proceed)
    };
    assert!(unseen(&school(RULES)));
    let holding = "[[rule]]\nname = \"a\"\nech = [\"unknown\"]\naction = \"allow\"\n\
                   [[rule]]\nname = \"jeux\"\ncategories = [\"games\"]\naction = \"refuse\"\n";
    let ruleset = school(holding);
    assert!(unseen(&ruleset));
    assert_eq!(answer(&ruleset, &pupil(hello("games.example:443", None))), "refuse by jeux (games, t/games)");
}

#[test]
fn requests_in_clear_have_none() {
    let ruleset = school(RULES);
    assert_eq!(answer(&ruleset, &pupil(http("http://example.fr/"))), "forward by default");
}

#[test]
fn an_expectation_may_name_it() {
    let case = |more: &str| {
        let text = format!("{SCHOOL}{RULES}[[expect]]\nwho = \"eleves\"\n{more}");
        match build(&text, "") {
            Ok(ruleset) => ruleset.check_expectations().iter().map(|problem| problem.what.clone()).collect(),
            Err(problems) => problems.0.iter().map(|problem| problem.what.clone()).collect::<Vec<_>>(),
        }
    };
    assert!(case("url = \"https://example.fr/\"\nech = \"real\"\ndecision = \"refuse\"\n").is_empty());
    assert!(case("connect = \"example.fr:443\"\nech = \"unknown\"\ndecision = \"allow\"\n").is_empty());
    let wrong = case("connect = \"example.fr:443\"\nech = \"unknown\"\ndecision = \"refuse\"\n");
    assert!(wrong[0].contains("expected refuse, is allowed"), "{wrong:?}");
    for (more, expected) in [
        ("url = \"http://example.fr/\"\nech = \"real\"\ndecision = \"allow\"\n", "no ClientHello comes there"),
        (
            "connect = \"example.fr:22\"\nprotocol = \"ssh\"\nech = \"real\"\ndecision = \"allow\"\n",
            "no ClientHello comes there",
        ),
        (
            "connect = \"example.fr:443\"\nech = \"grease\"\ndecision = \"allow\"\n",
            "there is no encrypted ClientHello `grease`",
        ),
    ] {
        assert_eq!(case(more), [expected], "{more}");
    }
}

#[test]
fn the_public_names_of_the_policy_stand_beside_the_known_ones() {
    let known = |ruleset: &Ruleset, name: &str| ruleset.is_ech_public_name(&HostName::parse(name).unwrap());
    let own = build(&format!("ech_public_names = [\"Front.example\"]\n{SCHOOL}"), "").unwrap();
    assert!(known(&own, "front.example") && known(&own, "cloudflare-ech.com"));
    assert!(!known(&own, "www.front.example"), "that very name");
    assert!(!known(&school(""), "front.example"));
    let problems = build(&format!("ech_public_names = [\"192.0.2.1\"]\n{SCHOOL}"), "").unwrap_err().0;
    assert!(problems[0].what.starts_with("`192.0.2.1` is no host name"), "{}", problems[0].what);
}

//! What is opened, and what never is.

use super::*;

const INSPECT: &str = r#"
[[rule]]
name = "jeux"
categories = ["games"]
who = ["eleves"]
action = "refuse"
[[rule]]
name = "ouvrir"
who = ["eleves"]
all = true
ports = [443]
action = "allow"
duties = ["inspect"]
[[rule]]
name = "video"
urls = ["video.example/no"]
action = "refuse"
[[rule]]
name = "presse"
categories = ["press"]
action = "allow"
duties = ["never-inspect"]
"#;

#[test]
fn tls_of_a_group_is_opened_where_its_rule_says_so_and_a_shield_holds_wherever_it_stands() {
    let ruleset = school(INSPECT);
    let teacher = |target: Target| access(client("enseignants"), target, MONDAY_10H);
    let with = |target: Target, protocol: Protocol| Target { protocol, ..target };
    let at_port = |target: Target, port: u16| Target { port, ..target };
    check(
        &ruleset,
        &[
            (pupil(tls("example.fr")), "inspect by ouvrir +inspect"),
            (teacher(tls("example.fr")), "tunnel by default"),
            (pupil(tls("games.example")), "refuse by jeux (games, t/games)"),
            // The shield stands behind the rule that opens.
            (pupil(tls("press.example")), "tunnel by ouvrir +never-inspect"),
            (pupil(with_sni(tls("example.fr"), "press.example")), "tunnel by ouvrir +never-inspect"),
            (pupil(with_sni(tls("press.example"), "example.fr")), "tunnel by ouvrir +never-inspect"),
            (pupil(with_sni(tls("example.fr"), "games.example")), "refuse by jeux (games, t/games)"),
            (pupil(at_port(tls("example.fr"), 993)), "tunnel by default"),
            (pupil(with(tls("example.fr"), Protocol::Ssh)), "tunnel by ouvrir"),
            (pupil(with(tls("example.fr"), Protocol::Dot)), "tunnel by ouvrir"),
        ],
    );
}

#[test]
fn what_is_to_be_opened_does_not_come_by_quic_even_where_quic_may_pass() {
    let rules = INSPECT.replace("all = true\nports = [443]\n", "all = true\n");
    let text = format!("{SCHOOL}{rules}").replace("[groups.eleves]\n", "[groups.eleves]\nhttp3 = true\n");
    assert!(text.contains("http3 = true"));
    let ruleset = build(&text, "").unwrap();
    let quic = |name: &str| pupil(Target { protocol: Protocol::Quic, ..tls(name) });
    assert_eq!(answer(&ruleset, &quic("example.fr")), "refuse by gateway-quic");
    let closed = build(&text.replace("duties = [\"inspect\"]\n", ""), "").unwrap();
    assert_eq!(answer(&closed, &quic("example.fr")), "tunnel by ouvrir");
}

#[test]
fn what_cannot_be_opened_passes_or_is_refused_as_the_rule_says() {
    let instead = |duty: &str| {
        let ruleset = school(&INSPECT.replace("\"inspect\"", &format!("\"{duty}\"")));
        match ruleset.decide_flow(&pupil(tls("example.fr"))).action {
            FlowAction::Inspect(permit) => permit.tunnel_instead().is_some(),
            other => panic!("{other:?}"),
        }
    };
    assert!(instead("inspect") && !instead("inspect-or-refuse"));
}

#[test]
fn what_is_refused_or_never_to_be_opened_cannot_be_written_as_to_be_opened() {
    let problem = |rule: &str| build(&format!("{SCHOOL}[[rule]]\nname = \"a\"\nall = true\n{rule}"), "").unwrap_err();
    for (rule, words) in [
        ("action = \"refuse\"\nduties = [\"inspect\"]", "what is refused is not opened"),
        ("action = \"allow\"\nduties = [\"inspect\", \"never-inspect\"]", "never to be opened"),
        ("action = \"allow\"\nduties = [\"help-line\", \"inspect-or-refuse\"]", "never to be opened"),
        ("action = \"allow\"\nduties = [\"inspekt\"]", "no duty"),
    ] {
        assert!(problem(rule).to_string().contains(words), "{rule}: {}", problem(rule));
    }
}

//! Rules about protocols: per group, per port, by family, and by what is left.

use super::*;

/// "TLS only on 443 for pupils", "no VPN for anybody", and a family with one taken away.
const RULES: &str = r#"
[[rule]]
name = "tor"
protocols = ["tor"]
action = "refuse"
[[rule]]
name = "tls-seulement"
who = ["eleves"]
ports = [443]
protocols = ["!tls"]
action = "refuse"
[[rule]]
name = "vpn"
protocols = ["vpn", "!ike"]
action = "refuse"
[[rule]]
name = "bureau"
who = ["eleves"]
protocols = ["remote-desktop", "ssh"]
action = "refuse"
"#;

fn spoken(who: &str, port: u16, protocol: Protocol) -> Access {
    let target = target_of_connect(&format!("example.fr:{port}"), protocol, None).unwrap();
    access(client(who), target, MONDAY_10H)
}

#[test]
fn protocols_are_judged_per_group_and_per_port() {
    let ruleset = school(RULES);
    for (who, port, protocol, expected) in [
        ("eleves", 443, Protocol::Tls, "tunnel by default"),
        ("eleves", 443, Protocol::Dot, "tunnel by default"),
        ("eleves", 443, Protocol::Tor, "refuse by tor"),
        ("eleves", 443, Protocol::Other, "refuse by tls-seulement"),
        ("eleves", 443, Protocol::Silent, "refuse by tls-seulement"),
        ("eleves", 443, Protocol::Ssh, "refuse by tls-seulement"),
        ("eleves", 22, Protocol::Ssh, "refuse by bureau"),
        ("eleves", 5900, Protocol::Vnc, "refuse by bureau"),
        ("eleves", 8443, Protocol::Other, "tunnel by default"),
        ("eleves", 1194, Protocol::OpenVpn, "refuse by vpn"),
        ("enseignants", 443, Protocol::WireGuard, "refuse by vpn"),
        ("enseignants", 443, Protocol::Ike, "tunnel by default"),
        ("enseignants", 443, Protocol::Ssh, "tunnel by default"),
        ("enseignants", 9001, Protocol::Tor, "refuse by tor"),
    ] {
        assert_eq!(answer(&ruleset, &spoken(who, port, protocol)), expected, "{who} {port} {protocol}");
    }
}

#[test]
fn what_stands_behind_an_exclamation_mark_covers_every_protocol_there_is() {
    let ruleset = school("[[rule]]\nname = \"web\"\nprotocols = [\"!web\", \"!silent\"]\naction = \"refuse\"\n");
    let mut passed = Vec::new();
    for &protocol in Protocol::ALL.iter().filter(|protocol| **protocol != Protocol::Unseen) {
        if answer(&ruleset, &spoken("eleves", 443, protocol)) != "refuse by web" {
            passed.push(protocol.as_str());
        }
    }
    assert_eq!(passed, ["http", "http2", "websocket", "tls", "quic", "silent"]);
    // What was never looked at is not what was taken away.
    let unseen = spoken("eleves", 443, Protocol::Unseen);
    assert!(matches!(ruleset.decide_flow(&unseen).action, FlowAction::Refuse));
}

#[test]
fn before_the_first_bytes_a_rule_about_protocols_refuses_nobody() {
    let ruleset = school(RULES);
    let unseen = spoken("eleves", 443, Protocol::Unseen);
    assert!(matches!(ruleset.decide_connection(&unseen).action, ConnectionAction::Proceed));
    let mut unseen = unseen;
    unseen.target.address = Some([192, 0, 2, 9].into());
    assert!(matches!(ruleset.decide_address(&unseen).action, AddressAction::Dial(_)));
}

#[test]
fn a_request_is_judged_by_what_it_speaks() {
    let ruleset = school("[[rule]]\nname = \"ws\"\nprotocols = [\"websocket\"]\naction = \"refuse\"\n");
    let mut page = pupil(http("http://example.fr/chat"));
    assert_eq!(answer(&ruleset, &page), "forward by default");
    page.target.protocol = Protocol::WebSocket;
    assert_eq!(answer(&ruleset, &page), "refuse by ws");
}

#[test]
fn an_expectation_says_protocol_and_port() {
    let failures = |lines: &str| -> Vec<String> {
        let ruleset = school(&format!("{RULES}[[expect]]\nwho = \"eleves\"\n{lines}\n"));
        ruleset.check_expectations().into_iter().map(|problem| problem.what).collect()
    };
    let holds = "connect = \"example.fr:443\"\nprotocol = \"ssh\"\ndecision = \"refuse\"\nrule = \"tls-seulement\"";
    assert_eq!(failures(holds), [""; 0]);
    let socket = "url = \"http://example.fr/chat\"\nprotocol = \"websocket\"\ndecision = \"allow\"";
    assert_eq!(failures(socket), [""; 0]);
    let wrong = failures("connect = \"example.fr:1194\"\nprotocol = \"openvpn\"\ndecision = \"allow\"");
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].starts_with("eleves → example.fr:1194 (openvpn): expected allow, is refused by the rule `vpn`"));
}

#[test]
fn words_that_mean_nothing_are_problems() {
    for (protocols, expected) in [
        ("\"sssh\"", "there is no protocol `sssh` (did you mean `ssh`?)"),
        ("\"!vpns\"", "there is no protocol `vpns` (did you mean `vpn`?)"),
        ("\"tor\", \"!tls\"", "this leaves no protocol"),
        ("\"mail\", \"mail\"", "`mail` stands here twice"),
    ] {
        let rule = format!("{SCHOOL}[[rule]]\nname = \"r\"\nprotocols = [{protocols}]\naction = \"refuse\"\n");
        let problems = build(&rule, "").expect_err("a problem");
        assert_eq!(problems.0.len(), 1, "{problems}");
        let said = format!("{} ({})", problems.0[0].what, problems.0[0].help);
        assert!(said.starts_with(expected), "{said}");
    }
    for target in
        ["url = \"http://example.fr/\"\nprotocol = \"ssh\"", "url = \"https://example.fr/\"\nprotocol = \"ssh\""]
    {
        let case = format!("{SCHOOL}{RULES}[[expect]]\nwho = \"eleves\"\n{target}\ndecision = \"allow\"\n");
        let problems = build(&case, "").expect_err("a problem");
        assert!(problems.0[0].what.starts_with("`ssh` goes with `connect`"), "{problems}");
    }
}

#[test]
fn quic_passes_only_for_groups_that_may_speak_it_and_by_rules_all_the_same() {
    let text = format!("{SCHOOL}{RULES}").replace("[groups.enseignants]\n", "[groups.enseignants]\nhttp3 = true\n");
    let ruleset = build(&text, "").unwrap();
    for (who, port, protocol, expected) in [
        ("eleves", 8443, Protocol::Quic, "refuse by gateway-quic"),
        ("eleves", 443, Protocol::Quic, "refuse by tls-seulement"),
        ("eleves", 8443, Protocol::Tls, "tunnel by default"),
        ("enseignants", 443, Protocol::Quic, "tunnel by default"),
    ] {
        let access = spoken(who, port, protocol);
        assert_eq!(answer(&ruleset, &access), expected, "{who} {port} {protocol}");
        // And `explain` says so.
        assert_eq!(ruleset.explain(&access).rule.as_str(), expected.rsplit(' ').next().unwrap());
    }
    let refused = "[[rule]]\nname = \"sans-quic\"\nprotocols = [\"quic\"]\naction = \"refuse\"\n";
    let ruleset = build(&format!("{text}{refused}"), "").unwrap();
    assert_eq!(answer(&ruleset, &spoken("enseignants", 443, Protocol::Quic)), "refuse by sans-quic");
}

//! Decisions, case by case.

use proptest::prelude::*;

use super::*;
use crate::access::{CategoryName, ListName, PersonName};

const RULES: &str = r#"
[[rule]]
name = "ecoute"
label = "Lignes d'écoute"
categories = ["help-line"]
action = "allow"
duties = ["help-line", "never-inspect"]
[[rule]]
name = "permis"
hosts = ["ok.games.example"]
action = "allow"
duties = ["keep-path"]
[[rule]]
name = "adulte"
label = "Contenus pour adultes"
label_en = "Adult content"
who = ["eleves"]
categories = ["adult"]
action = "refuse"
[[rule]]
name = "jeux"
who = ["eleves"]
when = ["journee"]
lists = ["t/games"]
action = "refuse"
[[rule]]
name = "virus"
categories = ["malware"]
action = "refuse"
"#;

#[test]
fn the_first_rule_that_matches_decides() {
    let ruleset = school(RULES);
    let teacher = |target| access(client("enseignants"), target, MONDAY_10H);
    let sunday = |target| access(client("eleves"), target, "2026-11-22T10:00:00+01:00");
    check(
        &ruleset,
        &[
            (pupil(tls("www.adult.example")), "refuse by adulte (adult, t/adult)"),
            (pupil(http("http://adult.example/a?b")), "refuse by adulte (adult, t/adult)"),
            (teacher(tls("www.adult.example")), "tunnel by default"),
            (pupil(tls("games.example")), "refuse by jeux (games, t/games)"),
            (sunday(tls("games.example")), "tunnel by default"),
            (pupil(tls("ok.games.example")), "tunnel by permis +keep-path"),
            (pupil(tls("very.ok.games.example")), "tunnel by permis +keep-path"),
            (pupil(tls("nok.games.example")), "refuse by jeux (games, t/games)"),
            (pupil(tls("both.example")), "refuse by adulte (adult, t/adult)"),
            (sunday(tls("both.example")), "refuse by adulte (adult, t/adult)"),
            (teacher(tls("both.example")), "tunnel by default"),
            (pupil(tls("119.example")), "tunnel by ecoute (help-line, t/help) +help-line +never-inspect"),
            (pupil(tls("press.example")), "tunnel by default"),
            (pupil(http("http://mixed.example/adult/x")), "refuse by adulte (adult, t/adult-urls)"),
            (pupil(http("http://mixed.example/other")), "forward by default"),
            (pupil(http("http://198.51.100.9/")), "refuse by virus (malware, t/malware)"),
        ],
    );
}

#[test]
fn a_refusal_names_the_line_of_the_list_or_of_the_policy() {
    let ruleset =
        school(&format!("{RULES}[[rule]]\nname = \"hote\"\nhosts = [\"*.refuse.example\"]\naction = \"refuse\"\n"));
    let reason = ruleset.decide_connection(&pupil(tls("a.both.example"))).reason;
    assert_eq!(reason.category, Some(CategoryName::from("adult")));
    assert_eq!(reason.list, Some(ListName::from("t/adult")));
    let entry = reason.entry.unwrap();
    assert_eq!((entry.text.as_str(), entry.line), ("both.example", 2));
    assert_eq!(reason.version, *ruleset.version());

    let reason = ruleset.decide_connection(&pupil(tls("a.refuse.example"))).reason;
    assert_eq!((reason.category, reason.list), (None, None));
    let entry = reason.entry.unwrap();
    assert_eq!((entry.text.as_str(), entry.file.as_str()), ("*.refuse.example", "policy.toml"));
    let line = format!("{SCHOOL}{RULES}").lines().count() as u32 + 3;
    assert_eq!(entry.line, line);
}

#[test]
fn a_host_covers_its_subdomains_and_a_starred_one_only_them() {
    let ruleset = school(
        "[[rule]]\nname = \"plein\"\nhosts = [\"plein.example\"]\naction = \"refuse\"\n\
         [[rule]]\nname = \"dessous\"\nhosts = [\"*.dessous.example\"]\naction = \"refuse\"\n",
    );
    for (host, expected) in [
        ("plein.example", "refuse by plein"),
        ("a.b.plein.example", "refuse by plein"),
        ("notplein.example", "tunnel by default"),
        ("dessous.example", "tunnel by default"),
        ("a.dessous.example", "refuse by dessous"),
        ("example", "tunnel by default"),
    ] {
        assert_eq!(answer(&ruleset, &pupil(tls(host))), expected, "{host}");
    }
}

#[test]
fn a_url_of_a_rule_covers_whole_segments() {
    let ruleset = school("[[rule]]\nname = \"u\"\nurls = [\"https://site.example/A/b\"]\naction = \"refuse\"\n");
    for (url, expected) in [
        ("http://site.example/a/b", "refuse by u"),
        ("http://www.site.example/a//./b/c", "refuse by u"),
        ("http://site.example/a/%62?q", "refuse by u"),
        ("http://site.example/a/bc", "forward by default"),
        ("http://site.example/", "forward by default"),
        ("http://mysite.example/a/b", "forward by default"),
        // The path of a tunnel is not seen.
        ("https://site.example/a/b", "tunnel by default"),
    ] {
        assert_eq!(answer(&ruleset, &pupil(http(url))), expected, "{url}");
    }
}

#[test]
fn two_names_are_both_judged_and_the_stricter_answer_wins() {
    let ruleset = school(RULES);
    check(
        &ruleset,
        &[
            (pupil(with_sni(tls("example.fr"), "adult.example")), "refuse by adulte (adult, t/adult)"),
            (pupil(with_sni(tls("adult.example"), "example.fr")), "refuse by adulte (adult, t/adult)"),
            (pupil(with_sni(tls("119.example"), "adult.example")), "refuse by adulte (adult, t/adult)"),
            (pupil(with_sni(tls("198.51.100.1"), "119.example")), "refuse by virus (malware, t/malware)"),
            (pupil(with_sni(tls("example.fr"), "example.com")), "tunnel by default"),
        ],
    );
}

#[test]
fn nobody_hides_a_second_name_behind_a_help_line() {
    let ruleset = school(RULES);
    let hidden = ruleset.decide_flow(&pupil(with_sni(tls("119.example"), "example.fr")));
    assert_eq!(hidden.duties, Duties { never_inspect: true, ..Duties::default() });
    let swapped = ruleset.decide_flow(&pupil(with_sni(tls("example.fr"), "119.example")));
    assert_eq!(swapped.duties, Duties { never_inspect: true, ..Duties::default() });
    let both = ruleset.decide_flow(&pupil(with_sni(tls("a.119.example"), "119.example")));
    assert!(both.duties.help_line && both.duties.never_inspect);
}

#[test]
fn a_resolved_address_refuses_a_name_and_never_allows_it() {
    let ruleset = school(&format!(
        "{RULES}[[rule]]\nname = \"presse\"\ncategories = [\"press\"]\naction = \"allow\"\n\
         [[rule]]\nname = \"reste\"\nall = true\nwho = [\"enseignants\"]\naction = \"refuse\"\n"
    ));
    let teacher = |target| access(client("enseignants"), target, MONDAY_10H);
    check(
        &ruleset,
        &[
            (pupil(at_address(tls("example.fr"), "198.51.100.1")), "refuse by virus (malware, t/malware)"),
            (pupil(at_address(tls("example.fr"), "203.0.113.7")), "refuse by virus (malware, t/malware)"),
            (pupil(at_address(tls("example.fr"), "203.0.113.8")), "tunnel by default"),
            // An earlier rule has allowed the name.
            (
                pupil(at_address(tls("119.example"), "198.51.100.1")),
                "tunnel by ecoute (help-line, t/help) +help-line +never-inspect",
            ),
            // 192.0.2.1 is of the press: the name that leads there isn't; asked for as such, it is.
            (teacher(at_address(tls("example.fr"), "192.0.2.1")), "refuse by reste"),
            (teacher(tls("192.0.2.1")), "tunnel by presse (press, t/press-net)"),
            (teacher(at_address(tls("192.0.2.1"), "192.0.2.1")), "tunnel by presse (press, t/press-net)"),
        ],
    );
    let refused = ruleset.decide_address(&pupil(at_address(tls("example.fr"), "203.0.113.7")));
    assert!(matches!(refused.action, AddressAction::Refuse));
    assert_eq!(refused.reason.entry.unwrap().line, 2);
}

#[test]
fn an_early_answer_refuses_only_what_a_later_one_would() {
    let ruleset = school(
        "[[rule]]\nname = \"interne\"\naddresses = [\"10.1.0.0/16\"]\naction = \"allow\"\n\
         [[rule]]\nname = \"ssh\"\nports = [22]\nprotocols = [\"other\"]\naction = \"allow\"\n\
         [[rule]]\nname = \"ports\"\nschemes = [\"tunnel\"]\nports = [\"1-442\", \"444-65535\"]\naction = \"refuse\"\n\
         [[rule]]\nname = \"adulte\"\ncategories = [\"adult\"]\naction = \"refuse\"\n\
         [[rule]]\nname = \"inconnu\"\nprotocols = [\"other\", \"silent\"]\naction = \"refuse\"\n",
    );
    let unseen = |host: &str| target_of_connect(host, Protocol::Unseen, None).unwrap();
    // The address may still be an internal one: nothing is refused before it is known.
    let early = ruleset.decide_connection(&pupil(unseen("adult.example")));
    assert!(matches!(early.action, ConnectionAction::Proceed));
    assert_eq!(early.reason.rule.as_str(), "interne");
    let known = |host: &str, address: &str| pupil(at_address(unseen(host), address));
    assert!(matches!(ruleset.decide_address(&known("adult.example", "10.1.2.3")).action, AddressAction::Dial(_)));
    assert!(matches!(ruleset.decide_address(&known("adult.example", "192.0.2.9")).action, AddressAction::Refuse));
    // An address asked for as such is known from the start.
    assert!(matches!(ruleset.decide_connection(&pupil(unseen("192.0.2.9:25"))).action, ConnectionAction::Refuse));
    // Port 22 waits for the protocol, port 23 does not.
    assert!(matches!(ruleset.decide_address(&known("h.example:22", "192.0.2.9")).action, AddressAction::Dial(_)));
    assert!(matches!(ruleset.decide_address(&known("h.example:23", "192.0.2.9")).action, AddressAction::Refuse));
    let mut flow = known("h.example:22", "192.0.2.9");
    flow.target.protocol = Protocol::Other;
    assert_eq!(ruleset.decide_flow(&flow).reason.rule.as_str(), "ssh");
    flow.target.protocol = Protocol::Tls;
    assert!(matches!(ruleset.decide_flow(&flow).action, FlowAction::Refuse));
    // A rule that might refuse holds nothing back.
    let web = known("h.example:443", "192.0.2.9");
    assert!(matches!(ruleset.decide_address(&web).action, AddressAction::Dial(_)));
    let mut silent = web;
    silent.target.protocol = Protocol::Silent;
    assert_eq!(answer(&ruleset, &silent), "refuse by inconnu");
}

#[test]
fn what_might_be_a_help_line_is_treated_as_one_until_it_is_known() {
    let ruleset = school(
        "[[rule]]\nname = \"ecoute\"\ncategories = [\"help-line\"]\nprotocols = [\"tls\"]\naction = \"allow\"\nduties = [\"help-line\"]\n",
    );
    let unseen = target_of_connect("119.example:443", Protocol::Unseen, None).unwrap();
    assert!(ruleset.decide_address(&pupil(at_address(unseen.clone(), "192.0.2.9"))).duties.help_line);
    let other = Target { protocol: Protocol::Other, ..unseen };
    assert!(!ruleset.decide_flow(&pupil(other)).duties.help_line);
}

#[test]
fn a_rule_that_only_logs_lets_pass_and_is_named() {
    let logged = RULES.replace("categories = [\"adult\"]", "categories = [\"adult\"]\nduties = [\"log-only\"]");
    let ruleset = school(&logged);
    check(
        &ruleset,
        &[
            (pupil(tls("adult.example")), "tunnel by adulte (adult, t/adult) +log-only"),
            // A later rule refuses for good.
            (pupil(tls("both.example")), "refuse by jeux (games, t/games)"),
            (pupil(tls("example.fr")), "tunnel by default"),
        ],
    );
    let reason = ruleset.decide_flow(&pupil(tls("adult.example"))).reason;
    assert_eq!(reason.entry.unwrap().text, "adult.example", "what would have been refused is told whole");
}

#[test]
fn schedules_of_a_rule_hold_together() {
    let rule =
        |when: &str| school(&format!("[[rule]]\nname = \"r\"\nall = true\nwhen = {when}\naction = \"refuse\"\n"));
    let (day, outside) = (rule("[\"journee\"]"), rule("[\"!journee\"]"));
    let (either, mixed) = (rule("[\"journee\", \"nuit\"]"), rule("[\"!journee\", \"!nuit\"]"));
    for (at, expected) in [
        ("2026-11-23T10:00:00+01:00", [true, false, true, false]),
        ("2026-11-23T19:00:00+01:00", [false, true, false, true]),
        ("2026-11-23T23:00:00+01:00", [false, true, true, false]),
        ("2026-11-25T10:00:00+01:00", [false, true, false, true]),
        ("2026-03-30T07:59:59+02:00", [false, true, false, true]),
        ("2026-03-30T08:00:00+02:00", [true, false, true, false]),
    ] {
        let refused = [&day, &outside, &either, &mixed].map(|ruleset| {
            let asked = access(client("eleves"), tls("example.fr"), at);
            matches!(ruleset.decide_connection(&asked).action, ConnectionAction::Refuse)
        });
        assert_eq!(refused, expected, "{at}");
    }
}

#[test]
fn a_client_is_in_the_groups_of_its_person_else_of_its_network_else_in_the_default() {
    let people = "address,person,groups\n10.131.0.9,a.martin,enseignants\n10.131.0.10,p.dupont,eleves\n10.5.0.0/16,,enseignants\n";
    let ruleset = build(&format!("{SCHOOL}{RULES}"), people).unwrap();
    let groups = |client: &Client| -> Vec<String> {
        ruleset.groups_of(client).iter().map(|group| group.name.to_string()).collect()
    };
    for (address, expected) in [
        ("10.131.0.1", "eleves"),
        ("10.131.0.9", "enseignants"),
        ("10.131.0.10", "eleves"),
        ("10.132.0.1", "enseignants"),
        ("10.5.0.1", "enseignants"),
        ("192.0.2.1", "eleves"),
        ("fd00::1", "eleves"),
    ] {
        assert_eq!(groups(&Client::unknown(address.parse().unwrap(), 1)), [expected], "{address}");
    }
    let (person, written) = ruleset.people().occupant("10.131.0.9".parse().unwrap()).unwrap();
    assert_eq!((person, written), (&PersonName::from("a.martin"), &[GroupName::from("enseignants")][..]));
    let unheard_of = Client { groups: vec!["autres".into()], ..Client::unknown([10, 132, 0, 1].into(), 1) };
    assert_eq!(groups(&unheard_of), ["enseignants"]);
    let mut both = client("eleves");
    both.groups.push("enseignants".into());
    assert_eq!(groups(&both), ["eleves", "enseignants"]);
}

#[test]
fn permits_come_with_the_last_answers_only() {
    let ruleset = school(RULES);
    let request = pupil(http("http://example.fr/"));
    assert!(matches!(ruleset.decide_request(&request).action, RequestAction::Proceed));
    assert!(matches!(ruleset.decide_send(&request).action, SendAction::Forward(_)));
    assert!(matches!(ruleset.decide_flow(&pupil(tls("example.fr"))).action, FlowAction::Tunnel(_)));
    assert!(matches!(ruleset.decide_send(&pupil(http("http://adult.example/"))).action, SendAction::Refuse));
    assert!(matches!(ruleset.decide_flow(&pupil(tls("adult.example"))).action, FlowAction::Refuse));
}

#[test]
fn what_no_rule_decides_is_the_default() {
    let strict = SCHOOL.replace("default = \"allow\"", "default = \"refuse\"");
    let ruleset = build(&format!("{strict}{RULES}"), "").unwrap();
    assert_eq!(answer(&ruleset, &pupil(tls("example.fr"))), "refuse by default");
    assert_eq!(answer(&ruleset, &pupil(tls("ok.games.example"))), "tunnel by permis +keep-path");
}

#[test]
fn the_version_changes_with_policy_people_and_lists() {
    let version = |policy: &str, people: &str| build(policy, people).unwrap().version().to_string();
    let policy = format!("{SCHOOL}{RULES}");
    let first = version(&policy, "");
    assert_eq!(first.len(), 12);
    assert_eq!(first, version(&policy, ""));
    assert_ne!(first, version(&format!("{policy}# a word\n"), ""));
    assert_ne!(first, version(&policy, "address,person,groups\n10.0.0.1,a,eleves\n"));
    let files = (Path::new("policy.toml"), Path::new("people.csv"));
    let without = SCHOOL.to_owned();
    let no_lists = Ruleset::from_texts((files.0, &without), (files.1, ""), Arc::new(Image::empty())).unwrap();
    assert_ne!(no_lists.version().to_string(), version(&without, ""));
}

#[test]
fn pages_can_tell_what_is_filtered_and_what_never_is() {
    let ruleset = school(RULES);
    let refused = |group: &str| -> Vec<&str> {
        ruleset.refused_categories(&group.into()).iter().map(|r| r.category.label(Language::English)).collect()
    };
    assert_eq!(refused("eleves"), ["adult content", "malware"]);
    assert_eq!(refused("enseignants"), ["malware"]);
    let always: Vec<&str> = ruleset.always_reachable().iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(always, ["ecoute", "permis"]);
    assert_eq!(ruleset.rule_label(&"adulte".into(), Language::French), "Contenus pour adultes");
    assert_eq!(ruleset.rule_label(&"adulte".into(), Language::English), "Adult content");
    assert_eq!(ruleset.rule_label(&"jeux".into(), Language::English), "jeux");
    assert_eq!(ruleset.category_label(&"press".into(), Language::English), "presse");
    assert_eq!(ruleset.category_label(&"unheard".into(), Language::English), "unheard");
    assert!(!ruleset.category(&"odd".into()).unwrap().forbids, "a category that only lists carry refuses nobody");
    assert_eq!(ruleset.notes().len(), 1);
}

#[test]
fn pages_can_tell_when_a_category_is_refused() {
    let rule = |name: &str, when: &str, who: &str| {
        format!("[[rule]]\nname = \"{name}\"\nwho = [{who}]\ncategories = [\"games\"]\naction = \"refuse\"\n{when}\n")
    };
    let hours = |rules: &str, group: &str| -> Vec<String> {
        let ruleset = school(rules);
        let refused = ruleset.refused_categories(&group.into());
        let hours = refused.iter().flat_map(|r| &r.hours);
        hours
            .map(|h| format!("{} {}-{} {}", h.days.len(), h.from, h.to, if h.outside { "outside" } else { "within" }))
            .collect()
    };
    let by_day = rule("jour", "when = [\"journee\"]", "\"eleves\"");
    assert_eq!(hours(&by_day, "eleves"), ["4 08:00:00-18:00:00 within"]);
    let by_night = rule("nuit", "when = [\"nuit\"]", "\"eleves\"");
    assert_eq!(
        hours(&(by_day.clone() + &by_night), "eleves"),
        ["4 08:00:00-18:00:00 within", "7 21:00:00-07:00:00 within"]
    );
    let always = rule("toujours", "", "\"eleves\"");
    assert!(hours(&(by_day.clone() + &always), "eleves").is_empty(), "always is always");
    assert!(hours(&by_day, "enseignants").is_empty());
}

#[test]
fn an_explanation_weighs_every_rule_up_to_the_one_that_decides() {
    let explanation = school(RULES).explain(&pupil(tls("games.example")));
    let considered: Vec<String> = explanation.considered.iter().map(|c| format!("{}: {}", c.rule, c.verdict)).collect();
    assert_eq!(
        considered,
        [
            "ecoute: does not cover the target",
            "permis: does not cover the target",
            "adulte: does not cover the target",
            "jeux: decides",
        ]
    );
    assert_eq!(explanation.stage, "connection");
    let json = serde_json::to_value(&explanation).unwrap();
    for key in [
        "action",
        "duties",
        "stage",
        "rule",
        "category",
        "list",
        "entry",
        "line",
        "source_date",
        "rules_version",
        "considered",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    assert_eq!(json["entry"], "games.example");
}

fn any_access() -> impl Strategy<Value = Access> {
    let hosts =
        ["adult.example", "games.example", "119.example", "both.example", "example.fr", "198.51.100.3", "192.0.2.1"];
    let groups = ["eleves", "enseignants", "", "autres"];
    let protocols = [Protocol::Unseen, Protocol::Tls, Protocol::Other, Protocol::Silent];
    let addresses = [None, Some("198.51.100.1"), Some("192.0.2.1"), Some("2001:db8::1")];
    (
        (prop::sample::select(hosts.to_vec()), prop::option::of(prop::sample::select(hosts[..5].to_vec()))),
        (
            prop::sample::select(groups.to_vec()),
            prop::sample::select(protocols.to_vec()),
            prop::sample::select(addresses.to_vec()),
        ),
        (1u16.., any::<bool>(), 0i64..604_800_000_000),
    )
        .prop_map(|((host, sni), (group, protocol, address), (port, tunnel, after))| {
            let mut target = if tunnel {
                target_of_connect(&format!("{host}:{port}"), protocol, sni.map(|sni| HostName::parse(sni).unwrap()))
                    .unwrap()
            } else {
                target_of_url(&format!("http://{host}:{port}/a/b?c")).unwrap()
            };
            target.address = address.map(|address| address.parse().unwrap());
            let mut access = access(client(group), target, MONDAY_10H);
            access.start = Timestamp::from_micros(access.start.as_micros() + after);
            access
        })
}

/// Reason and duties of every stage, as text.
fn everything(ruleset: &Ruleset, access: &Access) -> String {
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        ruleset.decide_connection(access),
        ruleset.decide_request(access),
        ruleset.decide_address(access),
        ruleset.decide_flow(access),
        ruleset.decide_send(access)
    )
}

proptest! {
    #[test]
    fn policy_is_a_function(accesses in prop::collection::vec(any_access(), 1..8)) {
        let (one, other) = (school(RULES), school(RULES));
        let first: Vec<String> = accesses.iter().map(|access| everything(&one, access)).collect();
        // Asked again in another order, and of another snapshot of the same texts.
        for (access, expected) in accesses.iter().zip(&first).rev() {
            prop_assert_eq!(&everything(&one, access), expected);
            prop_assert_eq!(&everything(&other, access), expected);
        }
    }

    #[test]
    fn whatever_is_refused_early_is_refused_at_last(access in any_access()) {
        let ruleset = school(RULES);
        if matches!(ruleset.decide_connection(&access).action, ConnectionAction::Refuse) {
            let mut known = access.clone();
            known.target.protocol = Protocol::Tls;
            known.target.address.get_or_insert([192, 0, 2, 77].into());
            prop_assert!(matches!(ruleset.decide_address(&known).action, AddressAction::Refuse));
            prop_assert!(matches!(ruleset.decide_flow(&known).action, FlowAction::Refuse));
        }
    }
}

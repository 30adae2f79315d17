//! Broken policies: every problem at once, each with its place.

use super::*;

/// Message and help of every problem; rules come after the school's groups, categories and schedules.
fn problems(rules: &str) -> Vec<String> {
    let problems = build(&format!("{SCHOOL}{rules}"), "").expect_err("the policy has problems").0;
    problems.into_iter().map(|p| if p.help.is_empty() { p.what } else { format!("{} ({})", p.what, p.help) }).collect()
}

#[test]
fn every_problem_of_a_policy_is_told_at_once() {
    let found = problems(
        "[[rule]]\nname = \"a\"\nwho = [\"elves\"]\nwhen = [\"journé\"]\ncategories = [\"adlut\", \"press\"]\n\
         lists = [\"t/adlt\"]\nhosts = [\"exa mple.fr\", \"10.0.0.1\"]\nprotocols = [\"htp\"]\nschemes = [\"ftp\"]\n\
         ports = [0, \"9-8\"]\naction = \"refuse\"\nduties = [\"help-line\", \"keep-paths\"]\nlabels = \"x\"\n\
         [[rule]]\nname = \"b\"\nwho = []\nwhen = []\nhosts = []\nurls = [\"\"]\naddresses = [\"10.0.0.1/8\"]\naction = \"deny\"\n",
    );
    assert_eq!(
        found,
        [
            "there is no group `elves` (did you mean `eleves`?)",
            "there is no schedule `journé` (did you mean `journee`?)",
            "there is no category `adlut` (did you mean `adult`?)",
            "category `press` does not forbid: being in it is no reason to refuse (if it should be one, set forbids = true in [categories.press])",
            "there is no list `t/adlt` (did you mean `t/adult`?)",
            "`exa mple.fr` is no host: the host contains a character that no host name has (a name such as \"example.fr\" (covers its subdomains) or \"*.example.fr\" (only those))",
            "`10.0.0.1` is an address (write it under `addresses`: [\"10.0.0.1\"])",
            "there is no protocol `htp` (did you mean `ftp`?)",
            "there is no scheme `ftp` (one of: http, https, tunnel)",
            "this is no port (as in 443 or \"8000-8100\")",
            "this is no port (as in 443 or \"8000-8100\")",
            "a help-line can't be refused (action = \"allow\")",
            "`keep-paths` is no duty (did you mean `keep-path`?)",
            "unknown key `labels` (did you mean `label`?)",
            "this rule is for nobody (leave `who` out for everybody)",
            "this rule holds at no time (leave `when` out for always)",
            "an empty array (leave the key out, or name something)",
            "`` is no host: the host is empty (as in \"example.fr/folder\": the host and the path's beginning)",
            "`10.0.0.1/8` is an address inside a network (the network is \"10.0.0.0/8\")",
            "`deny` is no action (\"allow\" or \"refuse\")",
        ]
    );
}

#[test]
fn one_rule_wrong_in_one_way_has_one_problem() {
    for (rule, expected) in [
        ("name = \"default\"\nall = true\naction = \"allow\"", "`default` is no name for a rule"),
        ("all = true\naction = \"allow\"", "a rule without name"),
        ("name = \"r\"\nall = true", "a rule without action"),
        ("name = \"r\"\naction = \"allow\"", "this rule does not say what it is about"),
        ("name = \"r\"\nall = true\nhosts = [\"a.fr\"]\naction = \"allow\"", "`all` beside names"),
        ("name = \"r\"\nhosts = [\"a.fr\", \"a.fr\"]\naction = \"allow\"", "`a.fr` stands here twice"),
        ("name = \"r\"\nall = true\naction = \"allow\"\nduties = [\"log-only\"]", "log-only on a rule that allows"),
        (
            "name = \"r\"\nall = true\naction = \"allow\"\nduties = [\"help-line\", \"keep-path\"]",
            "a help-line keeps no path",
        ),
        (
            "name = \"r\"\nall = true\naction = \"allow\"\nwhen = [\"nuit\", \"!nuit\"]",
            "inside and outside of the same schedule",
        ),
        ("name = \"r\"\nall = true\naction = \"allow\"\nlabel = \"\"", "the label is empty"),
        ("name = \"r\"\nall = true\naction = \"allow\"\nprotocols = [\"unseen\"]", "there is no protocol `unseen`"),
    ] {
        let found = problems(&format!("[[rule]]\n{rule}\n"));
        assert_eq!(found.len(), 1, "{rule}: {found:?}");
        assert!(found[0].starts_with(expected), "{rule}: {found:?}");
    }
}

#[test]
fn the_frame_of_a_policy_is_checked() {
    let build = |policy: &str| -> Vec<String> {
        let problems = build(policy, "").expect_err("the policy has problems").0;
        problems.into_iter().map(|problem| problem.what).collect()
    };
    assert_eq!(build(""), ["the policy has no `default`", "no group is the default"]);
    let frame = "default = \"allow\"\n[groups.a]\ndefault = true\n";
    for (more, expected) in [
        ("[groups.b]\ndefault = true\n", "a second default group"),
        ("[groups.\"*\"]\n", "`*` is no name for a group"),
        ("networks = [\"10.0.0.0/8\", \"10.0.0.0/8\"]\n", "`10.0.0.0/8` stands here twice"),
        ("[categories.x]\nlabel = \"x\"\n", "category `x` does not say whether it forbids"),
        ("[schedules.s]\nfrom = \"8h\"\nto = \"18:00\"\n", "`8h` is no time of day"),
        ("[schedules.s]\nfrom = \"08:00\"\n", "this schedule has no `to`"),
        ("[schedules.s]\nfrom = \"08:00\"\nto = \"08:00\"\n", "this schedule has no beginning or no end"),
        ("[schedules.s]\ndays = [\"lun\"]\nfrom = \"08:00\"\nto = \"09:00\"\n", "`lun` is no day"),
        ("[schedules.s]\ndays = []\nfrom = \"08:00\"\nto = \"09:00\"\n", "a schedule of no day"),
    ] {
        assert_eq!(build(&format!("{frame}{more}")), [expected], "{more}");
    }
    assert_eq!(build(&format!("time_zone = \"Europe/Marseille\"\n{frame}")), ["`Europe/Marseille` is no time zone"]);
}

#[test]
fn problems_of_policy_and_people_are_told_together() {
    let problems = build(&format!("{SCHOOL}[[rule]]\nname = \"r\"\n"), "address,person,groups\nx,y,z\n").unwrap_err().0;
    let files: Vec<&str> = problems.iter().map(|problem| problem.file.to_str().unwrap()).collect();
    assert_eq!(files, ["policy.toml", "policy.toml", "people.csv", "people.csv"][..files.len()]);
    assert!(problems.iter().all(|p| p.file != Path::new("people.csv") || p.excerpt.is_none()), "no person is shown");
}

#[test]
fn a_rule_that_can_never_decide_is_told() {
    let first = "[[rule]]\nname = \"first\"\n";
    for (earlier, later, unreachable) in [
        ("all = true\naction = \"allow\"", "hosts = [\"a.fr\"]\naction = \"refuse\"", true),
        ("all = true\naction = \"refuse\"\nduties = [\"log-only\"]", "hosts = [\"a.fr\"]\naction = \"refuse\"", false),
        ("all = true\nwho = [\"eleves\"]\naction = \"allow\"", "hosts = [\"a.fr\"]\naction = \"refuse\"", false),
        ("all = true\naction = \"allow\"", "who = [\"eleves\"]\nhosts = [\"a.fr\"]\naction = \"refuse\"", true),
        ("all = true\nwhen = [\"nuit\"]\naction = \"allow\"", "hosts = [\"a.fr\"]\naction = \"refuse\"", false),
        (
            "all = true\nwhen = [\"nuit\"]\naction = \"allow\"",
            "when = [\"nuit\"]\nhosts = [\"a.fr\"]\naction = \"refuse\"",
            true,
        ),
        ("ports = [443]\naction = \"allow\"", "ports = [443]\nhosts = [\"a.fr\"]\naction = \"refuse\"", true),
        ("ports = [443]\naction = \"allow\"", "ports = [\"443-444\"]\nhosts = [\"a.fr\"]\naction = \"refuse\"", false),
        ("hosts = [\"a.fr\"]\naction = \"allow\"", "hosts = [\"www.a.fr\"]\naction = \"refuse\"", true),
        ("hosts = [\"*.a.fr\"]\naction = \"allow\"", "hosts = [\"a.fr\"]\naction = \"refuse\"", false),
        ("hosts = [\"*.a.fr\"]\naction = \"allow\"", "hosts = [\"*.a.fr\"]\naction = \"refuse\"", true),
        ("hosts = [\"a.fr\"]\naction = \"allow\"", "urls = [\"www.a.fr/x\"]\naction = \"refuse\"", true),
        ("hosts = [\"a.fr\"]\naction = \"allow\"", "hosts = [\"a.fr\", \"b.fr\"]\naction = \"refuse\"", false),
        ("categories = [\"adult\"]\naction = \"refuse\"", "lists = [\"t/adult\"]\naction = \"refuse\"", true),
        ("lists = [\"t/adult\"]\naction = \"refuse\"", "categories = [\"adult\"]\naction = \"refuse\"", false),
        // By the address resolved, only a refusal matches.
        ("categories = [\"malware\"]\naction = \"allow\"", "categories = [\"malware\"]\naction = \"refuse\"", false),
        (
            "addresses = [\"10.0.0.0/8\"]\naction = \"allow\"",
            "addresses = [\"10.1.0.0/16\"]\naction = \"refuse\"",
            true,
        ),
        ("protocols = [\"tls\"]\naction = \"allow\"", "protocols = [\"tls\", \"other\"]\naction = \"refuse\"", false),
    ] {
        let rules = format!("{SCHOOL}{first}{earlier}\n[[rule]]\nname = \"second\"\n{later}\n");
        let problems = build(&rules, "").err().map_or_else(Vec::new, |problems| problems.0);
        let found: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
        let expected = "rule `second` is never reached: `first` decides everything before it";
        assert_eq!(found, if unreachable { vec![expected] } else { vec![] }, "{earlier} / {later}");
    }
}

#[test]
fn two_rules_of_one_name_are_a_problem() {
    let rule = "[[rule]]\nname = \"r\"\nhosts = [\"HOST\"]\naction = \"allow\"\n";
    let found = problems(&format!("{}{}", rule.replace("HOST", "a.fr"), rule.replace("HOST", "b.fr")));
    assert_eq!(found, ["a second rule `r` (reasons and rows name rules: each needs its own)"]);
}

#[test]
fn a_list_still_to_be_downloaded_is_a_note() {
    let ruleset = school("[[rule]]\nname = \"r\"\nlists = [\"ut1/adult\"]\naction = \"refuse\"\n");
    let notes: Vec<&str> = ruleset.notes().iter().map(|note| note.what.as_str()).collect();
    assert_eq!(notes, ["lists carry categories that the policy does not declare: odd", "there is no list `ut1/adult`"]);
    assert_eq!(answer(&ruleset, &pupil(tls("adult.example"))), "tunnel by default");
}

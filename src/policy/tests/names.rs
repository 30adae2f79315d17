//! What is decided when nothing but a name is known, and what a group's names are answered with.

use super::*;

fn asked(ruleset: &Ruleset, group: &str, name: &str) -> String {
    let target = Target::name(HostName::parse(name).unwrap());
    let decision = ruleset.decide_name(&access(client(group), target, MONDAY_10H));
    match decision.action {
        NameAction::Refuse => format!("refuse by {}", decision.reason.rule),
        NameAction::Answer(_) => format!("answer by {}", decision.reason.rule),
    }
}

#[test]
fn a_name_is_refused_where_every_access_to_it_would_be() {
    let page = "[[rule]]\nname = \"page\"\nurls = [\"half.example/lesson\"]\naction = \"allow\"\n";
    let refusals = "[[rule]]\nname = \"courriel\"\nall = true\nports = [25]\naction = \"refuse\"\n\
         [[rule]]\nname = \"tunnels\"\nhosts = [\"tunnel.example\"]\nschemes = [\"tunnel\"]\naction = \"refuse\"\n\
         [[rule]]\nname = \"inconnu\"\nprotocols = [\"other\"]\naction = \"refuse\"\n\
         [[rule]]\nname = \"sans-nom\"\nhost_sources = [\"address\"]\naction = \"refuse\"\n\
         [[rule]]\nname = \"fermes\"\nhosts = [\"half.example\", \"whole.example\"]\naction = \"refuse\"\n\
         [[rule]]\nname = \"adulte\"\nwho = [\"eleves\"]\ncategories = [\"adult\"]\naction = \"refuse\"\n";
    let ruleset = school(&format!(
        "[[rule]]\nname = \"aide\"\ncategories = [\"help-line\"]\naction = \"allow\"\nduties = [\"help-line\"]\n\
         {page}\
         [[rule]]\nname = \"machine\"\nhosts = [\"by-address.example\"]\naddresses = [\"192.0.2.9\"]\nports = [443]\naction = \"allow\"\n\
         {refusals}",
    ));
    for (group, name, expected) in [
        ("eleves", "119.example", "answer by aide"),
        ("eleves", "adult.example", "answer by machine"),
        ("eleves", "free.example", "answer by machine"),
    ] {
        assert_eq!(asked(&ruleset, group, name), expected, "{name}: an address may still be the allowed one");
    }
    let ruleset = school(&format!("{page}{refusals}"));
    for (group, name, expected) in [
        ("eleves", "adult.example", "refuse by adulte"),
        ("enseignants", "adult.example", "answer by default"),
        ("eleves", "www.whole.example", "refuse by fermes"),
        // A page of it may be allowed, a port or a protocol of it refused: the name is answered.
        ("eleves", "half.example", "answer by page"),
        ("eleves", "tunnel.example", "answer by default"),
        ("eleves", "free.example", "answer by default"),
        // One page of it is listed, not the site.
        ("eleves", "mixed.example", "answer by default"),
    ] {
        assert_eq!(asked(&ruleset, group, name), expected, "{name}");
    }
}

#[test]
fn an_address_alone_can_be_refused_and_one_that_our_dns_gave_is_not_alone() {
    let ruleset = school("[[rule]]\nname = \"sans-nom\"\nhost_sources = [\"address\"]\naction = \"refuse\"\n");
    let given = |mut target: Target| {
        target.host_source = crate::access::HostSource::Dns;
        target
    };
    check(
        &ruleset,
        &[
            (pupil(http("http://192.0.2.1/")), "refuse by sans-nom"),
            (pupil(given(http("http://192.0.2.1/"))), "forward by default"),
            (pupil(http("http://free.example/")), "forward by default"),
            (pupil(tls("192.0.2.1")), "refuse by sans-nom"),
            (pupil(given(tls("192.0.2.1"))), "tunnel by default"),
        ],
    );
    // The first bytes of a tunnel may hold a name: nothing is refused before.
    let unseen = target_of_connect("192.0.2.1", Protocol::Unseen, None).unwrap();
    assert!(matches!(ruleset.decide_connection(&pupil(unseen)).action, ConnectionAction::Proceed));
}

#[test]
fn of_several_groups_the_strictest_counts() {
    let policy =
        SCHOOL.replace("[groups.eleves]\n", "[groups.eleves]\nyoutube = \"moderate\"\nhttp3 = false\n").replace(
            "[groups.enseignants]\n",
            "[groups.enseignants]\nsafe_search = true\nyoutube = \"strict\"\nhttp3 = true\n",
        );
    let ruleset = build(&policy, "").unwrap();
    let limits = |groups: &[&str]| {
        let groups = groups.iter().map(|group| GroupName::from(*group)).collect();
        ruleset.name_limits(&Client { groups, ..client("") })
    };
    let pupils = NameLimits { safe_search: false, youtube: Youtube::Moderate, without_h3: true, quic: false };
    let teachers = NameLimits { safe_search: true, youtube: Youtube::Strict, without_h3: false, quic: true };
    assert_eq!((limits(&["eleves"]), limits(&["enseignants"])), (pupils, teachers));
    let both = NameLimits { safe_search: true, youtube: Youtube::Strict, without_h3: true, quic: false };
    assert_eq!(limits(&["enseignants", "eleves"]), both);
    assert_eq!(school("").name_limits(&client("eleves")), NameLimits::default());
    let wrong = SCHOOL.replace("[groups.eleves]\n", "[groups.eleves]\nyoutube = \"none\"\n");
    assert!(build(&wrong, "").unwrap_err().to_string().contains("none of: free, moderate, strict"));
}

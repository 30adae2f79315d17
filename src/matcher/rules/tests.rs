use super::*;
use crate::access::HostName;

fn set(lines: &str) -> RuleSet {
    let line = |(i, text): (usize, &str)| Expression { text: text.to_owned(), list: 0, line: i as u32 + 1 };
    RuleSet::new(lines.lines().enumerate().map(line).collect(), Seed::nth(0))
}

/// The lines that refuse, or the exception.
fn judged(set: &RuleSet, url: &str, page: &str, kind: &str) -> String {
    let text = format!("{SCHEME}{url}");
    let host = url.split(['/', '?']).next().unwrap();
    let context = Context { page: HostName::parse(page).ok(), kind: RequestKind::named(kind) };
    let request = Request::new(&text, host, &context, Seed::nth(0)).unwrap();
    let mut lines = Vec::new();
    set.refusals(&request, true, |line, _| lines.push(line.line));
    lines.sort_unstable();
    match set.exception(&request, true) {
        Some(exception) if !lines.is_empty() => format!("{lines:?} but {}", exception.line),
        _ => format!("{lines:?}"),
    }
}

#[test]
fn a_rule_holds_where_its_conditions_are_known_to() {
    let set = set(
        "||ads.example.fr/x$third-party\n/banner.\n*$script,domain=a.fr|~b.a.fr\n||c.fr^$image\n||d.fr/doc^$document\n/p^$denyallow=e.fr,domain=a.fr",
    );
    for (url, page, kind, expected) in [
        ("www.ads.example.fr/x/y", "other.fr", "", "[1]"),
        ("www.ads.example.fr/x/y", "www.example.fr", "", "[]"),
        ("www.ads.example.fr/x/y", "", "", "[]"),
        ("www.ads.example.fr/y", "other.fr", "", "[]"),
        ("x.fr/banner.gif", "", "", "[2]"),
        ("x.fr/banner.gif", "", "document", "[]"),
        ("x.fr/banner.gif?/banner.", "", "image", "[2]"),
        ("x.fr/y.js", "www.a.fr", "script", "[3]"),
        ("x.fr/y.js", "b.a.fr", "script", "[]"),
        ("x.fr/y.js", "www.a.fr", "", "[]"),
        ("x.fr/y.js", "", "script", "[]"),
        ("c.fr/", "x.fr", "image", "[4]"),
        ("c.fr/", "x.fr", "font", "[]"),
        ("d.fr/doc/", "", "", "[5]"),
        ("d.fr/doc/", "", "image", "[]"),
        ("x.fr/p/", "a.fr", "image", "[6]"),
        ("e.fr/p/", "a.fr", "image", "[]"),
    ] {
        assert_eq!(judged(&set, url, page, kind), expected, "{url} {page} {kind}");
    }
}

#[test]
fn an_exception_and_a_revocation_take_rules_back() {
    let set = set("/ads/\n@@||good.fr^$third-party\n/tracker.\n/tracker.$badfilter\n@@/ads/fine.$domain=p.fr");
    assert_eq!(judged(&set, "x.fr/ads/1", "", ""), "[1]");
    assert_eq!(judged(&set, "good.fr/ads/1", "other.fr", ""), "[1] but 2");
    assert_eq!(judged(&set, "good.fr/ads/1", "www.good.fr", ""), "[1]");
    // What is not known speaks for an exception.
    assert_eq!(judged(&set, "good.fr/ads/1", "", ""), "[1] but 2");
    assert_eq!(judged(&set, "x.fr/ads/fine.js", "p.fr", ""), "[1] but 5");
    assert_eq!(judged(&set, "x.fr/tracker.js", "", ""), "[]");
}

#[test]
fn a_rule_of_a_host_is_found_by_what_stands_behind_a_star() {
    let set =
        set("||a.fr^*/banner/\n||b.fr/x/*-pixel^$third-party\n@@||a.fr/*/banner/$domain=p.fr\n||www.c.*/y*/hidden/");
    for (url, page, expected) in [
        ("www.a.fr/1/banner/", "", "[1] but 3"),
        ("www.a.fr/1/banner/", "x.fr", "[1]"),
        ("www.a.fr/1/banner/", "www.p.fr", "[1] but 3"),
        ("a.fr/banner/", "x.fr", "[]"),
        ("a.fr/?/banner/", "x.fr", "[1]"),
        ("aa.fr/1/banner/", "x.fr", "[]"),
        ("b.a.fr.x/1/banner/", "x.fr", "[]"),
        ("b.fr/x/1-pixel?2", "x.fr", "[2]"),
        ("b.fr/x/1-pixel?2", "w.b.fr", "[]"),
        ("b.fr/y/x/1-pixel?2", "x.fr", "[]"),
    ] {
        assert_eq!(judged(&set, url, page, "image"), expected, "{url} {page}");
    }
}

#[test]
fn a_page_is_named_in_any_suffix_by_all_its_labels() {
    let set = set("*$image,domain=www.shop.*|b.*");
    for (page, expected) in [
        ("www.shop.fr", "[1]"),
        ("m.www.shop.co.uk", "[1]"),
        ("shop.fr", "[]"),
        ("b.fr", "[1]"),
        ("c.b.fr", "[1]"),
        ("b.c.d.fr", "[]"),
    ] {
        assert_eq!(judged(&set, "x.fr/y", page, "image"), expected, "{page}");
    }
}

#[test]
fn an_expression_runs_on_the_whole_url() {
    let set = set(r"/^https?:\/\/[a-z]{3}\.fr\/[0-9]+\.js/$script");
    assert_eq!(judged(&set, "abc.fr/123.js", "", "script"), "[1]");
    assert_eq!(judged(&set, "abcd.fr/123.js", "", "script"), "[]");
}

proptest::proptest! {
    #[test]
    fn the_index_hides_no_rule(
        lines in proptest::collection::vec("(@@)?(\\|\\||\\|)?[ab]{0,3}[/.^*]{1,2}[abc]{1,4}[/^.*]?(\\$(third-party|script|domain=a\\.b|image,domain=~b\\.b))?", 1..12),
        url in "[ab]{1,2}(\\.[abc]{1,3}){1,2}/[abc/.]{0,12}",
        page in "|[ab]\\.b",
        kind in "|script|image",
    ) {
        let text = format!("{SCHEME}{url}");
        let host = url.split('/').next().unwrap();
        let context = Context { page: HostName::parse(&page).ok(), kind: RequestKind::named(&kind) };
        let request = Request::new(&text, host, &context, Seed::nth(0)).unwrap();
        let set = set(&lines.join("\n"));
        let mut expected: Vec<u32> = set.rules.iter().filter(|ready| !ready.rule.is_exception && ready.holds(&request, None)).map(|ready| ready.line.line).collect();
        let mut found = Vec::new();
        set.refusals(&request, true, |line, _| found.push(line.line));
        found.sort_unstable();
        found.dedup();
        expected.sort_unstable();
        proptest::prop_assert_eq!(found, expected);
        let excepted = set.rules.iter().any(|ready| ready.rule.is_exception && ready.holds(&request, None));
        proptest::prop_assert_eq!(set.exception(&request, true).is_some(), excepted);
    }
}

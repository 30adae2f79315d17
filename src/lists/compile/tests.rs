use super::*;

use crate::access::Host;
use crate::lists::{Candidate, Image, ListId};

fn image(lists: &[(&str, Format, &str)]) -> Image {
    let lists: Vec<ListText<'_>> =
        lists.iter().map(|(name, format, text)| ListText::new(name, name, *format, text)).collect();
    Image::from_texts(&lists).unwrap()
}

fn found(image: &Image, host: &str, path: &str) -> String {
    let candidate = Candidate::new(&Host::parse(host).unwrap(), path);
    let lists: Vec<&str> =
        image.matches(&candidate).iter().map(|list| image.list(list).unwrap().name.as_str()).collect();
    lists.join(" ")
}

#[test]
fn a_domain_covers_its_subdomains_also_beside_a_listed_child() {
    let image =
        image(&[("a", Format::Domains, "example.fr\nchild.example.fr\nxxx\n"), ("b", Format::Domains, "x.y.z.fr")]);
    for (host, expected) in [
        ("example.fr", "a"),
        ("child.example.fr", "a"),
        ("sibling.example.fr", "a"),
        ("deep.child.example.fr", "a"),
        ("notexample.fr", ""),
        ("fr", ""),
        ("any.thing.xxx", "a"),
        ("xxx", "a"),
        ("z.fr", ""),
        ("y.z.fr", ""),
        ("x.y.z.fr", "b"),
        ("w.x.y.z.fr", "b"),
        ("w.y.z.fr", ""),
    ] {
        assert_eq!(found(&image, host, ""), expected, "{host}");
    }
}

#[test]
fn a_url_covers_what_is_below_it_on_its_own_site() {
    let image = image(&[
        ("u", Format::Urls, "example.fr/a/b\nexample.fr/q?id=1\nwww.other.fr/x/\n10.0.0.1/x\n"),
        ("d", Format::Domains, "sub.example.fr\n"),
    ]);
    for (host, path, expected) in [
        ("example.fr", "/a/b", "u"),
        ("EXAMPLE.fr", "/a/%62/c", "u"),
        ("www.example.fr", "/a/b?x", "u"),
        ("example.fr", "/a/bc", ""),
        ("example.fr", "/a", ""),
        ("example.fr", "/q?id=1&x=2", "u"),
        ("example.fr", "/q?id=12", ""),
        ("other.fr", "/x", "u"),
        ("www.other.fr", "/x/y", "u"),
        ("sub.example.fr", "/a/b", "d"),
        ("a.other.fr", "/x", ""),
        ("notexample.fr", "/a/b", ""),
        ("example.fr", "", ""),
        ("0x0a.1", "/x/y", "u"),
        ("10.0.0.2", "/x", ""),
    ] {
        assert_eq!(found(&image, host, path), expected, "{host}{path}");
    }
}

#[test]
fn an_entry_names_its_text_and_line() {
    let image = image(&[
        ("a", Format::Domains, "# head\nexample.fr\n\nchild.example.fr\nexample.fr\n10.1.2.3\n"),
        ("b", Format::Hosts, "0.0.0.0 example.fr other.fr\n"),
        ("u", Format::Urls, "x.fr/1\nexample.fr/a\nexample.fr/a/b\n"),
        ("n", Format::Cidr, "10.0.0.0/8\n10.1.0.0/16\n"),
        ("e", Format::Expressions, "# none\n/sponsor/\n"),
    ]);
    let entry = |list: &str, host: &str, path: &str| {
        let list = image.list_named(&list.into()).unwrap();
        let candidate = Candidate::new(&Host::parse(host).unwrap(), path);
        image.entry(list, &candidate).map(|e| format!("{} {} {}", e.text, e.file, e.line)).unwrap_or_default()
    };
    assert_eq!(entry("a", "www.example.fr", ""), "example.fr a 2");
    assert_eq!(entry("a", "x.child.example.fr", ""), "child.example.fr a 4");
    assert_eq!(entry("a", "10.1.2.3", "/"), "10.1.2.3 a 6");
    assert_eq!(entry("b", "other.fr", ""), "other.fr b 1");
    assert_eq!(entry("u", "example.fr", "/a/b/c"), "example.fr/a/b u 3");
    assert_eq!(entry("n", "10.1.2.3", ""), "10.1.0.0/16 n 2");
    assert_eq!(entry("e", "any.fr", "/sponsor/1"), "/sponsor/ e 2");
    assert_eq!(entry("b", "www.free.fr", ""), "");
    let counted: Vec<u64> = image.lists().iter().map(|list| list.entries).collect();
    assert_eq!(counted, [3, 2, 3, 2, 1]);
}

#[test]
fn a_line_it_cannot_read_does_not_hide_the_next() {
    let text = "good.fr\nbad..fr\nhttp://url.fr/\nalso-good.fr\n";
    let input = input_of(&ListText::new("a", "a", Format::Domains, text));
    let Compiled { report, .. } = compile_inputs(&[input], &Urgent::default()).unwrap();
    assert_eq!(report.totals.names, 2);
    assert_eq!(report.totals.bad_lines, 2);
    let shown: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(shown[0].starts_with("a:2: a label of the host"), "{}", shown[0]);
    assert!(shown[1].starts_with("a:3: this is a URL") && shown[1].contains("help: "), "{}", shown[1]);
}

#[test]
fn problems_of_a_file_are_shown_up_to_a_number() {
    let text = "a..b\n".repeat(1000);
    let input = input_of(&ListText::new("a", "a", Format::Domains, &text));
    let Compiled { report, .. } = compile_inputs(&[input], &Urgent::default()).unwrap();
    assert_eq!(report.problems.len(), 21);
    assert_eq!(report.problems[20].what, "980 more lines cannot be used");
}

#[test]
fn the_same_text_gives_the_same_image() {
    let lists = [("a", Format::Domains, "a.fr\nb.fr\nc.d.fr\n"), ("b", Format::Urls, "a.fr/x\n")];
    assert_eq!(image(&lists).fingerprint(), image(&lists).fingerprint());
    let other = [("a", Format::Domains, "a.fr\nb.fr\nc.e.fr\n"), ("b", Format::Urls, "a.fr/x\n")];
    assert_ne!(image(&lists).fingerprint(), image(&other).fingerprint());
}

#[test]
fn no_list_is_an_image_too() {
    let image = image(&[]);
    assert_eq!(found(&image, "example.fr", "/x"), "");
    assert_eq!(found(&Image::empty(), "10.0.0.1", "/x"), "");
    assert_eq!(found(&Image::empty(), "example.fr", "/x"), "");
}

#[test]
fn too_many_lists_are_refused_with_the_cure() {
    let lists: Vec<ListText<'_>> = (0..=MAX_LISTS).map(|_| ListText::new("a", "a", Format::Domains, "")).collect();
    assert!(Image::from_texts(&lists).unwrap_err().to_string().contains("take some out"));
}

#[test]
fn a_filter_list_refuses_by_host_by_path_and_with_its_exceptions() {
    let text = "! EasyList\n||ads.example^\n||cdn.example/ads/\n/banner.\n##.ad\n@@||good.example^\n@@||ads.example/fine.\n||ads.example/never.$important\n";
    let image = image(&[("f", Format::Adblock, text), ("d", Format::Domains, "good.example\n")]);
    for (host, path, expected) in [
        ("www.ads.example", "", "f"),
        ("www.ads.example", "/x", "f"),
        ("www.ads.example", "/fine.js", ""),
        ("www.ads.example", "/never./fine.js", "f"),
        ("www.cdn.example", "/ads/1", "f"),
        ("cdn.example", "/x", ""),
        ("cdn.example", "", ""),
        ("x.example", "/banner.gif", "f"),
        // Another list's entry is none of an exception's business.
        ("good.example", "/banner.gif", "d"),
        ("good.example", "", "d"),
    ] {
        assert_eq!(found(&image, host, path), expected, "{host}{path}");
    }
    for (host, path, line, text) in [
        ("www.ads.example", "/x", 2, "ads.example"),
        ("cdn.example", "/ads/1", 3, "||cdn.example/ads/"),
        ("x.example", "/banner.gif", 4, "/banner."),
    ] {
        let candidate = Candidate::new(&Host::parse(host).unwrap(), path);
        let entry = image.entry(ListId::default(), &candidate).unwrap();
        assert_eq!((entry.line, &*entry.text, &*entry.file), (line, text, "f"));
    }
}

#[test]
fn whatever_the_bytes_of_a_list_are_each_line_is_counted_once() {
    let bytes = b"example.fr\n\xff\xfe\n||x^$nonsense\n\0\n/ads/\n";
    for format in [Format::Domains, Format::Hosts, Format::Urls, Format::Expressions, Format::Cidr, Format::Adblock] {
        let (entries, faults) = crate::lists::count_entries(format, bytes).unwrap();
        assert!(entries + faults <= 5 && faults >= 1, "{format:?}: {entries} {faults}");
    }
}

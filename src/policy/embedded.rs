//! Sites that show other sites: translators, reader views, page caches, archives.
//!
//! Who looks at `adult.example` through a translator looks at `adult.example`, so policy judges by the host embedded in
//! the address as well. [`BUILT_IN`] knows the usual ones; `[[embeds]]` of the policy adds others. What is not seen (the
//! path inside TLS that nobody opens) cannot be judged: then the host alone says what it says.
//!
//! Nothing here can make an answer milder: of several names the stricter answer wins.

use std::collections::HashMap;

use super::written::WrittenEmbeds;
use crate::access::{Host, HostName};
use crate::config::written::{At, Document};
use crate::matcher::canonical_path;

/// A translator in an archive behind a reader: beyond that nobody can read the page any more.
const DEPTH_MAX: usize = 4;
/// Embedded hosts of one address: each level has a handful at most.
const HOSTS_MAX: usize = 16;

/// Where in its address a site names the one it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// In the label before the site's own name: `www-example-com.translate.goog`.
    Label,
    /// In the path: the first URL in it, and the first segment that is a host.
    Path,
    /// In these fields of the query.
    Fields(Vec<Box<str>>),
}

#[derive(Debug)]
struct Site {
    host: HostName,
    /// The path begins so; empty: any.
    below: Box<str>,
    place: Place,
}

const LABEL: &str = "label";
const PATH: &str = "path";
/// Host, what its path begins with, where the other host stands: `label`, `path`, or the fields of its query.
///
/// Translators: <https://support.google.com/translate/answer/2534559> for `translate.goog`, whose names are made as those
/// of the AMP caches: <https://amp.dev/documentation/guides-and-tutorials/learn/amp-caches-and-cors/amp-cache-urls>.
const BUILT_IN: &[(&str, &str, &[&str])] = &[
    // Translators.
    ("translate.goog", "", &[LABEL]),
    ("translate.google.com", "", &["u"]),
    ("translate.googleusercontent.com", "", &["u"]),
    ("microsofttranslator.com", "", &["a"]),
    ("translatetheweb.com", "", &["a"]),
    ("translate.yandex.com", "", &["url"]),
    ("translate.yandex.ru", "", &["url"]),
    ("translated.turbopages.org", "", &[PATH]),
    ("papago.naver.com", "", &["url"]),
    ("papago.naver.net", "", &["url"]),
    // Pages kept by search engines and content networks.
    ("cdn.ampproject.org", "", &[LABEL]),
    ("cdn.ampproject.org", "", &[PATH]),
    ("ampproject.net", "", &[LABEL]),
    ("bing-amp.com", "", &[LABEL]),
    ("bing-amp.com", "", &[PATH]),
    ("google.com", "/amp/", &[PATH]),
    ("turbopages.org", "", &[LABEL]),
    ("yandex.ru", "/turbo", &["text"]),
    ("i0.wp.com", "", &[PATH]),
    ("i1.wp.com", "", &[PATH]),
    ("i2.wp.com", "", &[PATH]),
    ("i3.wp.com", "", &[PATH]),
    ("external-content.duckduckgo.com", "", &["u"]),
    ("images.weserv.nl", "", &["url"]),
    ("wsrv.nl", "", &["url"]),
    // Archives.
    ("web.archive.org", "", &[PATH]),
    ("web.archive.org", "", &["url"]),
    ("archive.org", "/wayback", &["url"]),
    ("archive.ph", "", &[PATH]),
    ("archive.ph", "", &["url"]),
    ("archive.today", "", &[PATH]),
    ("archive.today", "", &["url"]),
    ("archive.is", "", &[PATH]),
    ("archive.is", "", &["url"]),
    ("archive.li", "", &[PATH]),
    ("archive.li", "", &["url"]),
    ("archive.md", "", &[PATH]),
    ("archive.md", "", &["url"]),
    ("archive.fo", "", &[PATH]),
    ("archive.fo", "", &["url"]),
    ("archive.vn", "", &[PATH]),
    ("archive.vn", "", &["url"]),
    ("arquivo.pt", "", &[PATH]),
    ("webarchive.org.uk", "", &[PATH]),
    ("webarchive.loc.gov", "", &[PATH]),
    ("wayback.archive-it.org", "", &[PATH]),
    ("timetravel.mementoweb.org", "", &[PATH]),
    // Readers and annotators.
    ("12ft.io", "", &[PATH]),
    ("12ft.io", "", &["q", "url"]),
    ("1ft.io", "", &[PATH]),
    ("13ft.io", "", &[PATH]),
    ("r.jina.ai", "", &[PATH]),
    ("r.jina.ai", "", &["url"]),
    ("smry.ai", "", &[PATH]),
    ("smry.ai", "", &["url"]),
    ("removepaywall.com", "", &[PATH]),
    ("removepaywall.com", "", &["url"]),
    ("txtify.it", "", &[PATH]),
    ("outline.com", "", &[PATH]),
    ("via.hypothes.is", "", &[PATH]),
    ("frogfind.com", "", &["a"]),
    ("googleweblight.com", "", &["lite_url", "u"]),
    ("validator.w3.org", "", &["uri", "doc"]),
    // Relays for scripts.
    ("corsproxy.io", "", &["url"]),
    ("api.allorigins.win", "", &["url"]),
    ("cors-anywhere.herokuapp.com", "", &[PATH]),
];

/// The sites that show others, by their last two labels: one look-up for a host that is none of them.
#[derive(Debug, Default)]
pub(super) struct Embeds(HashMap<Box<str>, Vec<Site>>);

impl Embeds {
    /// The built-in ones and those of the policy.
    pub fn new(written: Vec<At<WrittenEmbeds>>, document: &mut Document<'_>) -> Embeds {
        let mut embeds = Embeds::default();
        for (host, below, place) in BUILT_IN {
            let place = match *place {
                [LABEL] => Place::Label,
                [PATH] => Place::Path,
                fields => Place::Fields(fields.iter().map(|field| Box::from(*field)).collect()),
            };
            // A test reads every line of the table.
            embeds.0.entry(last_two(host).into()).or_default().extend(HostName::parse(host).ok().map(|host| Site {
                host,
                below: Box::from(*below),
                place,
            }));
        }
        for At { value, span } in written {
            let Some(place) = place(&value, &span, document) else { continue };
            let hosts = value.hosts.map(|at| at.value).unwrap_or_default();
            if hosts.is_empty() {
                document.problem(&span, "this names no host", "hosts = [\"reader.example\"]");
            }
            for text in hosts {
                match HostName::parse(&text.value) {
                    Ok(host) => {
                        let site = Site { host: host.clone(), below: "".into(), place: place.clone() };
                        embeds.0.entry(last_two(host.as_str()).into()).or_default().push(site);
                    }
                    Err(e) => {
                        let help = "a name such as \"reader.example\", which covers its subdomains";
                        document.problem(&text.span, format!("`{}` is no host: {e}", text.value), help);
                    }
                }
            }
        }
        embeds
    }

    /// The hosts that this address shows, each with its path, canonical; empty for most.
    pub fn within(&self, host: &Host, path_and_query: &str) -> Vec<(Host, String)> {
        let mut found = Vec::new();
        self.collect(host, path_and_query, &mut found);
        // What is shown may show others.
        let (mut from, mut depth) = (0, 1);
        while from < found.len() && depth < DEPTH_MAX {
            let level = found[from..].to_vec();
            from = found.len();
            level.iter().for_each(|(host, path)| self.collect(host, path, &mut found));
            depth += 1;
        }
        found
    }

    fn collect(&self, host: &Host, path_and_query: &str, found: &mut Vec<(Host, String)>) {
        let Host::Name(name) = host else { return };
        let asked = of_google(name.as_str());
        let Some(sites) = self.0.get(last_two(asked)) else { return };
        let mut canonical = String::new();
        if !path_and_query.is_empty() {
            canonical_path(path_and_query, &mut canonical);
        }
        for site in sites {
            let Some(before) = asked.strip_suffix(site.host.as_str()) else { continue };
            if !(before.is_empty() || before.ends_with('.')) || !canonical.starts_with(&*site.below) {
                continue;
            }
            let shown = match &site.place {
                Place::Label => in_label(before, &canonical).into_iter().collect(),
                Place::Path => in_path(&canonical[site.below.len().saturating_sub(1)..]),
                Place::Fields(fields) => in_fields(&canonical, fields),
            };
            for one in shown {
                if found.len() < HOSTS_MAX && one.0 != *host && !found.contains(&one) {
                    found.push(one);
                }
            }
        }
    }
}

fn place(written: &WrittenEmbeds, at: &std::ops::Range<usize>, document: &mut Document<'_>) -> Option<Place> {
    let fields: Vec<Box<str>> =
        written.fields.iter().flat_map(|at| &at.value).map(|at| at.value.to_ascii_lowercase().into()).collect();
    let (word, span) = written.place.as_ref().map_or(("", at), |at| (at.value.as_str(), &at.span));
    let place = match word {
        LABEL => Place::Label,
        PATH => Place::Path,
        "query" => Place::Fields(fields.clone()),
        _ => {
            let help = "place = \"label\" (example-com.reader.example), \"path\" (/https://example.com/) or \"query\"";
            document.problem(span, "this does not say where the other host stands", help);
            return None;
        }
    };
    if fields.is_empty() == (word == "query") {
        document.problem(at, "`fields` goes with `place = \"query\"`", "fields = [\"url\"]: the fields of the query");
        return None;
    }
    Some(place)
}

fn last_two(name: &str) -> &str {
    let mut dots = name.bytes().enumerate().rev().filter(|(_, b)| *b == b'.').map(|(at, _)| at);
    dots.nth(1).map_or(name, |at| &name[at + 1..])
}

/// Google has the same services under the domains of all countries.
fn of_google(name: &str) -> &str {
    match name {
        _ if name.starts_with("translate.google.") => "translate.google.com",
        _ if name.starts_with("www.google.") || name.starts_with("google.") => "google.com",
        _ => name,
    }
}

/// `www-example-com`: `-` is a dot and `--` is `-`; a name in other letters comes as one label of punycode.
fn in_label(before: &str, canonical: &str) -> Option<(Host, String)> {
    let label = before.strip_suffix('.')?.rsplit('.').next()?;
    let (unicode, _) = idna::domain_to_unicode(label);
    // The marks of names that would be mistaken for others.
    let label = unicode.strip_prefix("0-").or_else(|| unicode.strip_prefix("1-")).unwrap_or(&unicode);
    let label = label.strip_suffix("-0").filter(|_| unicode.starts_with("0-")).unwrap_or(label);
    // The beginning of a name that is too long for a label.
    let beginning = fields(canonical).find(|(name, _)| *name == "_x_tr_hp").map_or("", |(_, value)| value);
    let mut name = String::with_capacity(beginning.len() + label.len());
    let encoded = format!("{beginning}{label}");
    let mut rest = encoded.as_str();
    while let Some(at) = rest.find('-') {
        name.push_str(&rest[..at]);
        let run = rest[at..].len() - rest[at..].trim_start_matches('-').len();
        match run {
            1 => name.push('.'),
            _ => name.extend(std::iter::repeat_n('-', run.div_ceil(2))),
        }
        rest = &rest[at + run..];
    }
    name.push_str(rest);
    host_with_dot(&name).map(|host| (host, canonical.to_owned()))
}

/// After `http:/` or `https:/` (canonical paths have no empty segments), or a segment before that which is a host by
/// itself: sites differ in what they do where there are both. What follows is the path of the site shown.
fn in_path(canonical: &str) -> Vec<(Host, String)> {
    let (path, query) = canonical.split_at(canonical.find('?').unwrap_or(canonical.len()));
    let mut found: Vec<(Host, String)> = Vec::new();
    let (mut at, mut after_scheme) = (0, false);
    for segment in path.split('/') {
        let end = at + segment.len();
        let host = if after_scheme || found.is_empty() { authority(segment) } else { None };
        if let Some(host) = host.filter(|host| after_scheme || is_plainly(host, segment)) {
            found.push((host, format!("{}{query}", rooted(&path[end..]))));
            if after_scheme {
                break;
            }
        }
        after_scheme = segment.ends_with("http:") || segment.ends_with("https:");
        at = end + 1;
    }
    found
}

/// Of each field the first and the last value: servers read the one or the other.
fn in_fields(canonical: &str, wanted: &[Box<str>]) -> Vec<(Host, String)> {
    let mut found = Vec::new();
    for name in wanted {
        let mut values = fields(canonical).filter(|(field, _)| *field == &**name).map(|(_, value)| value);
        let first = values.next();
        found.extend(first.into_iter().chain(values.last()).filter_map(address));
    }
    found
}

fn fields(canonical: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = canonical.split_once('?').map_or("", |(_, query)| query);
    query.split(['&', ';']).filter_map(|field| field.split_once('='))
}

/// A URL, with or without its scheme.
fn address(text: &str) -> Option<(Host, String)> {
    let text = text.strip_prefix("http:").or_else(|| text.strip_prefix("https:")).unwrap_or(text);
    let text = text.trim_start_matches(['/', '\\']);
    let end = text.find(['/', '?', '#', '\\']).unwrap_or(text.len());
    Some((authority(&text[..end])?, rooted(&text[end..]).into_owned()))
}

/// `user@host:port`.
fn authority(text: &str) -> Option<Host> {
    let host = text.rsplit('@').next().unwrap_or(text);
    let host = match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    };
    host_with_dot(host)
}

fn host_with_dot(text: &str) -> Option<Host> {
    match Host::parse(text).ok()? {
        Host::Name(name) if !name.as_str().contains('.') => None,
        host => Some(host),
    }
}

/// Whether a segment is a host without anything before it that says so, and not a date, a number or a version.
fn is_plainly(host: &Host, segment: &str) -> bool {
    match host {
        Host::Name(name) => {
            let last = name.as_str().rsplit('.').next().unwrap_or_default();
            last.starts_with("xn--") || last.bytes().all(|b| b.is_ascii_lowercase())
        }
        Host::Address(_) => segment.matches('.').count() == 3,
    }
}

fn rooted(path: &str) -> std::borrow::Cow<'_, str> {
    if path.starts_with('/') { path.into() } else { format!("/{path}").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in() -> Embeds {
        Embeds::new(Vec::new(), &mut Document::new(std::path::Path::new("policy.toml"), ""))
    }

    /// `host/path` of everything embedded in a URL.
    fn shown(url: &str) -> Vec<String> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let found = built_in().within(&Host::parse(host).unwrap(), path);
        found.into_iter().map(|(host, path)| format!("{}{path}", host.to_text())).collect()
    }

    fn check(cases: &[(&str, &[&str])]) {
        for (url, expected) in cases {
            assert_eq!(shown(url), *expected, "{url}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_a_host_and_says_where() {
        let read: usize = built_in().0.values().map(Vec::len).sum();
        assert_eq!(read, BUILT_IN.len());
        for (host, below, place) in BUILT_IN {
            assert_eq!(HostName::parse(host).unwrap().as_str(), *host);
            assert!(below.is_empty() || below.starts_with('/'), "{below}");
            assert!(!place.is_empty() && (place.len() == 1 || !place.contains(&PATH)), "{host}");
        }
    }

    #[test]
    fn a_translator_names_the_site_in_its_own_name() {
        check(&[
            ("https://adult-example.translate.goog", &["adult.example"]),
            ("https://www-adult-example.translate.goog", &["www.adult.example"]),
            ("https://my--site-co-uk.translate.goog", &["my-site.co.uk"]),
            ("https://a----b-example.translate.goog", &["a--b.example"]),
            ("https://0-adult-example.translate.goog", &["adult.example"]),
            ("https://xn--bcher-example-wob.translate.goog", &["xn--bcher-kva.example"]),
            ("http://adult-example.translate.goog/A/b?_x_tr_sl=fr", &["adult.example/a/b?_x_tr_sl=fr"]),
            ("http://example.translate.goog/?_x_tr_hp=very--long-", &["very-long.example/?_x_tr_hp=very--long-"]),
            ("https://translate.goog", &[]),
            ("https://notranslate.goog", &[]),
            ("https://plain.translate.goog", &[]),
        ]);
    }

    #[test]
    fn a_translator_names_the_site_in_a_field() {
        check(&[
            ("http://translate.google.com/translate?sl=fr&u=http://adult.example/a", &["adult.example/a"]),
            ("http://translate.google.fr/translate?u=adult.example", &["adult.example/"]),
            ("http://translate.google.co.uk/translate?u=https%3A%2F%2Fadult.example%2Fa", &["adult.example/a"]),
            ("http://translate.google.com/?u=free.example&u=adult.example", &["free.example/", "adult.example/"]),
            ("http://www.translatetheweb.com/?a=//adult.example", &["adult.example/"]),
            ("http://translate.google.com/translate?u=http://u:p@ADULT.example:8080/", &["adult.example/"]),
            ("http://translate.google.com/translate?u=http://0x7f.1/", &["127.0.0.1/"]),
            ("http://translate.google.com/?text=adult.example", &[]),
            ("http://free.example/translate?u=adult.example", &[]),
        ]);
    }

    #[test]
    fn a_page_cache_names_the_site_in_its_name_and_its_path() {
        check(&[
            ("https://adult-example.cdn.ampproject.org", &["adult.example"]),
            ("http://www.google.com/amp/s/adult.example/page", &["adult.example/page"]),
            ("http://www.google.fr/amp/adult.example/page", &["adult.example/page"]),
            ("http://cdn.ampproject.org/c/s/adult.example/page?x", &["adult.example/page?x"]),
            ("http://i0.wp.com/adult.example/image.jpg", &["adult.example/image.jpg"]),
            // The name of an AMP cache that is a digest says nothing; its path does.
            (
                "http://gg6pmqm3ttpzrybqsalfnx4gwqxp2pxlrdtt4u3bv3hqvjmf2pta.cdn.ampproject.org/v/s/adult.example/",
                &["adult.example/"],
            ),
            ("http://www.google.com/search?q=adult.example", &[]),
        ]);
    }

    #[test]
    fn an_archive_names_the_site_in_its_path() {
        check(&[
            ("http://web.archive.org/web/20200101000000/https://adult.example/a?b", &["adult.example/a?b"]),
            ("http://web.archive.org/web/2020*/adult.example", &["adult.example/"]),
            ("http://web.archive.org/web/2020id_/http%3A//adult.example/", &["adult.example/"]),
            ("http://web.archive.org/web/2020id_/HTTP:%2f%2fadult.example:80/", &["adult.example/"]),
            ("http://archive.ph/https://adult.example/", &["adult.example/"]),
            ("http://archive.is/2013.07.03-000000/http://adult.example/", &["adult.example/"]),
            ("http://archive.today/newest/https://adult.example/", &["adult.example/"]),
            // What stands behind the site is its own path.
            (
                "http://web.archive.org/web/2020/https://free.example/wiki/adult.example",
                &["free.example/wiki/adult.example"],
            ),
            ("http://archive.org/details/adult.example", &[]),
        ]);
    }

    #[test]
    fn a_reader_names_the_site_in_its_path() {
        check(&[
            ("http://12ft.io/https://adult.example/a", &["adult.example/a"]),
            ("http://12ft.io/adult.example", &["adult.example/"]),
            ("http://12ft.io/192.0.2.7/a", &["192.0.2.7/a"]),
            ("http://12ft.io/http://3221225991/", &["192.0.2.7/"]),
            ("http://12ft.io/2020/1.2/v1.2.3", &[]),
            (
                "http://12ft.io/adult.example/https://free.example/",
                &["adult.example/https:/free.example/", "free.example/"],
            ),
            ("http://12ft.io/proxy?q=https://adult.example", &["adult.example/"]),
            ("http://r.jina.ai/https://adult.example/", &["adult.example/"]),
            ("http://via.hypothes.is/http://adult.example/", &["adult.example/"]),
            ("https://12ft.io", &[]),
        ]);
    }

    #[test]
    fn a_site_within_a_site_is_found_down_to_a_depth_that_is_bounded() {
        check(&[
            (
                "https://web-archive-org.translate.goog/web/2020/https://adult.example/",
                &["web.archive.org/web/2020/https:/adult.example/", "adult.example/"],
            ),
            (
                "http://www.google.com/amp/s/adult-example.cdn.ampproject.org/",
                &["adult-example.cdn.ampproject.org/", "adult.example/"],
            ),
        ]);
        let deep = format!("http://12ft.io/{}adult.example/", "https://12ft.io/a/https://r.jina.ai/".repeat(40));
        assert!(shown(&deep).len() <= HOSTS_MAX);
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_path_is_it_ends_and_is_bounded(path in "/[a-z:/.?&=%0-9-]{0,60}") {
            for host in ["12ft.io", "a-b.translate.goog", "translate.google.com", "www.google.com"] {
                let found = built_in().within(&Host::parse(host).unwrap(), &path);
                proptest::prop_assert!(found.len() <= HOSTS_MAX);
            }
        }
    }
}

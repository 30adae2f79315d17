//! URLs of real page loads, by UT1 alone and with the lists of ad blockers; beside the `adblock` crate.

use std::path::Path;
use std::time::Duration;

use adblock::lists::ParseOptions;
use adblock::request::Request;
use ecluse::access::Host;
use ecluse::lists::{Candidate, Image};
use ecluse::matcher::rules::{Context, RequestKind};

use crate::measure::{Aim, Cost, measure, print, timed};

/// A request of a page load.
struct Asked<'a> {
    url: &'a str,
    page: &'a str,
    kind: &'a str,
}

pub fn run(ut1: &Image, all: &Image, ads: &Image, folder: &Path, requests: &str) {
    let asked: Vec<Asked<'_>> = requests.lines().filter_map(asked).collect();
    assert!(asked.len() > 20_000);
    let alone = measure(&asked, |asked| asked, |asked| is_listed(ut1, asked, false));
    print("URLs, from their text, UT1", asked.len(), &alone, Aim::default());
    assert!((5_000..15_000).contains(&alone.found));
    let aims = Aim { mean: Some(1000.0), p99: Some(5000.0), median: None };
    let whole = measure(&asked, |asked| asked, |asked| is_listed(all, asked, true));
    print("URLs, from their text, UT1 and ad lists", asked.len(), &whole, aims);
    assert!(whole.found > alone.found);
    let ours = measure(&asked, |asked| asked, |asked| is_listed(ads, asked, true));
    print("URLs, from their text, ad lists", asked.len(), &ours, Aim::default());
    peer(ads, folder, &asked, &whole);
}

/// The same lists, the same requests, the same run.
fn peer(ads: &Image, folder: &Path, asked: &[Asked<'_>], whole: &Cost) {
    let mut texts = String::new();
    for file in super::ad_lists(folder) {
        texts.push_str(&std::fs::read_to_string(file).unwrap());
        texts.push('\n');
    }
    let mut set = adblock::lists::FilterSet::new(false);
    let (took, _) = timed(|| set.add_filter_list(texts, ParseOptions::default()));
    let (built, engine) = timed(|| adblock::Engine::new_with_filter_set(set));
    let took: Duration = took + built;
    let blocks = |asked: &&Asked<'_>| {
        Request::new(asked.url, asked.page, asked.kind, "GET").is_ok_and(|request| {
            let found = engine.check_network_request(&request);
            found.filter.is_some() && (found.important || found.exception.is_none())
        })
    };
    let cost = measure(asked, |asked| asked, blocks);
    print("the same by the `adblock` crate", asked.len(), &cost, Aim::default());
    let agree = asked.iter().filter(|asked| is_listed(ads, asked, true) == blocks(asked)).count();
    println!(
        "        read in {:.2} s; {:.1} times the time of ours with UT1 on top (aim 5)",
        took.as_secs_f64(),
        cost.mean / whole.mean
    );
    println!("        {:.2} % of the verdicts are the same", 100.0 * agree as f64 / asked.len() as f64);
    assert!(agree * 100 > asked.len() * 95);
}

fn is_listed(image: &Image, asked: &Asked<'_>, with_context: bool) -> bool {
    let Some((host, path)) = split(asked.url) else { return false };
    let candidate = Candidate::new(&host, path);
    let candidate = if with_context { candidate.with_context(context(asked)) } else { candidate };
    !image.matches(&candidate).is_empty()
}

fn context(asked: &Asked<'_>) -> Context {
    let page = split(asked.page).and_then(|(host, _)| match host {
        Host::Name(name) => Some(name),
        Host::Address(_) => None,
    });
    Context { page, kind: RequestKind::named(asked.kind) }
}

fn split(url: &str) -> Option<(Host, &str)> {
    let rest = url[url.bytes().position(|b| b == b':')?..].strip_prefix("://")?;
    let (host, path) = rest.split_at(rest.bytes().position(|b| matches!(b, b'/' | b'?'))?);
    let name = &host[..host.bytes().position(|b| b == b':').unwrap_or(host.len())];
    Some((Host::parse(name).ok()?, path))
}

fn asked(line: &str) -> Option<Asked<'_>> {
    let mut fields = line.split('\t');
    let asked = Asked { url: fields.next()?, page: fields.next()?, kind: fields.next()? };
    split(asked.url).map(|_| asked)
}

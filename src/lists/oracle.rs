//! What an image must answer, said as plainly as can be: every entry of every list is tried.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use crate::access::{CategoryName, Host, HostName, Timestamp};
use crate::matcher::{canonical_path, entry_path, site_of, urls};

use super::*;

/// The lists whose entries cover the target, in the order of the lists.
fn oracle(lists: &[ListText<'_>], host: &Host, path: &str) -> Vec<usize> {
    let covers = |list: &ListText<'_>| list.text.lines().any(|line| covered(list.format, line, host, path));
    lists.iter().enumerate().filter(|(_, list)| covers(list)).map(|(i, _)| i).collect()
}

fn covered(format: Format, line: &str, host: &Host, path: &str) -> bool {
    match format {
        Format::Domains => match (Host::parse(line), host) {
            (Ok(Host::Name(entry)), Host::Name(name)) => name.is_within(&entry),
            (Ok(Host::Address(entry)), Host::Address(address)) => entry == *address,
            _ => false,
        },
        Format::Urls => {
            // A host ends at its path or at its query (RFC 3986 §3.2): `b.fr?a=b` has no slash.
            let (entry_host, entry_rest) = line.split_at(line.find(['/', '?']).unwrap_or(line.len()));
            let entry_host = Host::parse(entry_host).map(|h| h.to_text().into_owned()).unwrap_or_default();
            let (mut entry, mut url) = (String::new(), String::new());
            canonical_path(entry_rest, &mut entry);
            canonical_path(path, &mut url);
            let same_site = site_of(&entry_host) == site_of(&host.to_text());
            !path.is_empty() && same_site && urls::covers(entry_path(&entry), &url)
        }
        Format::Cidr => match (line.parse::<ipnet::IpNet>(), host) {
            (Ok(network), Host::Address(address)) => network.contains(address),
            _ => false,
        },
        Format::Expressions => {
            let text = Candidate::new(host, path).text().to_owned();
            regex::Regex::new(&format!("(?i){line}")).unwrap().is_match(&text)
        }
        Format::SquidGuard | Format::Hosts | Format::Adblock => false,
    }
}

fn lines(line: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

const NAME: &str = "(www\\.)?([ab]\\.){0,3}(a|b|c|fr)|10\\.0\\.[01]\\.[0-3]|0xa000001";
const URL: &str = "(www\\.)?([ab]\\.){0,2}fr(/[ab%61]{1,2}){0,3}/?(\\?[ab]=[ab])?|10\\.0\\.0\\.[0-3]/[ab]";
const NETWORK: &str = "10\\.0\\.[01]\\.0/(24|32)|10\\.0\\.0\\.0/(8|23)";
const EXPRESSION: &str = r"/[ab]{2,3}/|\(aab\|bba\)|\^a\\\.fr|\[ab\]/b\\\?|[ab]";
const PATH: &str = "|(/[abAB%61.]{1,3}){0,4}/?(\\?[ab]=[ab](&a=b)?)?";

proptest! {
    #[test]
    fn in_memory_mapped_and_naive_agree_in_the_same_order(
        domains in prop::collection::vec(lines(NAME), 1..4),
        urls in lines(URL),
        networks in lines(NETWORK),
        expressions in lines(EXPRESSION),
        targets in prop::collection::vec((NAME, PATH), 1..20),
    ) {
        let mut lists: Vec<ListText<'_>> =
            domains.iter().map(|text| ListText::new("d", "d", Format::Domains, text)).collect();
        lists.push(ListText::new("u", "u", Format::Urls, &urls));
        lists.push(ListText::new("n", "n", Format::Cidr, &networks));
        lists.push(ListText::new("e", "e", Format::Expressions, &expressions));
        let memory = Image::from_texts(&lists).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        std::fs::write(&path, compile::compile_texts(&lists).unwrap()).unwrap();
        let mapped = Image::open(&path).unwrap();
        prop_assert!(mapped.verify().is_ok());
        for (host, path) in &targets {
            let host = Host::parse(host).unwrap();
            let candidate = Candidate::new(&host, path);
            let answer = |image: &Image| image.matches(&candidate).iter().map(ListId::index).collect::<Vec<_>>();
            let expected = oracle(&lists, &host, path);
            prop_assert_eq!(&answer(&memory), &expected, "in memory: {} {}", host, path);
            prop_assert_eq!(&answer(&mapped), &expected, "mapped: {} {}", host, path);
            for list in memory.matches(&candidate).iter() {
                let entry = mapped.entry(list, &candidate).expect("a list that matches has an entry");
                let line = lists[list.index()].text.lines().nth(entry.line as usize - 1).unwrap();
                prop_assert!(covered(lists[list.index()].format, line, &host, path), "{} {} {}", line, host, path);
            }
        }
    }
}

/// Longer is narrower; whatever is no name and no URL is wider than any of them.
fn width(format: Format, line: &str) -> usize {
    match format {
        Format::Domains => Host::parse(line).ok().and_then(|h| h.name().map(|n| n.as_str().len())).unwrap_or(0),
        Format::Urls => {
            let (host, rest) = line.split_at(line.find(['/', '?']).unwrap_or(line.len()));
            let mut path = String::new();
            canonical_path(rest, &mut path);
            let host = Host::parse(host).map(|host| host.to_text().into_owned()).unwrap_or_default();
            width_of(site_of(&host), entry_path(&path))
        }
        _ => 0,
    }
}

fn width_of(host: &str, path: &str) -> usize {
    if path.is_empty() { host.len() } else { 1000 + path.len() }
}

fn is_about(entry: &UrgentEntry, host: &Host, path: &str) -> bool {
    let mut url = String::new();
    canonical_path(path, &mut url);
    match (entry.path.is_empty(), host) {
        (false, _) => !path.is_empty() && site_of(&host.to_text()) == entry.host && urls::covers(&entry.path, &url),
        (true, Host::Name(name)) => HostName::parse(&entry.host).is_ok_and(|entry| name.is_within(&entry)),
        (true, Host::Address(address)) => entry.host == address.to_string(),
    }
}

/// The lists that hold a target after the changes, by their names.
fn oracle_with(lists: &[ListText<'_>], urgent: &Urgent, host: &Host, path: &str) -> BTreeSet<String> {
    let about = || urgent.entries.iter().filter(|entry| is_about(entry, host, path));
    let lifted = |category: &CategoryName, spares: &dyn Fn(usize) -> bool| {
        let removals = about().filter(|entry| entry.change == Change::Remove && entry.categories.contains(category));
        removals.into_iter().any(|removal| !spares(width_of(&removal.host, &removal.path)))
    };
    let mut found = BTreeSet::new();
    for list in lists {
        let lines = list.text.lines().filter(|line| covered(list.format, line, host, path));
        let mut left = lines.filter(|line| !lifted(&list.category, &|removal| removal < width(list.format, line)));
        if left.next().is_some() {
            found.insert(list.name.to_string());
        }
    }
    for addition in about().filter(|entry| entry.change == Change::Add) {
        let own = width_of(&addition.host, &addition.path);
        let left = addition.categories.iter().filter(|category| !lifted(category, &|removal| removal <= own));
        found.extend(left.map(|category| format!("urgent/{category}")));
    }
    found
}

fn urgent(changes: &[(bool, String, usize)]) -> Urgent {
    let of = |(add, entry, categories): &(bool, String, usize)| {
        let change = if *add { Change::Add } else { Change::Remove };
        let categories = [&["d"][..], &["u"], &["e", "n"], &["d", "u", "x"]][*categories % 4];
        let categories = categories.iter().map(|&name| name.into()).collect();
        UrgentEntry::new(change, entry, categories, "m.durand".to_owned(), Timestamp::default(), "why").ok()
    };
    let written = Urgent { entries: changes.iter().filter_map(of).collect() };
    Urgent::parse(Path::new("urgent.toml"), &written.to_text()).unwrap()
}

/// Compiles the lists with what is urgent, or with nothing.
fn compiled(folder: &Path, lists: &[ListText<'_>], urgent: &Urgent) -> Image {
    let mut sources = String::new();
    for list in lists {
        std::fs::write(folder.join(list.name.as_str()), list.text).unwrap();
        let format = format!("{:?}", list.format).to_lowercase();
        let name = &list.name;
        sources.push_str(&format!("[[source]]\nname = '{name}'\nformat = '{format}'\npath = '{name}'\n"));
    }
    std::fs::write(folder.join("lists.toml"), sources).unwrap();
    std::fs::write(Urgent::file(folder), urgent.to_text()).unwrap();
    let catalogue = Catalogue::read(folder, folder).unwrap();
    let out = folder.join("image");
    compile(&catalogue, &out).unwrap();
    Image::open(&out).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn urgent_changes_mean_the_same_over_an_image_and_merged_into_it(
        domains in lines(NAME),
        urls in lines(URL),
        networks in lines(NETWORK),
        expressions in lines(EXPRESSION),
        changes in prop::collection::vec((any::<bool>(), prop_oneof![2 => NAME, 1 => URL], 0usize..4), 0..8),
        earlier in prop::collection::vec((any::<bool>(), NAME, 0usize..4), 0..4),
        targets in prop::collection::vec((NAME, PATH), 1..20),
    ) {
        let lists = [
            ListText::new("d", "d", Format::Domains, &domains),
            ListText::new("u", "u", Format::Urls, &urls),
            ListText::new("n", "n", Format::Cidr, &networks),
            ListText::new("e", "e", Format::Expressions, &expressions),
        ];
        let (changes, earlier) = (urgent(&changes), urgent(&earlier));
        let folder = tempfile::tempdir().unwrap();
        let over_memory = Image::from_texts(&lists).unwrap().with_urgent(changes.clone()).unwrap();
        let over_mapped = compiled(folder.path(), &lists, &Urgent::default()).with_urgent(changes.clone()).unwrap();
        let after_others = compiled(folder.path(), &lists, &earlier).with_urgent(changes.clone()).unwrap();
        let merged = compiled(folder.path(), &lists, &changes);
        let merged_alike = compiled(folder.path(), &lists, &changes).with_urgent(changes.clone()).unwrap();
        let images = [over_memory, over_mapped, after_others, merged, merged_alike];
        for (host, path) in &targets {
            let host = Host::parse(host).unwrap();
            let candidate = Candidate::new(&host, path);
            let expected = oracle_with(&lists, &changes, &host, path);
            for (number, image) in images.iter().enumerate() {
                let found = image.matches(&candidate);
                let names: BTreeSet<String> = found.iter().map(|list| image.list(list).unwrap().name.to_string()).collect();
                prop_assert_eq!(&names, &expected, "image {}: {} {}", number, host, path);
                if let Host::Address(address) = host && path.is_empty() {
                    let by_address = image.matches_address(address);
                    prop_assert!(by_address.iter().all(|list| found.contains(list)));
                }
                for list in found.iter() {
                    let entry = image.entry(list, &candidate).expect("a list that matches has an entry");
                    let Some(text) = lists.get(list.index()) else {
                        let said = changes.entries.iter().find(|said| said.line == entry.line).unwrap();
                        prop_assert_eq!(&entry, &said.reference());
                        prop_assert!(said.change == Change::Add && is_about(said, &host, path));
                        continue;
                    };
                    prop_assert_eq!(&entry.author, &None);
                    let line = text.text.lines().nth(entry.line as usize - 1).unwrap();
                    prop_assert!(covered(text.format, line, &host, path), "{} {} {}", line, host, path);
                }
            }
        }
    }
}

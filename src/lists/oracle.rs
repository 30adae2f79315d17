//! What an image must answer, said as plainly as can be: every entry of every list is tried.

use proptest::prelude::*;

use crate::access::Host;
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

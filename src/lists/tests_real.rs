//! The whole of UT1, against a table that is as plain as can be.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::access::{Host, HostName};

use super::*;

/// The folder of the test data, or nothing said loudly; with `REQUIRE=…data…` its absence is a failure.
pub(crate) fn test_data(file: &str) -> Option<PathBuf> {
    let found = std::env::var_os("ECLUSE_TEST_DATA").map(|folder| Path::new(&folder).join(file)).filter(|f| f.exists());
    if found.is_none() {
        let required = std::env::var("REQUIRE").is_ok_and(|what| what.contains("data"));
        assert!(!required, "REQUIRE asks for the test data, but ECLUSE_TEST_DATA leads to no {file}");
        eprintln!("SKIPPED: ECLUSE_TEST_DATA leads to no {file}");
    }
    found
}

pub(crate) fn unpack(archive: &Path, into: &Path) {
    let decoder = zstd::Decoder::new(File::open(archive).unwrap()).unwrap();
    tar::Archive::new(decoder).unpack(into).unwrap();
    let source = "[[source]]\nname = 'ut1'\nformat = 'squidguard'\npath = 'ut1'\n";
    fs::write(into.join("ut1.toml"), source).unwrap();
}

/// Which lists hold exactly this host, by its canonical text; lists are bits.
struct Naive {
    hosts: HashMap<String, u128>,
    expressions: Vec<(usize, regex::Regex)>,
    /// By list: the text of each line of its domains.
    lines: Vec<Vec<String>>,
    name_lines: usize,
    /// List and line.
    urls: Vec<(usize, String)>,
}

impl Naive {
    fn read(folder: &Path, image: &Image) -> Naive {
        let mut naive = Naive {
            hosts: HashMap::new(),
            expressions: Vec::new(),
            lines: Vec::new(),
            name_lines: 0,
            urls: Vec::new(),
        };
        let lines = |file: &str| {
            let text = fs::read_to_string(folder.join("ut1").join(file)).unwrap_or_default();
            text.lines().map(str::to_owned).collect::<Vec<String>>()
        };
        for (number, list) in image.lists().iter().enumerate() {
            let domains = lines(&list.files.names);
            for line in &domains {
                let host = Host::parse(line.trim_start_matches('.')).unwrap().to_text().into_owned();
                *naive.hosts.entry(host).or_default() |= 1 << number;
            }
            naive.name_lines += domains.len();
            naive.urls.extend(lines(&list.files.urls).into_iter().map(|line| (number, line)));
            for line in lines(&list.files.expressions) {
                naive.expressions.push((number, regex::Regex::new(&format!("(?i){line}")).unwrap()));
            }
            naive.lines.push(domains);
        }
        naive
    }

    fn matches(&self, host: &Host) -> Vec<usize> {
        let text = host.to_text();
        let mut set = self.hosts.get(&*text).copied().unwrap_or_default();
        if host.name().is_some() {
            let parents = text.match_indices('.').map(|(dot, _)| &text[dot + 1..]);
            set |= parents.filter_map(|parent| self.hosts.get(parent)).fold(0, |sum, set| sum | set);
        }
        for (list, expression) in &self.expressions {
            set |= u128::from(expression.is_match(&text)) << list;
        }
        (0..128).filter(|list| set >> list & 1 == 1).collect()
    }
}

fn assert_agrees(image: &Image, naive: &Naive, host: &Host) -> bool {
    let found: Vec<usize> = image.matches(&Candidate::host(host)).iter().map(ListId::index).collect();
    assert_eq!(found, naive.matches(host), "{} letters", host.to_text().len());
    !found.is_empty()
}

/// The entry named is a line of the list that says what the entry says.
fn assert_explained(image: &Image, naive: &Naive, host: &Host) {
    let candidate = Candidate::host(host);
    for list in image.matches(&candidate).iter() {
        let entry = image.entry(list, &candidate).expect("a list that matches has an entry");
        if entry.file.ends_with("/domains") {
            let line = &naive.lines[list.index()][entry.line as usize - 1];
            assert_eq!(Host::parse(line.trim_start_matches('.')), Host::parse(&entry.text), "line {}", entry.line);
        }
    }
}

#[test]
fn the_whole_of_ut1_is_compiled_and_answers_like_a_plain_table() {
    let (Some(archive), Some(popular)) = (test_data("ut1-full.tar.zst"), test_data("popular-hosts.txt.zst")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    unpack(&archive, folder.path());
    let catalogue = Catalogue::read(folder.path(), folder.path()).unwrap();
    let out = folder.path().join("image");
    let report = compile(&catalogue, &out).unwrap();
    let image = Image::open(&out).unwrap();
    image.verify().unwrap();

    let naive = Naive::read(folder.path(), &image);
    let totals = report.totals;
    assert_eq!(naive.name_lines, 5_629_414);
    assert_eq!(totals.name_entries, 5_629_414, "every line of the domains is used");
    assert_eq!(totals.names + totals.networks, 5_089_067);
    assert_eq!(naive.hosts.len(), 5_089_067);
    assert_eq!(totals.networks, 31_185);
    assert_eq!(naive.urls.len(), 43_341);
    assert_eq!(naive.urls.iter().map(|(_, line)| line).collect::<HashSet<_>>().len(), 24_243);
    // 1,070 of them differ in spelling only: capitals, final slashes, what follows `#`, percent-encoding.
    assert_eq!((totals.url_entries, totals.urls, totals.bad_lines), (43_341, 23_173, 0));
    assert_eq!(totals.expressions, 7);
    assert_eq!(image.lists().iter().filter(|list| list.names > 0).count(), 69);
    // And the two very restrictive expressions of UT1, which are a list of their own.
    assert_eq!(image.lists().len(), 70);

    for (list, line) in &naive.urls {
        let (host, path) = line.split_at(line.find('/').unwrap_or(line.len()));
        let candidate = Candidate::new(&Host::parse(host).unwrap(), if path.is_empty() { "/" } else { path });
        let list = ListId::new(*list).unwrap();
        assert!(image.matches(&candidate).contains(list));
        let entry = image.entry(list, &candidate).expect("a list that matches has an entry");
        assert!(entry.file.ends_with("/urls"), "the most specific: {}", entry.file);
    }

    let mut text = String::new();
    zstd::Decoder::new(File::open(&popular).unwrap()).unwrap().read_to_string(&mut text).unwrap();
    let hosts: Vec<Host> = text.lines().filter_map(|line| Host::parse(line).ok()).collect();
    assert!(hosts.len() > 100_000);
    let listed = hosts.iter().filter(|host| assert_agrees(&image, &naive, host)).count();
    assert!((20_000..40_000).contains(&listed), "{listed}");
    hosts.iter().step_by(10).for_each(|host| assert_explained(&image, &naive, host));

    for name in naive.hosts.keys().step_by(23) {
        let host = Host::parse(name).unwrap();
        assert!(assert_agrees(&image, &naive, &host));
        assert_explained(&image, &naive, &host);
        // A child is covered, a name that only ends alike is not the same.
        for beside in [format!("child.{name}"), format!("x{name}"), format!("{name}x")] {
            if let Ok(beside) = HostName::parse(&beside) {
                assert_agrees(&image, &naive, &Host::Name(beside));
            }
        }
    }
}

#[test]
fn whatever_the_test_data_holds_no_parser_stumbles_over_it() {
    let archives =
        ["adblock-lists.tar.zst", "e2guardian-phraselists.tar.zst", "html-pages.tar.zst", "ut1-small.tar.zst"];
    let formats = [Format::Domains, Format::Hosts, Format::Urls, Format::Cidr, Format::Adblock, Format::Expressions];
    let (mut rules, mut faults) = (0, 0);
    for archive in archives {
        let Some(archive) = test_data(archive) else { return };
        let decoder = zstd::Decoder::new(File::open(&archive).unwrap()).unwrap();
        for entry in tar::Archive::new(decoder).entries().unwrap() {
            let mut entry = entry.unwrap();
            let is_ads =
                archive.ends_with("adblock-lists.tar.zst") && entry.path().unwrap().ends_with("easylist_easylist.txt");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            for format in formats {
                // Half a million lines are not expressions, and to try costs a compile each.
                let some = if format == Format::Expressions { &bytes[..bytes.len().min(2000)] } else { &bytes[..] };
                let (found, wrong) = count_entries(format, some).unwrap();
                if is_ads && format == Format::Adblock {
                    (rules, faults) = (found, wrong);
                }
            }
        }
    }
    assert!(rules > 10_000, "EasyList has more than {rules} rules");
    assert!(faults * 100 < rules, "{faults} faults for {rules} rules");
}

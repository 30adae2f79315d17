//! UT1 in the formats of the others: the same names for everybody.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::harness;

/// The lists, unpacked and rewritten.
pub struct Lists {
    /// `ut1/<category>/{domains,urls,…}`.
    pub ut1: PathBuf,
    /// One domain a line, `.example.net`: no address, and no name below another one (Squid refuses those).
    pub dotted: PathBuf,
    /// One name a line.
    pub plain: PathBuf,
    /// How many different names there are.
    pub names: usize,
    /// A name that all of them refuse.
    pub refused: String,
    /// Hosts to be looked up, some of them listed.
    pub popular: std::sync::Arc<[String]>,
}

/// Categories that the policy of the tests refuses to pupils: what is asked and refused is one of these.
const REFUSED: [&str; 2] = ["adult", "games"];
/// How many hosts are looked up.
const LOOK_UPS: usize = 100_000;

/// Unpacks and rewrites them into `folder`.
pub fn prepare(data: &Path, archive: &str, folder: &Path) -> Lists {
    harness::unpack(&data.join(archive), folder);
    let ut1 = folder.join("ut1");
    let mut names = HashSet::new();
    for category in std::fs::read_dir(&ut1).expect("UT1") {
        let category = category.expect("an entry").path();
        // The folders of old names are links to the new ones.
        if category.is_symlink() {
            continue;
        }
        let Ok(text) = std::fs::read(category.join("domains")) else { continue };
        for line in String::from_utf8_lossy(&text).lines() {
            let name = line.trim().trim_end_matches('.').to_ascii_lowercase();
            let is_name = name.contains('.')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
                && name.parse::<std::net::IpAddr>().is_err();
            if is_name {
                names.insert(name);
            }
        }
    }
    assert!(names.len() > 100_000, "only {} names in UT1", names.len());
    let write = |file: &str, dot: &str, wanted: &dyn Fn(&str) -> bool| {
        let path = folder.join(file);
        let mut out = std::io::BufWriter::new(std::fs::File::create(&path).expect("a writable folder"));
        for name in names.iter().filter(|name| wanted(name)) {
            writeln!(out, "{dot}{name}").expect("space on the disk");
        }
        out.flush().expect("space on the disk");
        path
    };
    let is_top = |name: &str| {
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if names.contains(parent) {
                return false;
            }
            rest = parent;
        }
        true
    };
    let (dotted, plain) = (write("dotted.txt", ".", &is_top), write("plain.txt", "", &|_| true));
    let of = |category: &str| std::fs::read(ut1.join(category).join("domains")).ok();
    let refused = REFUSED.iter().find_map(|category| of(category)).expect("a category that is refused");
    let refused = String::from_utf8_lossy(&refused);
    let refused = refused.lines().find(|line| names.contains(*line) && is_top(line)).expect("a name").to_owned();
    Lists { ut1, dotted, plain, names: names.len(), refused, popular: popular(data) }
}

fn popular(data: &Path) -> std::sync::Arc<[String]> {
    let file = std::fs::File::open(data.join("popular-hosts.txt.zst")).expect("the public test data");
    let text = zstd::decode_all(file).expect("a zstd file");
    let text = String::from_utf8(text).expect("names");
    let mut hosts = Vec::with_capacity(LOOK_UPS);
    // Once is not enough to be a hundred thousand: the most popular are asked for again.
    while hosts.len() < LOOK_UPS {
        let host = |line: &str| line.rsplit(['\t', ' ', ',']).next().unwrap_or_default().to_owned();
        hosts.extend(text.lines().map(host).filter(|host| host.contains('.')).take(LOOK_UPS - hosts.len()));
    }
    hosts.into()
}

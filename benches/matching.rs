//! Look-ups in the compiled lists, on the whole of UT1. Finds its data by `ECLUSE_TEST_DATA`:
//!
//! ```text
//! ECLUSE_TEST_DATA=… cargo bench --bench matching
//! ```
//!
//! S1 is what a school asks for: nine popular hosts in ten, one listed name in ten.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run says so by ending")]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use ecluse::access::Host;
use ecluse::lists::{Candidate, Catalogue, Image, compile};

fn main() {
    // `cargo test --benches` runs this, too: it has nothing to check without being asked to measure.
    let Some(data) = std::env::var_os("ECLUSE_TEST_DATA").filter(|_| std::env::args().any(|arg| arg == "--bench"))
    else {
        println!("matching: SKIPPED, it needs ECLUSE_TEST_DATA and `cargo bench`");
        return;
    };
    let data = Path::new(&data);
    let folder = tempfile::tempdir().unwrap();
    tar::Archive::new(unpacked(&data.join("ut1-full.tar.zst"))).unpack(folder.path()).unwrap();
    fs::write(folder.path().join("ut1.toml"), "[[source]]\nname = 'ut1'\nformat = 'squidguard'\npath = 'ut1'\n")
        .unwrap();
    let image = compile_and_open(folder.path());
    let mut popular = String::new();
    unpacked(&data.join("popular-hosts.txt.zst")).read_to_string(&mut popular).unwrap();
    let listed = fs::read_to_string(folder.path().join("ut1/adult/domains")).unwrap();
    names(&image, &hosts(popular.lines()), &hosts(listed.lines().step_by(101)));
    let mut requests = String::new();
    unpacked(&data.join("requests.tsv.zst")).read_to_string(&mut requests).unwrap();
    urls(&image, &requests);
}

fn unpacked(file: &Path) -> impl Read {
    zstd::Decoder::new(File::open(file).unwrap()).unwrap()
}

fn hosts<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Host> {
    lines.filter_map(|line| Host::parse(line).ok()).collect()
}

fn compile_and_open(folder: &Path) -> Image {
    let out = folder.join("image");
    let catalogue = Catalogue::read(folder, folder).unwrap();
    let (took, report) = timed(|| compile(&catalogue, &out).unwrap());
    assert_eq!(report.totals.names + report.totals.networks, 5_089_067);
    println!("compile {:>8.2} s, image {:.1} MiB", took.as_secs_f64(), mib(report.bytes));
    let (took, image) = timed(|| Image::open(&out).unwrap());
    let (hot, _) = image.sizes();
    println!("open    {:>8.1} ms, hot {:.1} MiB", took.as_secs_f64() * 1e3, mib(hot));
    image
}

fn names(image: &Image, popular: &[Host], listed: &[Host]) {
    let s1: Vec<Host> =
        shuffled((0..200_000).map(|i| {
            if i % 10 == 0 { listed[i / 10 % listed.len()].clone() } else { popular[i % popular.len()].clone() }
        }));
    let free: Vec<Host> =
        popular.iter().filter(|host| image.matches(&Candidate::host(host)).is_empty()).cloned().collect();
    let everything = shuffled(listed.iter().cloned());
    for (what, hosts, expected) in
        [("S1", &s1, None), ("not listed", &free, Some(0)), ("all listed", &everything, Some(everything.len()))]
    {
        let candidates: Vec<Candidate> = hosts.iter().map(Candidate::host).collect();
        let found = measure(what, &candidates, |candidate| !image.matches(candidate).is_empty());
        assert!(expected.is_none_or(|expected| found == expected), "{what}: {found}");
        assert!(what != "S1" || found > s1.len() / 10);
    }
    measure("S1, with the making of the candidate", &s1, |host| !image.matches(&Candidate::host(host)).is_empty());
}

fn urls(image: &Image, requests: &str) {
    let targets: Vec<(Host, &str)> = requests.lines().filter_map(target).collect();
    assert!(targets.len() > 20_000);
    let found = measure("URLs, from host and path", &targets, |(host, path)| {
        !image.matches(&Candidate::new(host, path)).is_empty()
    });
    assert!((1..targets.len()).contains(&found));
}

fn target(line: &str) -> Option<(Host, &str)> {
    let url = line.split('\t').next()?.split_once("://")?.1;
    let (host, path) = url.split_at(url.find(['/', '?'])?);
    Some((Host::parse(host.split(':').next()?).ok()?, path))
}

/// Prints the mean of the best of nine rounds, then median and p99 of single look-ups less what the clock costs.
fn measure<T>(what: &str, items: &[T], ask: impl Fn(&T) -> bool) -> usize {
    let mut best = Duration::MAX;
    let mut found = 0;
    for _ in 0..9 {
        let (took, count) = timed(|| items.iter().filter(|item| black_box(ask(black_box(item)))).count());
        best = best.min(took);
        found = count;
    }
    let clock = percentiles((0..items.len()).map(|_| timed(|| black_box(0)).0)).0;
    let (median, p99) = percentiles(items.iter().map(|item| timed(|| black_box(ask(black_box(item)))).0));
    println!(
        "{what:<40} mean {:>6.1} ns, median {:>5} ns, p99 {:>6} ns, {found} of {} found",
        best.as_nanos() as f64 / items.len() as f64,
        median.saturating_sub(clock),
        p99.saturating_sub(clock),
        items.len()
    );
    found
}

fn percentiles(times: impl Iterator<Item = Duration>) -> (u128, u128) {
    let mut times: Vec<u128> = times.map(|time| time.as_nanos()).collect();
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn timed<T>(f: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = f();
    (start.elapsed(), value)
}

/// The same order every time.
fn shuffled(hosts: impl Iterator<Item = Host>) -> Vec<Host> {
    let mut hosts: Vec<Host> = hosts.collect();
    let mut state = 1u64;
    for i in (1..hosts.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        hosts.swap(i, (state >> 33) as usize % (i + 1));
    }
    hosts
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

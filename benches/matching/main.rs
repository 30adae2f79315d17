//! Look-ups in the compiled lists, on the whole of UT1. Finds its data by `ECLUSE_TEST_DATA`:
//!
//! ```text
//! ECLUSE_TEST_DATA=… cargo bench --bench matching
//! ```
//!
//! Each figure stands beside what was aimed at; what is found is counted and asserted.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run says so by ending")]

mod measure;
mod names;
mod urls;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use ecluse::lists::{Catalogue, Image, compile};
use measure::timed;

fn main() {
    // `cargo test --benches` runs this, too: it has nothing to check without being asked to measure.
    let Some(data) = std::env::var_os("ECLUSE_TEST_DATA").filter(|_| std::env::args().any(|arg| arg == "--bench"))
    else {
        println!("matching: SKIPPED, it needs ECLUSE_TEST_DATA and `cargo bench`");
        return;
    };
    let data = Path::new(&data);
    let folder = tempfile::tempdir().unwrap();
    unpack(&data.join("ut1-full.tar.zst"), folder.path());
    unpack(&data.join("adblock-lists.tar.zst"), folder.path());
    let (ut1, ads) = (catalogue_of_ut1(), catalogue_of_ads(folder.path()));
    let image = compile_and_open(folder.path(), &ut1);
    let popular = text_of(&data.join("popular-hosts.txt.zst"));
    let listed = fs::read_to_string(folder.path().join("ut1/adult/domains")).unwrap();
    names::run(&image, &popular, &listed);
    let (all, ads) = (compiled(folder.path(), &format!("{ut1}{ads}")), compiled(folder.path(), &ads));
    urls::run(&image, &all, &ads, folder.path(), &text_of(&data.join("requests.tsv.zst")));
}

fn catalogue_of_ut1() -> String {
    "[[source]]\nname = 'ut1'\nformat = 'squidguard'\npath = 'ut1'\n".to_owned()
}

fn catalogue_of_ads(folder: &Path) -> String {
    let source = |file: PathBuf| {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        format!("[[source]]\nname = '{name}'\nformat = 'adblock'\npath = '{}'\n", file.display())
    };
    ad_lists(folder).into_iter().map(source).collect()
}

/// In the order of their names.
fn ad_lists(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("adblock")).unwrap().map(|entry| entry.unwrap().path());
    let mut lists: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|e| e == "txt")).collect();
    lists.sort();
    assert_eq!(lists.len(), 6);
    lists
}

fn catalogue(folder: &Path, sources: &str) -> Catalogue {
    let rules = folder.join("rules");
    fs::create_dir_all(&rules).unwrap();
    fs::write(rules.join("lists.toml"), sources).unwrap();
    Catalogue::read(&rules, folder).unwrap()
}

fn compiled(folder: &Path, sources: &str) -> Image {
    let out = folder.join("other-image");
    let report = compile(&catalogue(folder, sources), &out).unwrap();
    println!("ad lists: {} rules, {} lines cannot be used", report.totals.rules, report.totals.bad_lines);
    let image = Image::open(&out).unwrap();
    image.warm();
    image
}

fn unpack(archive: &Path, into: &Path) {
    tar::Archive::new(zstd::Decoder::new(File::open(archive).unwrap()).unwrap()).unpack(into).unwrap();
}

fn text_of(file: &Path) -> String {
    let mut text = String::new();
    zstd::Decoder::new(File::open(file).unwrap()).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn compile_and_open(folder: &Path, sources: &str) -> Image {
    let out = folder.join("image");
    let catalogue = catalogue(folder, sources);
    let (took, report) = timed(|| compile(&catalogue, &out).unwrap());
    assert_eq!(report.totals.names + report.totals.networks, 5_089_067);
    println!("compile {:>8.2} s (aim 3.0), image {:.1} MiB", took.as_secs_f64(), mib(report.bytes));
    let peak = peak_of_memory();
    println!(
        "        {:>8.1} MiB at most, {:.1} times the image (aim 6)",
        mib(peak),
        peak as f64 / report.bytes as f64
    );
    let (took, image) = timed(|| Image::open(&out).unwrap());
    let (hot, _) = image.sizes();
    println!("open    {:>8.1} ms (aim 40), hot {:.1} MiB (aim 40)", took.as_secs_f64() * 1e3, mib(hot));
    let (took, ()) = timed(|| image.warm());
    println!("warm    {:>8.1} ms", took.as_secs_f64() * 1e3);
    image
}

/// Of this process, by what the kernel noted.
fn peak_of_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

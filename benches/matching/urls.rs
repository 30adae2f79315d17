//! URLs of real page loads.

use ecluse::access::Host;
use ecluse::lists::{Candidate, Image};

use crate::measure::{Aim, measure, print};

pub fn run(image: &Image, requests: &str) {
    let targets: Vec<(Host, &str)> = requests.lines().filter_map(target).collect();
    assert!(targets.len() > 20_000);
    let cost = measure(
        &targets,
        |target| target.clone(),
        |(host, path)| !image.matches(&Candidate::new(host, path)).is_empty(),
    );
    print(
        "URLs, from host and path",
        targets.len(),
        &cost,
        Aim { mean: Some(1000.0), p99: Some(5000.0), median: None },
    );
    assert!((1..targets.len()).contains(&cost.found));
}

fn target(line: &str) -> Option<(Host, &str)> {
    let url = line.split('\t').next()?.split_once("://")?.1;
    let (host, path) = url.split_at(url.find(['/', '?'])?);
    Some((Host::parse(host.split(':').next()?).ok()?, path))
}

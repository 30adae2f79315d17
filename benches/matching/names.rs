//! Hosts. S1 is what a school asks for: nine popular hosts in ten, one listed name in ten.

use ecluse::access::Host;
use ecluse::lists::{Candidate, Image};

use crate::measure::{Aim, measure, print};

pub fn run(image: &Image, popular: &str, listed: &str) {
    let popular: Vec<&str> = popular.lines().filter(|line| is_canonical(line)).collect();
    let listed: Vec<&str> = listed.lines().step_by(101).filter(|line| is_canonical(line)).collect();
    let s1 = Stream::of((0..200_000).map(|i| if i % 10 == 0 { pick(&listed, i / 10) } else { pick(&popular, i) }));
    let free = Stream::of(popular.iter().copied().filter(|host| image.matches(&candidate(host)).is_empty()));
    let all = Stream::of(listed.iter().copied());

    let aims = Aim { median: Some(60.0), p99: Some(350.0), mean: None };
    let checked = Aim { mean: Some(110.0), ..Aim::default() };
    for (what, stream) in [("S1", &s1), ("not listed", &free), ("all listed", &all)] {
        let is_s1 = what == "S1";
        let names = image.names().unwrap();
        let text = |range: &(u32, u32)| stream.text(range);
        let table = measure(&stream.hosts, text, |host| {
            let mut found = false;
            names.walk(host, |hit| found |= hit.slot.set() != 0);
            found
        });
        print(&format!("{what}, names' table"), stream.hosts.len(), &table, if is_s1 { aims } else { Aim::default() });
        let exact = measure(&stream.hosts, text, |host| image.lists_name(host));
        let aims = if is_s1 { checked } else { Aim::default() };
        print(&format!("{what}, with the exact check"), stream.hosts.len(), &exact, aims);
        assert!(table.found >= exact.found && table.found - exact.found <= 1, "a collision in thousands of millions");
        let whole = measure(&stream.hosts, |range| candidate(stream.text(range)), |c| !image.matches(c).is_empty());
        print(&format!("{what}, all lists"), stream.hosts.len(), &whole, Aim::default());
        match what {
            "S1" => assert!(exact.found > stream.hosts.len() / 10),
            "not listed" => assert_eq!((exact.found, whole.found), (0, 0)),
            _ => assert_eq!((exact.found, whole.found), (stream.hosts.len(), stream.hosts.len())),
        }
    }
}

fn is_canonical(line: &str) -> bool {
    matches!(Host::parse(line), Ok(Host::Name(name)) if name.as_str() == line)
}

fn candidate(host: &str) -> Candidate {
    Candidate::host(&Host::parse(host).unwrap())
}

fn pick<'a>(hosts: &[&'a str], i: usize) -> &'a str {
    hosts[i % hosts.len()]
}

/// Hosts in one text, in a random order that is the same every time: what is measured is our table's memory, not
/// where the bench keeps its questions.
struct Stream {
    text: String,
    hosts: Vec<(u32, u32)>,
}

impl Stream {
    fn of<'a>(hosts: impl Iterator<Item = &'a str>) -> Stream {
        let mut hosts: Vec<&str> = hosts.collect();
        let mut state = 1u64;
        for i in (1..hosts.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            hosts.swap(i, (state >> 33) as usize % (i + 1));
        }
        let mut stream = Stream { text: String::new(), hosts: Vec::new() };
        for host in hosts {
            let start = stream.text.len() as u32;
            stream.text.push_str(host);
            stream.hosts.push((start, stream.text.len() as u32));
        }
        stream
    }

    fn text(&self, &(start, end): &(u32, u32)) -> &str {
        &self.text[start as usize..end as usize]
    }
}

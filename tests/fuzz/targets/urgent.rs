//! Files of urgent changes: read or refused with a line that exists; what is read is written and read again the same,
//! and an image takes it.

#![no_main]

use std::path::Path;

use ecluse::access::Host;
use ecluse::lists::{Candidate, Format, Image, ListText, Urgent};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let file = Path::new("urgent.toml");
    let urgent = match Urgent::parse(file, text) {
        Ok(urgent) => urgent,
        Err(problems) => {
            let lines = text.matches('\n').count() as u32 + 1;
            assert!(
                !problems.is_empty() && problems.iter().all(|p| p.line.is_none_or(|line| (1..=lines).contains(&line)))
            );
            return;
        }
    };
    let again = Urgent::parse(file, &urgent.to_text()).expect("what was written is read");
    assert_eq!(again.entries.len(), urgent.entries.len());
    let meant = |urgent: &Urgent| -> Vec<(String, String)> {
        urgent.entries.iter().map(|entry| (entry.host.clone(), entry.path.clone())).collect()
    };
    assert_eq!(meant(&again), meant(&urgent));
    let list = ListText::new("fuzz", "phishing", Format::Domains, "example.org\n10.0.0.1\n");
    let image = Image::from_texts(&[list]).expect("a good list");
    let Ok(image) = image.with_urgent(again.clone()) else { return };
    for entry in again.entries.iter().take(50) {
        let host = Host::parse(&entry.host).expect("a host is what was read");
        let candidate = Candidate::new(&host, &entry.path);
        for list in image.matches(&candidate).iter() {
            let found = image.entry(list, &candidate).expect("a list that matches has an entry");
            assert!(found.file != "urgent.toml" || found.author.is_some());
        }
    }
});

//! Lists as people write them: every format compiles whatever stands in it, and what is found names a line that exists.

#![no_main]

use ecluse::access::{Host, HostName};
use ecluse::lists::{Candidate, Format, Image, ListText};
use ecluse::matcher::rules::{Context, RequestKind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, String, String)| {
    let (format, text, host) = input;
    let formats = [Format::Domains, Format::Hosts, Format::Urls, Format::Expressions, Format::Cidr, Format::Adblock];
    let format = formats[usize::from(format) % formats.len()];
    let Ok(image) = Image::from_texts(&[ListText::new("fuzz", "adult", format, &text)]) else { return };
    image.verify().expect("what was just made is whole");
    let lines = text.lines().count() as u32;
    // The host asked, and every line taken for one.
    for host in text.lines().take(20).chain([host.as_str()]) {
        let Ok(host) = Host::parse(host) else { continue };
        let context = Context { page: HostName::parse("page.example").ok(), kind: Some(RequestKind::Script) };
        let candidate = Candidate::new(&host, "/a/path?query").with_context(context);
        for list in image.matches(&candidate).iter() {
            if let Some(entry) = image.entry(list, &candidate) {
                assert!(entry.line >= 1 && entry.line <= lines.max(1), "line {} of {lines}", entry.line);
            }
        }
    }
});

//! Images of lists with bytes changed anywhere: refused, or read without a fault; never a crash.
//!
//! The input says where a good image is damaged.

#![no_main]

use std::sync::OnceLock;

use ecluse::access::Host;
use ecluse::lists::{Candidate, Catalogue, Image, compile};
use libfuzzer_sys::fuzz_target;

const TEXT: &str = "adult.test\nwww.example.org\nfoo.bar.example\nxn--bcher-kva.example\n192.0.2.1\n";

/// The bytes of a good image.
fn good() -> &'static [u8] {
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("a.txt"), TEXT).expect("a writable folder");
        let catalogue = "[[source]]\nname = \"a\"\nformat = \"domains\"\npath = \"a.txt\"\ncategory = \"adult\"\nlicence = \"EUPL-1.2\"\n";
        std::fs::write(folder.path().join("a.toml"), catalogue).expect("a writable folder");
        let catalogue = Catalogue::read(folder.path(), folder.path()).expect("a good catalogue");
        let out = folder.path().join("image");
        compile(&catalogue, &out).expect("a good list");
        std::fs::read(out).expect("the image")
    })
}

fuzz_target!(|changes: Vec<(u16, u8)>| {
    let mut bytes = good().to_vec();
    for (at, byte) in changes.into_iter().take(16) {
        let at = usize::from(at) * 16 % bytes.len() + usize::from(byte % 16);
        if let Some(place) = bytes.get_mut(at) {
            *place ^= byte | 1;
        }
    }
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &bytes).expect("a writable file");
    let Ok(image) = Image::open(file.path()) else { return };
    let _ = image.verify();
    for name in TEXT.lines() {
        let host = Host::parse(name).expect("a good name");
        let candidate = Candidate::new(&host, "/");
        for list in image.matches(&candidate).iter() {
            let _ = image.entry(list, &candidate);
        }
    }
});

//! First bytes: whatever they are and however they are cut, the answer is the same, and none is taken back.

#![no_main]

use ecluse::detect::{Detector, Ja4, Step, detect, detect_server};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = detect(bytes);
    let mut growing = Detector::default();
    let mut decided = None;
    for end in 0..=bytes.len() {
        let step = growing.look(&bytes[..end]);
        match (&decided, step) {
            (None, Step::Done(signature)) => {
                decided = Some(signature);
                break;
            }
            (_, step) => assert_eq!(step, detect(&bytes[..end]), "byte by byte, after {end}"),
        }
    }
    match (decided, whole) {
        (Some(early), Step::Done(late)) => assert_eq!(early.protocol, late.protocol, "more bytes changed the answer"),
        (Some(early), Step::Need) => panic!("{early:?} after a part, and nothing after the whole"),
        (None, Step::Done(late)) => panic!("{late:?} at once, and nothing byte by byte"),
        (None, Step::Need) => {}
    }
    let server = detect_server(bytes);
    for end in 0..bytes.len().min(700) {
        let step = detect_server(&bytes[..end]);
        assert!(step == Step::Need || step == server, "a server's {step:?} after {end}, {server:?} in the end");
    }
    if let Some(ja4) = Ja4::of_stream(bytes) {
        assert_eq!(ja4.as_str().len(), 36, "{ja4}");
    }
});

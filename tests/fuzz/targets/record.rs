//! Records of the journal: only canonical bytes are a record, and they are that record's bytes.

#![no_main]

use ecluse::access::encoding::Canonical;
use ecluse::access::{AccessRecord, ConnectionRecord};
use libfuzzer_sys::fuzz_target;

fn check<R: Canonical>(bytes: &[u8]) {
    if let Ok(record) = R::decode(bytes) {
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!(again, bytes, "two spellings of one record");
    }
}

fuzz_target!(|bytes: &[u8]| {
    check::<AccessRecord>(bytes);
    check::<ConnectionRecord>(bytes);
});

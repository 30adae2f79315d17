use super::*;
use crate::access::{CollegeCode, GatewayName, Stream, Timestamp};
use crate::accesslog::frame::{self, Key, Kind};
use crate::accesslog::owner::Owner;

fn seed() -> Seed {
    Seed::of(Stream::Accesses, 7, 1)
}

/// A segment of `frames` frames of `each` bytes that hardly compress, and the length of its header.
fn segment(frames: u64, each: usize) -> (Vec<u8>, usize) {
    let owner = Owner {
        college: CollegeCode::parse("0131234A").unwrap(),
        gateway: GatewayName::parse("gw-1").unwrap(),
        since: Timestamp::default(),
    };
    let mut bytes = Header::bare(Stream::Accesses, &owner, 7, 1, Timestamp::default()).encode();
    let header = bytes.len();
    let (mut out, mut random) = (Vec::new(), 1u64);
    for sequence in 0..frames {
        frame::put_record(Kind::Completion, Key { sequence, slice: 0 }, &mut out, |out| {
            for _ in 0..each / 8 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                out.extend_from_slice(&(random >> 36).to_le_bytes());
            }
        });
    }
    frame::seal(&mut out, seed());
    bytes.append(&mut out);
    (bytes, header)
}

fn sequences(bytes: &[u8]) -> Vec<u64> {
    let key = |piece| match piece {
        Piece::Frame { payload, .. } => frame::split_record(payload).map(|(key, _)| key.sequence),
        Piece::Damage { .. } | Piece::Tail { .. } => None,
    };
    scan(bytes, seed()).filter_map(key).collect()
}

#[test]
fn any_stretch_of_a_compressed_segment_is_that_of_the_segment() {
    for (frames, each) in [(0, 0), (1, 100), (9_000, 400), (30, 200_000)] {
        let (whole, header) = segment(frames, each);
        let file = pack(&whole, header, seed()).unwrap();
        assert!(file.len() < whole.len() + 200);
        let packed = Packed::read(&file, seed()).unwrap();
        assert_eq!((packed.length, packed.damaged), (whole.len() as u64, 0));
        for start in [0, 1, header, whole.len() / 3, whole.len() / 2 + 1, whole.len(), whole.len() + 5] {
            for most in [0, 1, 5000, 1 << 20, usize::MAX] {
                let end = whole.len().min(start.saturating_add(most));
                let stretch = packed.stretch(start as u64, most as u64);
                assert!(stretch.bytes == whole[start.min(end)..end], "{frames} frames from {start}, {most}");
                assert_eq!(stretch.lost_at_end, 0);
            }
        }
    }
}

#[test]
fn a_block_that_is_damaged_costs_the_frames_in_it() {
    let (whole, header) = segment(9_000, 400);
    let file = pack(&whole, header, seed()).unwrap();
    let blocks = Packed::read(&file, seed()).unwrap().blocks.len();
    assert_eq!(blocks, 1 + whole.len().div_ceil(BLOCK), "the header, and one a MiB");
    let all = sequences(&whole[header..]);
    for at in (0..file.len()).step_by(file.len() / 97) {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        let packed = Packed::read(&damaged, seed()).unwrap();
        let stretch = packed.stretch(0, u64::MAX);
        assert!(packed.damaged > 0 || stretch.bytes != whole, "byte {at} goes unnoticed");
        assert_eq!(stretch.bytes.len(), whole.len(), "every place means what it meant");
        let lost = all.len() - sequences(&stretch.bytes[header..]).len();
        assert!(lost <= all.len() / (blocks - 2), "byte {at} costs {lost} frames of {}", all.len());
    }
}

#[test]
fn where_the_last_block_is_gone_that_is_known() {
    let (whole, header) = segment(9_000, 400);
    let file = pack(&whole, header, seed()).unwrap();
    let packed = Packed::read(&file[..file.len() - 1], seed()).unwrap();
    let stretch = packed.stretch(0, u64::MAX);
    assert!(stretch.lost_at_end > 0 && stretch.bytes.len() == whole.len());
}

#[test]
fn bytes_of_another_segment_are_not_taken() {
    let (whole, header) = segment(100, 400);
    let file = pack(&whole, header, seed()).unwrap();
    let elsewhere = Packed::read(&file, Seed::of(Stream::Accesses, 7, 2)).unwrap();
    assert!(elsewhere.blocks.is_empty() && elsewhere.damaged > 0);
}

#[test]
fn a_newer_format_is_left_for_a_newer_program() {
    let (whole, header) = segment(1, 8);
    let mut file = pack(&whole, header, seed()).unwrap();
    file[8] = 2;
    let crc = crc32c::crc32c(&file[..FIXED - 4]);
    file[FIXED - 4..FIXED].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(Packed::read(&file, seed()).err(), Some(HeaderError::Newer(2)));
}

#[test]
fn a_block_that_says_more_than_it_holds_or_may_hold_is_none() {
    let (whole, header) = segment(1_000, 400);
    let file = pack(&whole, header, seed()).unwrap();
    // Every length that a head can say, its checksum right.
    let at = FIXED + BLOCK_HEAD + header;
    for said in [0, 1, whole.len() as u32, BLOCK_MAX as u32, BLOCK_MAX as u32 + 1, u32::MAX] {
        let mut lying = file.clone();
        lying[at + 12..at + 16].copy_from_slice(&said.to_le_bytes());
        let crc = checksum(&lying[at + 4..at + 21], &lying[at + BLOCK_HEAD..], seed());
        lying[at + 21..at + 25].copy_from_slice(&crc.to_le_bytes());
        let stretch = Packed::read(&lying, seed()).unwrap().stretch(0, u64::MAX);
        assert_eq!(sequences(&stretch.bytes), [] as [u64; 0], "{said}");
    }
}

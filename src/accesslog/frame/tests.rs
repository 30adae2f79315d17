use super::*;

fn seed() -> Seed {
    Seed::of(Stream::Accesses, 7, 3)
}

fn segment(payloads: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in payloads {
        put(Kind::Completion, &mut bytes, |out| out.extend_from_slice(payload));
    }
    seal(&mut bytes, seed());
    bytes
}

fn payloads(bytes: &[u8]) -> Vec<Vec<u8>> {
    let frame = |piece| match piece {
        Piece::Frame { payload, .. } => Some(payload.to_vec()),
        _ => None,
    };
    scan(bytes, seed()).filter_map(frame).collect()
}

const THREE: [&[u8]; 3] = [b"one", b"", b"three, and longer than the others"];

#[test]
fn cut_at_every_byte_the_whole_frames_are_read_and_nothing_else() {
    let bytes = segment(&THREE);
    let ends: Vec<usize> = (1..=3).map(|n| segment(&THREE[..n]).len()).collect();
    for cut in 0..=bytes.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(payloads(&bytes[..cut]), THREE[..whole], "cut at {cut}");
    }
}

#[test]
fn a_byte_that_changed_costs_its_frame_only() {
    let bytes = segment(&THREE);
    for at in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            let read = payloads(&damaged);
            let hit = (1..=3).position(|n| at < segment(&THREE[..n]).len()).unwrap();
            let expected: Vec<&[u8]> = THREE.iter().enumerate().filter(|(n, _)| *n != hit).map(|(_, p)| *p).collect();
            assert_eq!(read, expected, "byte {at} ^ {change:#x}");
            assert!(
                scan(&damaged, seed()).any(|piece| !matches!(piece, Piece::Frame { .. })),
                "byte {at} goes unnoticed"
            );
        }
    }
}

#[test]
fn a_frame_of_another_segment_is_not_taken_for_one_of_this() {
    let bytes = segment(&THREE);
    for other in
        [Seed::of(Stream::Accesses, 7, 4), Seed::of(Stream::Accesses, 8, 3), Seed::of(Stream::Connections, 7, 3)]
    {
        assert!(scan(&bytes, other).all(|piece| matches!(piece, Piece::Tail { .. })));
    }
}

#[test]
fn bytes_that_are_no_frames_between_frames_are_passed_over() {
    let mut bytes = segment(&THREE[..1]);
    let first = bytes.len();
    bytes.extend_from_slice(&MARKER);
    bytes.extend_from_slice(&[0xff; 40]);
    bytes.extend_from_slice(&segment(&THREE[1..]));
    let pieces: Vec<_> = scan(&bytes, seed()).collect();
    assert_eq!(pieces[1], Piece::Damage { bytes: 44, end: first + 44 });
    assert_eq!(payloads(&bytes), THREE);
}

#[test]
fn footer_and_gap_are_read_back() {
    let footer = Footer { intents: 1, completions: 2, others: 3 };
    let gap = Gap {
        since: Timestamp::from_micros(-5),
        until: Timestamp::from_micros(7),
        count: 9,
        segment: 4,
        cause: "full".into(),
    };
    let mut bytes = Vec::new();
    footer.put(&mut bytes);
    put_gap(&gap, &mut bytes);
    seal(&mut bytes, seed());
    let read: Vec<_> = payloads(&bytes);
    assert_eq!((Footer::read(&read[0]), read_gap(&read[1])), (Some(footer), Some(gap)));
    assert_eq!(kinds(&bytes).collect::<Vec<_>>(), [Kind::Footer, Kind::Gap]);
}

proptest::proptest! {
    /// Whatever the bytes are, reading ends, and every byte is accounted for.
    #[test]
    fn any_bytes_are_read_to_their_end(noise in proptest::collection::vec(proptest::sample::select(vec![0u8, 1, 0xff, 0xfe, 0xec, 0x1c]), 0..200)) {
        let mut at = 0;
        for piece in scan(&noise, seed()) {
            at = match piece {
                Piece::Frame { end, .. } | Piece::Damage { end, .. } => end,
                Piece::Tail { bytes } => at + bytes,
            };
        }
        proptest::prop_assert_eq!(at, noise.len());
    }
}

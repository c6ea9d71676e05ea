//! Frames on a byte stream come out as they went in, however the stream is cut.

#[path = "../fuzz/checks/reassembler.rs"]
mod checks;

mod common;

use centauri_wire::*;
use checks::{check_chunks, check_input, cut, divide_at_once};
use common::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn stream_of(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = Vec::new();
    for frame in frames {
        encode_on_stream(frame, &mut stream).expect("a frame within the limits");
    }
    stream
}

fn push(reassembler: &mut Reassembler, bytes: &[u8]) -> (Vec<Vec<u8>>, Result<usize, StreamError>) {
    let mut frames = Vec::new();
    let result = reassembler.push(bytes, &mut |frame| frames.push(frame.to_vec()));
    (frames, result)
}

proptest! {
    #[test]
    fn any_cut_gives_the_frames_that_were_sent(
        frames in vec(vec(any::<u8>(), 1..300), 0..12),
        sizes in vec(any::<u8>(), 0..8),
    ) {
        let stream = stream_of(&frames);
        let chunks = cut(&stream, &sizes);
        prop_assert_eq!(chunks.concat(), stream.clone());
        let (expected, end) = divide_at_once(&stream, 300);
        prop_assert_eq!((expected, end), (frames.iter().map(Vec::as_slice).collect(), Ok(0)));
        check_chunks(chunks.into_iter(), &stream, 300);
    }

    /// Lengths that are mostly small, sometimes 0 or too long, with bytes that are often the wrong number.
    #[test]
    fn any_stream_is_divided_as_if_all_of_it_had_come_at_once(
        pieces in vec((prop_oneof![8 => 1_u32..20, 1 => 0_u32..60, 1 => any::<u32>()], vec(any::<u8>(), 0..20), any::<bool>()), 0..12),
        sizes in vec(prop_oneof![0_u8..6, any::<u8>()], 0..8),
        limit in 0_usize..40,
    ) {
        let mut stream = Vec::new();
        for (length, bytes, honest) in pieces {
            let length = if honest && !bytes.is_empty() { u32::try_from(bytes.len()).expect("small") } else { length };
            stream.extend_from_slice(&length.to_le_bytes());
            stream.extend_from_slice(&bytes);
        }
        check_chunks(cut(&stream, &sizes).into_iter(), &stream, limit);
    }

    #[test]
    fn random_inputs_never_panic(input in vec(any::<u8>(), 0..400)) {
        check_input(&input);
    }
}

#[test]
fn every_cut_into_three_gives_the_same_frames() {
    let frames = [vec![1], vec![2; 7], vec![3; 2], vec![4; 5]];
    let stream = stream_of(&frames);
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let chunks = [&stream[..first], &stream[first..second], &stream[second..]];
            check_chunks(chunks.into_iter(), &stream, 7);
        }
    }
}

#[test]
fn signed_frames_are_accepted_after_coming_byte_by_byte() {
    let sent = [
        cancel_frame(CLIENT, NOW_NS),
        stream_frame(SOURCE, NOW_NS, &[record(1, 1)]),
        distribution_frame(MONITOR),
    ];
    let mut verifier = verifier();
    let mut reassembler = Reassembler::new(FRAME_BYTES_MAX);
    for byte in stream_of(&sent) {
        let result = reassembler.push(&[byte], &mut |frame| {
            verifier.check(NOW_NS, frame).expect("a good frame");
        });
        assert!(result.is_ok());
    }
    assert_eq!(verifier.counters().frames_accepted, 3);
}

#[test]
fn a_frame_whole_within_a_chunk_is_not_copied() {
    let stream = stream_of(&[vec![1; 50], vec![2; 60]]);
    let mut reassembler = Reassembler::new(100);
    let mut places = Vec::new();
    // The first chunk ends after three bytes of the length: the frame itself lies whole in the second.
    assert_eq!(reassembler.push(&stream[..3], &mut |_| ()), Ok(0));
    assert_eq!(reassembler.push(&stream[3..], &mut |frame| places.push(frame.as_ptr_range())), Ok(2));
    assert_eq!(places, [stream[4..54].as_ptr_range(), stream[58..].as_ptr_range()]);
    assert_eq!(reassembler.buffer_capacity(), 0);
}

#[test]
fn a_wrong_length_ends_the_stream_for_good() {
    let good = stream_of(&[vec![9; 4]]);
    let too_long = |found| StreamError::TooLong { found, max: 10 };
    for (length, error) in
        [(0, StreamError::ZeroLength), (11, too_long(11)), (u32::MAX, too_long(0xffff_ffff))]
    {
        let mut reassembler = Reassembler::new(10);
        let bad = [good.clone(), length.to_le_bytes().to_vec(), good.clone()].concat();
        assert_eq!(
            push(&mut reassembler, &bad),
            (vec![vec![9; 4]], Err(error)),
            "the frame before it stands"
        );
        for later in [&good[..], &[], &bad] {
            assert_eq!(push(&mut reassembler, later), (vec![], Err(error)));
        }
        assert_eq!(
            (reassembler.buffered(), reassembler.is_partial(), reassembler.buffer_capacity()),
            (0, false, 0)
        );
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

#[test]
fn the_limit_itself_is_allowed() {
    let stream = stream_of(&[vec![5; 10]]);
    assert_eq!(push(&mut Reassembler::new(10), &stream).1, Ok(1));
    assert_eq!(push(&mut Reassembler::new(9), &stream).1, Err(StreamError::TooLong { found: 10, max: 9 }));
    assert_eq!(push(&mut Reassembler::new(0), &stream).1, Err(StreamError::TooLong { found: 10, max: 0 }));
}

/// A length announced costs nothing; memory follows the bytes that came.
#[test]
fn memory_grows_with_what_has_come() {
    let mut reassembler = Reassembler::new(usize::MAX);
    assert_eq!(reassembler.push(&[0xff; 4], &mut |_| ()), Ok(0));
    assert_eq!((reassembler.buffered(), reassembler.buffer_capacity()), (4, 0));
    for came in 1..=1_000 {
        assert_eq!(reassembler.push(&[7], &mut |_| ()), Ok(0));
        assert_eq!(reassembler.buffered(), 4 + came);
        assert!((came..=2 * came).contains(&reassembler.buffer_capacity()));
    }
}

/// Frames of the greatest length, byte by byte: the buffer never holds more than one of them.
#[test]
fn memory_stays_within_the_limit() {
    let stream = stream_of(&[vec![1; 5_000], vec![2; 10_000], vec![3; 7_000]]);
    check_chunks(stream.chunks(1), &stream, 10_000);
    check_chunks(stream.chunks(1_777), &stream, 10_000);
}

#[test]
fn frames_that_cannot_be_received_cannot_be_sent() {
    let mut out = vec![1];
    let max = FRAME_BYTES_MAX as u64;
    assert_eq!(encode_on_stream(&[], &mut out), Err(StreamError::ZeroLength));
    let too_long = vec![0; FRAME_BYTES_MAX + 1];
    assert_eq!(encode_on_stream(&too_long, &mut out), Err(StreamError::TooLong { found: max + 1, max }));
    assert_eq!(out, [1], "nothing is left to send by mistake");
    assert_eq!(encode_on_stream(&too_long[1..], &mut out), Ok(()));
    assert_eq!(out.len(), 1 + STREAM_LENGTH_BYTES + FRAME_BYTES_MAX);
}

#[test]
fn a_sink_that_panics_does_not_leave_the_stream_within_its_frame() {
    let mut sent = Vec::new();
    encode_on_stream(b"first", &mut sent).unwrap();
    encode_on_stream(b"second", &mut sent).unwrap();
    // Cut within the first frame, and not at all: the frame is collected, and handed over where it lies.
    for cut in [6, 0] {
        let mut reassembler = Reassembler::new(FRAME_BYTES_MAX);
        assert_eq!(reassembler.push(&sent[..cut], &mut |_| ()), Ok(0));
        let pushed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            reassembler.push(&sent[cut..9], &mut |_| panic!("as a sink might"))
        }));
        assert!(pushed.is_err());
        let mut frames = Vec::new();
        assert_eq!(reassembler.push(&sent[9..], &mut |frame| frames.push(frame.to_vec())), Ok(1));
        assert_eq!(frames, [b"second"]);
    }
}

//! What holds of the reassembler for every input: it agrees with a parser that sees the whole stream.

use centauri_wire::{Reassembler, StreamError};

/// What is left after the frames: bytes of an incomplete one, or the error that ended the stream.
type End = Result<usize, StreamError>;

/// Divides a whole stream at once, straight from the table in `docs/PROTOCOL.md`.
pub(crate) fn divide_at_once(stream: &[u8], frame_bytes_max: usize) -> (Vec<&[u8]>, End) {
    let mut frames = Vec::new();
    let mut at = 0;
    while at + 4 <= stream.len() {
        let length = stream[at..at + 4].iter().rev().fold(0_u64, |sum, byte| sum * 256 + u64::from(*byte));
        if length == 0 {
            return (frames, Err(StreamError::ZeroLength));
        }
        if length > frame_bytes_max as u64 {
            return (frames, Err(StreamError::TooLong { found: length, max: frame_bytes_max as u64 }));
        }
        let end = at + 4 + usize::try_from(length).expect("within the limit");
        if end > stream.len() {
            break;
        }
        frames.push(&stream[at + 4..end]);
        at = end;
    }
    (frames, Ok(stream.len() - at))
}

/// Pushes a stream in chunks and compares with [`divide_at_once`].
///
/// # Panics
/// If the frames, the end, or the memory are not as they should be.
pub(crate) fn check_chunks<'a>(
    chunks: impl Iterator<Item = &'a [u8]>,
    stream: &[u8],
    frame_bytes_max: usize,
) {
    let (expected, end) = divide_at_once(stream, frame_bytes_max);
    let mut reassembler = Reassembler::new(frame_bytes_max);
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let mut pushed = 0;
    let mut failed = None;
    for chunk in chunks {
        let before = frames.len();
        let result = reassembler.push(chunk, &mut |frame| frames.push(frame.to_vec()));
        pushed += chunk.len();
        match (result, failed) {
            (Ok(count), None) => assert_eq!(count, frames.len() - before, "the count of frames"),
            (Err(error), None) => failed = Some(error),
            (result, Some(error)) => {
                assert_eq!(result, Err(error), "a failed stream stays failed");
                assert_eq!(frames.len(), before, "nothing comes after an error");
            }
        }
        let capacity = reassembler.buffer_capacity();
        assert!(capacity <= frame_bytes_max, "{capacity} bytes held, at most {frame_bytes_max}");
        assert!(capacity <= 2 * pushed, "{capacity} bytes held for {pushed} that came");
        assert!(reassembler.buffered() <= pushed && reassembler.buffered() < frame_bytes_max + 4);
        assert_eq!(reassembler.is_partial(), reassembler.buffered() != 0);
    }
    assert_eq!(frames, expected);
    assert_eq!(failed, end.err());
    assert_eq!(reassembler.buffered(), end.unwrap_or(0), "bytes of an incomplete frame");
}

/// Cuts a stream into chunks of the given sizes, over and over; a size of 0 is an empty chunk.
pub(crate) fn cut<'a>(mut stream: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    let endless = if sizes.iter().all(|size| *size == 0) { &[1] } else { sizes };
    for size in endless.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (chunk, rest) = stream.split_at(stream.len().min(usize::from(*size)));
        chunks.push(chunk);
        stream = rest;
    }
    chunks
}

/// An input is the limit (two bytes), the number of chunk sizes (one byte), the sizes, the stream.
pub(crate) fn check_input(input: &[u8]) {
    let Some((&[low, high, count], rest)) = input.split_first_chunk::<3>() else { return };
    let Some((sizes, stream)) = rest.split_at_checked(usize::from(count)) else { return };
    let limit = usize::from(u16::from_le_bytes([low, high]));
    check_chunks(cut(stream, sizes).into_iter(), stream, limit);
}

//! Frames on a byte stream, such as a TCP connection: each follows its length.

use thiserror::Error;

use crate::{FRAME_BYTES_MAX, STREAM_LENGTH_BYTES};

/// Why a byte stream cannot be divided into frames any further.
///
/// Where one frame ends only its length tells, so after a wrong length the next frame cannot be found:
/// the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// A frame of no bytes was announced, or given to be sent.
    #[error("the length before a frame is 0")]
    ZeroLength,
    /// A frame longer than the limit was announced, or given to be sent.
    #[error("the length before a frame is {found} bytes, expected at most {max}")]
    TooLong {
        /// Bytes announced.
        found: u64,
        /// The limit, in bytes.
        max: u64,
    },
}

/// Appends a frame to `out` as it goes on a byte stream: its length in four bytes, then the frame.
///
/// It appends, so that several frames can be written to a connection at once.
///
/// # Errors
/// A frame that is empty or longer than [`FRAME_BYTES_MAX`]. `out` is unchanged then.
///
/// ```
/// use centauri_wire::{StreamError, encode_on_stream};
/// let mut out = Vec::new();
/// encode_on_stream(b"frame", &mut out)?;
/// assert_eq!(out, b"\x05\0\0\0frame");
/// assert_eq!(encode_on_stream(b"", &mut out), Err(StreamError::ZeroLength));
/// # Ok::<(), StreamError>(())
/// ```
pub fn encode_on_stream(frame: &[u8], out: &mut Vec<u8>) -> Result<(), StreamError> {
    let too_long = StreamError::TooLong { found: frame.len() as u64, max: FRAME_BYTES_MAX as u64 };
    let length = u32::try_from(frame.len()).map_err(|_| too_long)?;
    check_length(length, FRAME_BYTES_MAX)?;
    out.reserve(STREAM_LENGTH_BYTES + frame.len());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(frame);
    Ok(())
}

/// A frame of a byte stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamFrame<'joined, 'chunk> {
    /// It came in one piece and lies where it came.
    Whole(&'chunk [u8]),
    /// It came in parts and lies in the reassembler, until that is used again.
    Joined(&'joined [u8]),
}

impl StreamFrame<'_, '_> {
    /// The frame's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }
}

/// Divides a byte stream into frames, however the stream was cut into chunks on its way.
///
/// It does no I/O: what was read from the connection is pushed, and each frame that is complete goes to
/// the sink, in order. The frames are only divided, not looked at: give them to [`crate::Verifier::check`].
///
/// Memory is bounded against a hostile sender. A frame that is not complete is kept in a buffer that
/// grows with the bytes that came, at most to twice as many, never by the announced length alone and
/// never beyond the limit. The buffer is kept for the next frame.
///
/// ```
/// use centauri_wire::{FRAME_BYTES_MAX, Reassembler, StreamError, encode_on_stream};
///
/// let mut sent = Vec::new();
/// encode_on_stream(b"first", &mut sent)?;
/// encode_on_stream(b"second", &mut sent)?;
///
/// let mut reassembler = Reassembler::new(FRAME_BYTES_MAX);
/// let mut frames = Vec::new();
/// // What one read returns ends wherever it likes: here within the second frame.
/// assert_eq!(reassembler.push(&sent[..15], &mut |frame| frames.push(frame.to_vec())), Ok(1));
/// assert_eq!((reassembler.is_partial(), reassembler.buffered()), (true, 6));
/// assert_eq!(reassembler.push(&sent[15..], &mut |frame| frames.push(frame.to_vec())), Ok(1));
/// assert_eq!(frames, [&b"first"[..], b"second"]);
/// assert!(!reassembler.is_partial());
///
/// // A length of 4 GiB costs no memory, and ends the stream.
/// let too_long = StreamError::TooLong { found: 0xffff_ffff, max: 65_507 };
/// assert_eq!(reassembler.push(&[0xff; 4], &mut |_| ()), Err(too_long));
/// assert_eq!(reassembler.push(&sent, &mut |_| ()), Err(too_long));
/// # Ok::<(), StreamError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reassembler {
    frame_bytes_max: usize,
    /// The length of the frame being read, as far as its bytes came.
    length: u32,
    /// How many bytes of the length came. Once it is all of them, the length is within the limit.
    length_bytes: usize,
    /// The frame's bytes that came, fewer than its length; or all of the frame that was handed over last.
    collected: Vec<u8>,
    /// Whether that is so, and they are to be forgotten.
    handed_over: bool,
    failed: Option<StreamError>,
}

impl Reassembler {
    /// A reassembler at the start of a stream whose frames have at most `frame_bytes_max` bytes.
    ///
    /// [`FRAME_BYTES_MAX`] takes every frame of the protocol. It holds no memory until a frame comes in parts.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        Self {
            frame_bytes_max,
            length: 0,
            length_bytes: 0,
            collected: Vec::new(),
            handed_over: false,
            failed: None,
        }
    }

    /// Takes the next bytes of the stream, of any number, and hands each frame completed by them to `sink`.
    ///
    /// Returns how many frames that were. A frame that lies whole within `bytes` is handed over where it
    /// lies, without a copy.
    ///
    /// # Errors
    /// A length of 0 or beyond the limit, as soon as its four bytes are there. The frames before it
    /// have gone to the sink, nothing after it will: each later push gives the same error.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<usize, StreamError> {
        let mut frames = 0;
        while let Some(frame) = self.next_frame(&mut bytes)? {
            sink(frame.bytes());
            frames += 1;
        }
        Ok(frames)
    }

    /// The next frame that `bytes` complete, which are moved on past it; `None` when all of them are taken in.
    ///
    /// For a caller that keeps frames until it has several: those that lie whole within `bytes` stay there.
    ///
    /// # Errors
    /// As [`Reassembler::push`].
    pub fn next_frame<'chunk>(
        &mut self,
        bytes: &mut &'chunk [u8],
    ) -> Result<Option<StreamFrame<'_, 'chunk>>, StreamError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if std::mem::take(&mut self.handed_over) {
            self.collected.clear();
        }
        let length = match self.read_length(bytes) {
            Ok(length) => length,
            Err(error) => {
                *self = Self { failed: Some(error), ..Self::new(self.frame_bytes_max) };
                return Err(error);
            }
        };
        let Some(length) = length else { return Ok(None) };
        let missing = length.saturating_sub(self.collected.len());
        let Some((end, after)) = bytes.split_at_checked(missing) else {
            self.collect(bytes, length);
            *bytes = &[];
            return Ok(None);
        };
        *bytes = after;
        // The frame is over before anyone sees it.
        (self.length, self.length_bytes) = (0, 0);
        if self.collected.is_empty() {
            return Ok(Some(StreamFrame::Whole(end)));
        }
        self.collect(end, length);
        self.handed_over = true;
        Ok(Some(StreamFrame::Joined(&self.collected)))
    }

    /// How many bytes of an incomplete frame came, those of its length included; 0 after an error.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.length_bytes + if self.handed_over { 0 } else { self.collected.len() }
    }

    /// Whether the stream has come to the middle of a frame. If it ends there, the frame is lost.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.buffered() != 0
    }

    /// Bytes of memory that the buffer holds: at most the limit, also between frames; 0 after an error.
    #[must_use]
    pub fn buffer_capacity(&self) -> usize {
        self.collected.capacity()
    }

    /// Reads what is missing of the length. `None` if the bytes end before it does.
    fn read_length(&mut self, rest: &mut &[u8]) -> Result<Option<usize>, StreamError> {
        while self.length_bytes < STREAM_LENGTH_BYTES {
            let Some((byte, after)) = rest.split_first() else { return Ok(None) };
            self.length |= u32::from(*byte) << (8 * self.length_bytes);
            self.length_bytes += 1;
            *rest = after;
        }
        check_length(self.length, self.frame_bytes_max).map(Some)
    }

    /// Keeps bytes of a frame of `length`, of which no more than `length` come in all.
    fn collect(&mut self, bytes: &[u8], length: usize) {
        let needed = self.collected.len() + bytes.len();
        if needed > self.collected.capacity() {
            // Doubling keeps the copies few; the frame's length, which is within the limit, bounds it.
            let capacity = self.collected.capacity().saturating_mul(2).clamp(needed, length.max(needed));
            self.collected.reserve_exact(capacity - self.collected.len());
        }
        self.collected.extend_from_slice(bytes);
    }
}

fn check_length(length: u32, max: usize) -> Result<usize, StreamError> {
    let too_long = StreamError::TooLong { found: u64::from(length), max: max as u64 };
    match usize::try_from(length) {
        Ok(0) => Err(StreamError::ZeroLength),
        Ok(length) if length <= max => Ok(length),
        _ => Err(too_long),
    }
}

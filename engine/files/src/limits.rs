//! Every bound of the file formats in one place. What lies beyond one of them is refused with an error.

/// Longest name of a stream, replica or distribution, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 256;
/// Longest row of a readings file, in bytes; what is longer is not text of this kind (an unclosed quote, say).
pub const ROW_BYTES_MAX: usize = 1 << 20;
/// Largest model file, in bytes.
pub const MODEL_BYTES_MAX: u64 = 64 << 20;
/// Longest piece of a file that an error message repeats, in characters.
pub const EXCERPT_CHARS_MAX: usize = 60;

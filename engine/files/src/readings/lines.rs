//! Lines of text, of bounded length.

use super::{BUFFER_BYTES, RowError};
use crate::limits::ROW_BYTES_MAX;
use std::io::{BufRead, BufReader, Read};

/// Reads lines one after the other into the same memory.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    text: Vec<u8>,
    number: u64,
    bytes: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(BUFFER_BYTES, input), text: Vec::new(), number: 0, bytes: 0 }
    }

    /// Goes to the next line that is not blank and tells its number, counted from 1; `None` after the last one.
    pub(super) fn advance(&mut self) -> Result<Option<u64>, RowError> {
        loop {
            self.text.clear();
            self.number += 1;
            let most = ROW_BYTES_MAX as u64 + 1;
            let count =
                self.input.by_ref().take(most).read_until(b'\n', &mut self.text).map_err(RowError::Io)?;
            self.bytes += count as u64;
            if count == 0 {
                return Ok(None);
            }
            if self.text.len() > ROW_BYTES_MAX {
                return Err(RowError::at(
                    self.number,
                    format!("found a row of more than {ROW_BYTES_MAX} bytes"),
                ));
            }
            if !self.text().trim_ascii().is_empty() {
                return Ok(Some(self.number));
            }
        }
    }

    /// How many bytes the lines so far have.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// The current line without its end (`\n` or `\r\n`) and without the file's byte-order mark.
    pub(super) fn text(&self) -> &[u8] {
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if self.number == 1 { text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text) } else { text }
    }
}

//! Numbers and names as text.

use std::io::{self, Write};

/// The shortest decimal that reads back as the same float64; it is a number of CSV, JSON and TOML alike.
pub(crate) fn number(row: &mut Vec<u8>, value: f64) -> io::Result<()> {
    if !value.is_finite() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("found {value}, expected a finite number"),
        ));
    }
    write!(row, "{value:?}")
}

/// A number, or null.
pub(crate) fn json_number(row: &mut Vec<u8>, value: Option<f64>) -> io::Result<()> {
    match value {
        Some(value) => number(row, value),
        None => row.write_all(b"null"),
    }
}

/// A JSON string.
pub(crate) fn json_text(row: &mut Vec<u8>, text: &str) -> io::Result<()> {
    serde_json::to_writer(row, text).map_err(io::Error::from)
}

/// A CSV field, in quotes where it must be.
pub(crate) fn csv_text(row: &mut Vec<u8>, text: &str) {
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        row.extend_from_slice(text.as_bytes());
        return;
    }
    row.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            row.push(b'"');
        }
        row.push(byte);
    }
    row.push(b'"');
}

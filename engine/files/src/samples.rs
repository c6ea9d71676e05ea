//! Samples to fit a distribution to.

use crate::error::FileError;
use crate::names::quoted;
use std::io::Read;

/// Reads the column `sample` of CSV: finite numbers, one a row. Other columns are not looked at.
///
/// # Errors
/// [`FileError::Row`] with file and line: no such column, a row of another length, an empty field, something that is not a
/// finite number.
///
/// ```
/// let samples = centauri_files::read_samples("sample\n0.5\n1.25\n".as_bytes(), "samples.csv")?;
/// assert_eq!(samples, [0.5, 1.25]);
/// # Ok::<(), centauri_files::FileError>(())
/// ```
pub fn read_samples(mut input: impl Read, file: &str) -> Result<Vec<f64>, FileError> {
    let row = |line: u64, problem: String| FileError::Row { file: file.to_owned(), line, problem };
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(|reason| FileError::Io {
        file: file.to_owned(),
        action: "reading",
        reason,
    })?;
    let line_at =
        |position: Option<&csv::Position>| line_of_row(&bytes, position.map_or(0, csv::Position::byte));
    let line_of = |error: &csv::Error| line_at(error.position());
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice());
    let headers = reader.headers().map_err(|error| row(line_of(&error), error.to_string()))?;
    let column = headers
        .iter()
        .position(|name| name.trim_start_matches('\u{feff}') == "sample")
        .ok_or_else(|| row(1, "found no column `sample`, expected one".to_owned()))?;
    let mut samples = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| row(line_of(&error), error.to_string()))? {
        let line = line_at(record.position());
        let text = record.get(column).unwrap_or_default();
        let value: Option<f64> = text.parse().ok().filter(|value: &f64| value.is_finite());
        match value {
            Some(value) => samples.push(value),
            None => {
                return Err(row(line, format!("sample: found {}, expected a finite number", quoted(text))));
            }
        }
    }
    Ok(samples)
}

/// The line, counted from 1, of the row that is read from `offset` on: empty lines before it are not part of it.
fn line_of_row(bytes: &[u8], offset: u64) -> u64 {
    let (before, rest) = bytes.split_at(usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len()));
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    1 + before.iter().chain(empty).filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_columns_and_a_byte_order_mark_do_no_harm() {
        let text = "\u{feff}sample,when\r\n 1e-3 ,a\r\n-2,b\r\n";
        assert_eq!(read_samples(text.as_bytes(), "s.csv").unwrap(), [1e-3, -2.0]);
        assert!(read_samples("when,sample\nx,7\n".as_bytes(), "s.csv").is_ok());
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (text, expected) in [
            ("", "s.csv:1: found no column `sample`, expected one"),
            ("value\n1\n", "s.csv:1: found no column `sample`, expected one"),
            ("sample\n1\n\nx\n", "s.csv:4: sample: found \"x\", expected a finite number"),
            ("sample\nnan\n", "s.csv:2: sample: found \"nan\", expected a finite number"),
            ("sample,a\n1,2\n,2\n", "s.csv:3: sample: found \"\", expected a finite number"),
        ] {
            assert_eq!(read_samples(text.as_bytes(), "s.csv").unwrap_err().to_string(), expected);
        }
        let short = read_samples("sample,a\n1,2\n3\n".as_bytes(), "s.csv").unwrap_err();
        assert_eq!(short.line(), Some(3), "{short}");
    }
}

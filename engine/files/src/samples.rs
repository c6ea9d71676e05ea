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
pub fn read_samples(input: impl Read, file: &str) -> Result<Vec<f64>, FileError> {
    let row = |line: u64, problem: String| FileError::Row { file: file.to_owned(), line, problem };
    let line_of = |error: &csv::Error| error.position().map_or(1, csv::Position::line);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let headers = reader.headers().map_err(|error| row(line_of(&error), error.to_string()))?;
    let column = headers
        .iter()
        .position(|name| name.trim_start_matches('\u{feff}') == "sample")
        .ok_or_else(|| row(1, "found no column `sample`, expected one".to_owned()))?;
    let mut samples = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| row(line_of(&error), error.to_string()))? {
        let line = record.position().map_or(0, csv::Position::line);
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

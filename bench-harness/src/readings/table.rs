//! Readings in wide form: a CSV file with a heading, a column of times and a column for each replica.

use super::time;
use std::path::Path;

/// Most bytes of a file that are taken.
const BYTES_MAX: u64 = 1 << 30;

/// A table of readings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wide {
    /// Headings of the columns that were taken.
    pub columns: Vec<String>,
    /// Each row's time in seconds, ascending.
    pub times: Vec<f64>,
    /// Each row's values; none where a cell is empty.
    pub values: Vec<Vec<Option<f64>>>,
}

/// Reads the column `time` (the first, if none is named) and `columns` (all others, if none are named). An empty cell is a reading that
/// is not there.
///
/// # Errors
/// A file that cannot be read or is larger than 1 GiB, a column that is not there, a cell that is no time or no finite number,
/// times that do not ascend: with the line, what was found and what was expected.
pub fn read(path: &Path, time: Option<&str>, columns: &[String]) -> anyhow::Result<Wide> {
    let bytes = std::fs::metadata(path)?.len();
    anyhow::ensure!(bytes <= BYTES_MAX, "found {bytes} bytes, expected at most {BYTES_MAX}");
    parse(&std::fs::read_to_string(path)?, time, columns)
}

/// As [`read`], from the file's text.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str, time: Option<&str>, columns: &[String]) -> anyhow::Result<Wide> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head: Vec<String> = reader.headers()?.iter().map(|name| name.trim().to_owned()).collect();
    let place = |name: &str| {
        let at = head.iter().position(|known| known == name);
        at.ok_or_else(|| anyhow::anyhow!("found no column {name:?}, expected one of {}", head.join(", ")))
    };
    let time_at = time.map_or(Ok(0), place)?;
    let places: Vec<usize> = if columns.is_empty() {
        (0..head.len()).filter(|&at| at != time_at).collect()
    } else {
        columns.iter().map(|name| place(name)).collect::<Result<_, _>>()?
    };
    let mut wide = Wide { columns: places.iter().map(|&at| head[at].clone()).collect(), ..Wide::default() };
    for record in reader.records() {
        let record =
            record.map_err(|error| anyhow::anyhow!("{}", error.to_string().replace("CSV error: ", "")))?;
        let line = || record.position().map_or(0, |at| line_of(text, at.byte()));
        let cell = |at: usize| record.get(at).unwrap_or("").trim();
        let Some(seconds) = time::seconds(cell(time_at)) else {
            anyhow::bail!(
                "line {}, column {:?}: found {:?}, expected seconds or a time like 2024-05-01T12:00:00",
                line(),
                head[time_at],
                cell(time_at)
            );
        };
        if let Some(&before) = wide.times.last()
            && seconds <= before
        {
            anyhow::bail!(
                "line {}: found time {seconds} s after {before} s, expected ascending times",
                line()
            );
        }
        let mut values = Vec::with_capacity(places.len());
        for &at in &places {
            let value = if cell(at).is_empty() {
                None
            } else {
                cell(at).parse::<f64>().ok().filter(|v| v.is_finite())
            };
            anyhow::ensure!(
                value.is_some() || cell(at).is_empty(),
                "line {}, column {:?}: found {:?}, expected a number or nothing (--columns takes the named columns only)",
                line(),
                head[at],
                cell(at)
            );
            values.push(value);
        }
        wide.times.push(seconds);
        wide.values.push(values);
    }
    Ok(wide)
}

/// The numbers of one column; empty cells are passed over.
///
/// # Errors
/// A file that cannot be read or is larger than 1 GiB, a column that is not there, a cell that is no finite number.
pub fn column(path: &Path, name: &str) -> anyhow::Result<Vec<f64>> {
    let bytes = std::fs::metadata(path)?.len();
    anyhow::ensure!(bytes <= BYTES_MAX, "found {bytes} bytes, expected at most {BYTES_MAX}");
    let text = std::fs::read_to_string(path)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let at = reader.headers()?.iter().position(|head| head.trim() == name);
    let at = at.ok_or_else(|| anyhow::anyhow!("found no column {name:?}, expected one"))?;
    let mut numbers = Vec::new();
    for record in reader.records() {
        let record = record?;
        let cell = record.get(at).unwrap_or("").trim();
        if cell.is_empty() {
            continue;
        }
        let number = cell.parse::<f64>().ok().filter(|v| v.is_finite());
        let line = record.position().map_or(0, |at| line_of(&text, at.byte()));
        numbers
            .push(number.ok_or_else(|| anyhow::anyhow!("line {line}: found {cell:?}, expected a number"))?);
    }
    Ok(numbers)
}

/// The line of a record that begins at a byte, empty lines before it passed over.
fn line_of(text: &str, byte: u64) -> usize {
    let mut at = usize::try_from(byte).unwrap_or(usize::MAX).min(text.len());
    let bytes = text.as_bytes();
    while bytes.get(at).is_some_and(|b| matches!(b, b'\n' | b'\r')) {
        at += 1;
    }
    1 + bytes[..at].iter().filter(|b| **b == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_columns_are_picked() {
        let text = "time,note,a,b\n2024-01-01T00:00,x,1.5,\n2024-01-01T00:10,\"y, z\",,2\n";
        let wide = parse(text, None, &["b".to_owned(), "a".to_owned()]).unwrap();
        assert_eq!(wide.columns, ["b", "a"]);
        assert_eq!(wide.times[1] - wide.times[0], 600.0);
        assert_eq!(wide.values, [[None, Some(1.5)], [Some(2.0), None]]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let error = |text: &str, columns: &[String]| parse(text, None, columns).unwrap_err().to_string();
        assert!(error("t,a\n0,1\n\n\n1,x\n", &[]).contains("line 5, column \"a\": found \"x\""));
        assert!(error("t,a\n0,1\n0,1\n", &[]).contains("line 3: found time 0 s after 0 s"));
        assert!(error("t,a\nlater,1\n", &[]).contains("line 2, column \"t\""));
        assert!(
            error("t,a\n0,1\n", &["b".to_owned()]).contains("found no column \"b\", expected one of t, a")
        );
        assert!(error("t,a\n0,1,2\n", &[]).contains("line: 2"));
        assert!(error("t,a\n0,inf\n", &[]).contains("expected a number"));
    }
}

//! Which format a file has.

use crate::error::FileError;
use std::path::Path;

/// The format of readings and decisions. All hold the same columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// One JSON object on each line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The format that the file's extension tells: `csv`, `jsonl` (also `ndjson`) or `parquet`, in either case.
    ///
    /// # Errors
    /// [`FileError::Format`] for another extension or none.
    pub fn from_path(path: &Path) -> Result<Self, FileError> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            Some("parquet") => Ok(Self::Parquet),
            Some(other) => Err(unknown(
                path,
                format!("found the extension .{other}, expected .csv, .jsonl or .parquet")
                    .replace(char::is_control, "?"),
            )),
            None => Err(unknown(path, "found no extension, expected .csv, .jsonl or .parquet".to_owned())),
        }
    }

    /// The usual extension, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

fn unknown(path: &Path, problem: String) -> FileError {
    FileError::Format { file: path.display().to_string(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_tells() {
        for (name, expected) in [
            ("a.csv", Ok(Format::Csv)),
            ("dir.x/A.CSV", Ok(Format::Csv)),
            ("a.jsonl", Ok(Format::JsonLines)),
            ("a.ndjson", Ok(Format::JsonLines)),
            ("a.json", Err("a.json: found the extension .json, expected .csv, .jsonl or .parquet")),
            ("a.parquet", Ok(Format::Parquet)),
            ("a.Parquet", Ok(Format::Parquet)),
            ("-", Err("-: found no extension, expected .csv, .jsonl or .parquet")),
            (".csv", Err(".csv: found no extension, expected .csv, .jsonl or .parquet")),
        ] {
            let found = Format::from_path(Path::new(name)).map_err(|e| e.to_string());
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }
}

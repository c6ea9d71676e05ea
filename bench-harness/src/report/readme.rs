//! The marked part of a Markdown file.

use super::ReportError;
use super::output::OutputError;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- accuracy:begin -->";
const END: &str = "<!-- accuracy:end -->";

/// A file has not exactly one marked part.
#[derive(Debug, thiserror::Error)]
#[error("{}: expected {BEGIN} and, after it, {END}, once each; {found}", path.display())]
pub struct MarkerError {
    /// The file.
    pub path: PathBuf,
    /// What was found.
    pub found: &'static str,
}

/// The file's text with the marked part replaced.
pub(super) fn replaced(path: &Path, part: &str) -> Result<String, ReportError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| OutputError { path: path.to_owned(), source })?;
    let replaced = replace(&text, part);
    Ok(replaced.map_err(|found| MarkerError { path: path.to_owned(), found })?)
}

fn replace(text: &str, part: &str) -> Result<String, &'static str> {
    let (before, rest) = text.split_once(BEGIN).ok_or("the first is not there")?;
    let (_, after) = rest.split_once(END).ok_or("the second is not there")?;
    if before.contains(END) {
        return Err("the second comes before the first");
    }
    if rest.contains(BEGIN) || after.contains(END) {
        return Err("one is there more than once");
    }
    Ok(format!("{before}{BEGIN}\n{}\n\n{END}{after}", part.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_marks_is_replaced_and_nothing_else() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = replace(&text, "\nnew\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
        assert_eq!(replace(&new, "\nnew\n").unwrap(), new, "a second time changes nothing");
    }

    #[test]
    fn marks_that_are_amiss_are_told() {
        for text in [
            "",
            BEGIN,
            END,
            &format!("{END}{BEGIN}"),
            &format!("{BEGIN}{BEGIN}{END}"),
            &format!("{BEGIN}{END}{END}"),
        ] {
            assert!(replace(text, "x").is_err(), "{text}");
        }
    }
}

//! The marked part of a Markdown file.

use super::ReportError;
use super::output::OutputError;
use std::path::{Path, PathBuf};

/// A file has not exactly one marked part of a name.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: expected <!-- {name}:begin --> and, after it, <!-- {name}:end -->, once each; {found}",
    path.display()
)]
pub struct MarkerError {
    /// The file.
    pub path: PathBuf,
    /// The part's name.
    pub name: &'static str,
    /// What was found.
    pub found: &'static str,
}

/// The file's text with its marked parts replaced. Of several parts those that the file has no marks of are left out, as long
/// as there is one.
pub(super) fn replaced(
    path: &Path,
    parts: impl Iterator<Item = (&'static str, String)>,
) -> Result<String, ReportError> {
    let mut text =
        std::fs::read_to_string(path).map_err(|source| OutputError { path: path.to_owned(), source })?;
    let parts: Vec<_> = parts.collect();
    let marked = |name: &str| text.contains(&begin(name)) || text.contains(&end(name));
    let some = parts.iter().any(|(name, _)| marked(name));
    let due: Vec<_> = parts.iter().filter(|(name, _)| !some || marked(name)).collect();
    for (name, part) in due {
        let replaced = replace(&text, name, part);
        text = replaced.map_err(|found| MarkerError { path: path.to_owned(), name, found })?;
    }
    Ok(text)
}

fn begin(name: &str) -> String {
    format!("<!-- {name}:begin -->")
}

fn end(name: &str) -> String {
    format!("<!-- {name}:end -->")
}

fn replace(text: &str, name: &str, part: &str) -> Result<String, &'static str> {
    let (begin, end) = (begin(name), end(name));
    let (before, rest) = text.split_once(&begin).ok_or("the first is not there")?;
    let (_, after) = rest.split_once(&end).ok_or("the second is not there")?;
    if before.contains(&end) {
        return Err("the second comes before the first");
    }
    if rest.contains(&begin) || after.contains(&end) {
        return Err("one is there more than once");
    }
    Ok(format!("{before}{begin}\n{}\n\n{end}{after}", part.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- accuracy:begin -->";
    const END: &str = "<!-- accuracy:end -->";

    #[test]
    fn what_is_between_the_marks_is_replaced_and_nothing_else() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = replace(&text, "accuracy", "\nnew\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
        assert_eq!(replace(&new, "accuracy", "\nnew\n").unwrap(), new, "a second time changes nothing");
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
            assert!(replace(text, "accuracy", "x").is_err(), "{text}");
        }
    }
}

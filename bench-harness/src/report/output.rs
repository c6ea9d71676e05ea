//! Writing files whole, and naming one from another.

use std::path::{Component, Path, PathBuf};

/// A file can't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct OutputError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

/// Writes a file beside its place and moves it there, so that nobody sees half of it; makes its folder.
pub(super) fn write(path: &Path, text: &str) -> Result<(), OutputError> {
    let at = |source| OutputError { path: path.to_owned(), source };
    let name = path.file_name().ok_or_else(|| at(std::io::Error::other("expected a file's name")))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(at)?;
    }
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(beside);
    let done = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    done.map_err(|source| {
        // Nothing half-written stays; that it can't be removed either says no more than the first error.
        let _ = std::fs::remove_file(&beside);
        at(source)
    })
}

/// The way from a file to a folder, with `/` between its names.
pub(super) fn link(file: &Path, folder: &Path) -> Result<String, OutputError> {
    let absolute = |path: &Path| {
        let full =
            std::path::absolute(path).map_err(|source| OutputError { path: path.to_owned(), source })?;
        Ok::<_, OutputError>(names(&full))
    };
    let mut from = absolute(file)?;
    from.pop();
    let to = absolute(folder)?;
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - common);
    let way: Vec<String> = up.chain(to.into_iter().skip(common)).collect();
    Ok(if way.is_empty() { ".".to_owned() } else { way.join("/") })
}

/// A path's names, `..` taken away with the name before it.
fn names(path: &Path) -> Vec<String> {
    let mut out = Vec::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            Component::Normal(name) => out.push(name.to_string_lossy().into_owned()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_a_file_to_a_folder() {
        for (file, folder, way) in [
            ("README.md", "docs/img", "docs/img"),
            ("docs/ACCURACY.md", "docs/img", "img"),
            ("docs/a/B.md", "x/../img", "../../img"),
            ("docs/B.md", "docs", "."),
        ] {
            assert_eq!(link(Path::new(file), Path::new(folder)).unwrap(), way);
        }
    }
}

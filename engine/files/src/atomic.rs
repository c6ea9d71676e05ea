//! Output that appears whole or not at all.

use crate::error::FileError;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const BUFFER_BYTES: usize = 1 << 16;
/// Names tried for the temporary file before giving up: left-overs of processes that had the same id.
const ATTEMPTS_MAX: u32 = 1_000;

/// A file that is written beside its place and put there by [`AtomicFile::commit`]; dropped before that, it leaves
/// whatever was there untouched.
///
/// - `-` and `/dev/stdout` are standard output; a pipe or device is written directly: there, nothing can be undone.
/// - A symbolic link is followed, and its target replaced; the replaced file's permissions are kept.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Direct(BufWriter<Direct>),
    Temporary(BufWriter<File>, Temporary),
}

#[derive(Debug)]
enum Direct {
    Stdout(io::Stdout),
    File(File),
}

/// A temporary file, removed when it is dropped before it has been put in its place.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    target: PathBuf,
    kept: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing can be done about a failure here, and what matters is already untouched.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl AtomicFile {
    /// Begins to write what is to become `path`.
    ///
    /// # Errors
    /// [`FileError::Io`] when the directory cannot be written to, or a pipe or device not opened.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let sink = if path == Path::new("-") || path == Path::new("/dev/stdout") {
            Sink::direct(Direct::Stdout(io::stdout()))
        } else {
            match std::fs::metadata(path) {
                Ok(found) if found.is_dir() => {
                    return Err(FileError::io(path, "creating")(io::ErrorKind::IsADirectory.into()));
                }
                Ok(found) if !found.is_file() => {
                    let file =
                        OpenOptions::new().write(true).open(path).map_err(FileError::io(path, "opening"))?;
                    Sink::direct(Direct::File(file))
                }
                found => {
                    Sink::temporary(path, found.ok().as_ref()).map_err(FileError::io(path, "creating"))?
                }
            }
        };
        Ok(Self { path: path.to_owned(), sink })
    }

    /// Puts everything written in its place; the data is on the disk before the file has its name.
    ///
    /// # Errors
    /// [`FileError::Io`]; the place then holds what it held before.
    pub fn commit(self) -> Result<(), FileError> {
        let done = match self.sink {
            Sink::Direct(mut out) => out.flush(),
            Sink::Temporary(mut out, temporary) => out.flush().and_then(|()| temporary.keep(out.get_ref())),
        };
        done.map_err(FileError::io(&self.path, "writing"))
    }

    /// The path as it was given, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Sink {
    fn direct(direct: Direct) -> Self {
        Self::Direct(BufWriter::with_capacity(BUFFER_BYTES, direct))
    }

    /// A temporary file in the directory of what `path` leads to: only there a rename is sure to be atomic.
    fn temporary(path: &Path, replaced: Option<&std::fs::Metadata>) -> io::Result<Self> {
        let target = if replaced.is_some() { path.canonicalize()? } else { path.to_owned() };
        let directory = directory_of(&target);
        for attempt in 0..ATTEMPTS_MAX {
            let name = OsString::from(format!(".centauri-{}-{attempt}.tmp", std::process::id()));
            let temporary = directory.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    let guard = Temporary { path: temporary, target, kept: false };
                    if let Some(replaced) = replaced {
                        file.set_permissions(replaced.permissions())?;
                    }
                    return Ok(Self::Temporary(BufWriter::with_capacity(BUFFER_BYTES, file), guard));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Temporary {
    fn keep(mut self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        std::fs::rename(&self.path, &self.target)?;
        self.kept = true;
        // The file is whole and in its place; a file system that cannot sync a directory is not an error.
        if let Ok(directory) = File::open(directory_of(&self.target)) {
            let _ = directory.sync_all();
        }
        Ok(())
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Direct(out) => out.write(bytes),
            Sink::Temporary(out, _) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Direct(out) => out.flush(),
            Sink::Temporary(out, _) => out.flush(),
        }
    }
}

impl Write for Direct {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn nothing_is_left_of_an_output_that_was_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        std::fs::write(&path, "before").unwrap();
        let mut out = AtomicFile::create(&path).unwrap();
        out.write_all(&[b'x'; 200_000]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        drop(out);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(entries(directory.path()), ["out.csv"]);
    }

    #[test]
    fn a_commit_replaces_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        std::fs::write(&path, "a much longer text before").unwrap();
        for text in ["first", "second"] {
            let mut other = AtomicFile::create(&path).unwrap();
            let mut out = AtomicFile::create(&path).unwrap();
            other.write_all(b"lost").unwrap();
            out.write_all(text.as_bytes()).unwrap();
            out.commit().unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(entries(directory.path()), ["out.csv"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_devices_and_permissions_are_kept() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("real.csv"), directory.path().join("link.csv"));
        std::fs::write(&path, "before").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("real.csv", &link).unwrap();
        let mut out = AtomicFile::create(&link).unwrap();
        out.write_all(b"after").unwrap();
        out.commit().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let mut null = AtomicFile::create(Path::new("/dev/null")).unwrap();
        null.write_all(b"gone").unwrap();
        null.commit().unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let error = AtomicFile::create(directory.path()).unwrap_err().to_string();
        assert!(error.ends_with("creating: is a directory"), "{error}");
        let error = AtomicFile::create(&directory.path().join("none/out.csv")).unwrap_err().to_string();
        assert!(error.contains("none/out.csv: creating: "), "{error}");
    }
}

//! Calibrations on disk.

use super::calibration::{Calibration, CalibrationKey};
use centauri_files::{AtomicFile, FileError};
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Names the file instead of the usual place.
const FILE_VARIABLE: &str = "CENTAURI_CALIBRATION";
/// Version of the file's form.
const VERSION: u32 = 1;
/// Largest file that is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;
/// Most calibrations kept; the oldest go first.
const ENTRIES_MAX: usize = 32;

/// Where calibrations are kept: a JSON file that is read once and replaced whole. A file that cannot be read is as good as
/// none: what it held is measured again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalibrationCache {
    path: Option<PathBuf>,
}

/// A calibration that was not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// There is no place for it.
    #[error("found neither XDG_CACHE_HOME nor HOME, expected one of them, or {FILE_VARIABLE}")]
    NoPlace,
    /// The folder cannot be made.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    calibrations: Vec<Calibration>,
}

impl CalibrationCache {
    /// The cache in `file`, or else in the file that `CENTAURI_CALIBRATION` names, or else in
    /// `centauri/calibration.json` in the user's cache directory: `XDG_CACHE_HOME`, or `~/.cache`.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Self {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let usual = || {
            // A relative path there is to be ignored (XDG Base Directory Specification).
            let cache = variable("XDG_CACHE_HOME").filter(|path| path.is_absolute());
            let cache = cache.or_else(|| Some(variable("HOME")?.join(".cache")))?;
            Some(cache.join("centauri").join("calibration.json"))
        };
        Self { path: file.or_else(|| variable(FILE_VARIABLE)).or_else(usual) }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The calibration of `key`, if there is one.
    #[must_use]
    pub fn find(&self, key: &CalibrationKey) -> Option<Calibration> {
        self.read().into_iter().find(|calibration| calibration.key == *key)
    }

    /// Keeps `calibration` in place of one of the same key.
    ///
    /// # Errors
    /// The file cannot be written; it is then as it was.
    pub fn keep(&self, calibration: &Calibration) -> Result<(), CacheError> {
        let path = self.path().ok_or(CacheError::NoPlace)?;
        let mut calibrations = self.read();
        calibrations.retain(|other| other.key != calibration.key);
        calibrations.push(calibration.clone());
        let surplus = calibrations.len().saturating_sub(ENTRIES_MAX);
        calibrations.drain(..surplus);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let at = |source| CacheError::Folder { path: folder.to_owned(), source };
            std::fs::create_dir_all(folder).map_err(at)?;
        }
        let mut file = AtomicFile::create(path)?;
        let written = serde_json::to_writer_pretty(&mut file, &Contents { version: VERSION, calibrations })
            .map_err(std::io::Error::from)
            .and_then(|()| file.write_all(b"\n"));
        written.map_err(|source| CacheError::Write { path: path.to_owned(), source })?;
        Ok(file.commit()?)
    }

    /// What the file holds that makes sense.
    fn read(&self) -> Vec<Calibration> {
        let Some(path) = self.path() else { return Vec::new() };
        let Ok(file) = std::fs::File::open(path) else { return Vec::new() };
        let mut bytes = Vec::new();
        if file.take(BYTES_MAX).read_to_end(&mut bytes).is_err() {
            return Vec::new();
        }
        match serde_json::from_slice::<Contents>(&bytes) {
            Ok(contents) if contents.version == VERSION => {
                contents.calibrations.into_iter().filter(Calibration::is_sound).take(ENTRIES_MAX).collect()
            }
            Ok(_) => Vec::new(),
            Err(error) => {
                tracing::debug!(file = %path.display(), %error, "calibrations are measured anew");
                Vec::new()
            }
        }
    }
}

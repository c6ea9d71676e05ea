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

#[cfg(test)]
mod tests {
    use super::super::calibration::tests::{key, timings};
    use super::*;

    fn calibration(device: &str) -> Calibration {
        Calibration::new(key(device), timings(&[2.0, 0.5]))
    }

    #[test]
    fn what_was_kept_is_found_again_by_its_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/folder/c.json");
        let cache = CalibrationCache::new(Some(file.clone()));
        assert_eq!(cache.find(&key("card")), None);
        cache.keep(&calibration("card")).unwrap();
        cache.keep(&calibration("other")).unwrap();
        assert_eq!(cache.find(&key("card")), Some(calibration("card")));
        for change in [
            |key: &mut CalibrationKey| key.driver.push('x'),
            |key: &mut CalibrationKey| key.version.push('x'),
            |key: &mut CalibrationKey| key.simd.push('x'),
            |key: &mut CalibrationKey| key.threads += 1,
        ] {
            let mut other = key("card");
            change(&mut other);
            assert_eq!(cache.find(&other), None);
        }
        let anew = Calibration::new(key("card"), timings(&[2.0, 2.0]));
        cache.keep(&anew).unwrap();
        assert_eq!(cache.find(&key("card")), Some(anew), "the later replaces the earlier");
        let left: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing half-written is left");
    }

    #[test]
    fn a_file_that_makes_no_sense_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.json");
        let cache = CalibrationCache::new(Some(file.clone()));
        cache.keep(&calibration("card")).unwrap();
        let good = std::fs::read_to_string(&file).unwrap();
        for bad in [
            String::new(),
            "{".to_owned(),
            "null".to_owned(),
            good.replace("\"version\": 1", "\"version\": 2"),
            good.replace("\"from_rounds\": 512", "\"from_rounds\": 1"),
            good.replace("0.5", "-0.5"),
            good[..good.len() / 2].to_owned(),
            "\u{0}".repeat(1 << 21),
        ] {
            std::fs::write(&file, &bad).unwrap();
            assert_eq!(cache.find(&key("card")), None, "{bad:.60}");
            cache.keep(&calibration("card")).unwrap();
            assert_eq!(cache.find(&key("card")), Some(calibration("card")));
        }
    }

    #[test]
    fn the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CalibrationCache::new(Some(folder.path().join("c.json")));
        for i in 0..ENTRIES_MAX + 3 {
            cache.keep(&calibration(&format!("card {i}"))).unwrap();
        }
        assert_eq!(cache.read().len(), ENTRIES_MAX);
        assert_eq!(cache.find(&key("card 0")), None, "the oldest went");
        assert!(cache.find(&key("card 34")).is_some());
    }
}

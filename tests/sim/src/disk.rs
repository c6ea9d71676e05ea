//! Where nodes keep what must outlive them.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// A node's disk. A node that starts knows nothing but what it reads here and what its clock shows.
///
/// This is the place for faults to be put in: writes that fail or are torn, files that a restart finds as they were some time
/// ago.
pub trait Disk: Debug {
    /// The content of a file, if it is there.
    fn read(&self, file: &str) -> Option<Vec<u8>>;
    /// Replaces a file; says whether that succeeded.
    fn write(&mut self, file: &str, bytes: &[u8]) -> bool;
    /// The node has crashed: what was written but has not reached the disk is lost.
    fn crash(&mut self);
}

/// A disk without faults: what was written is there.
#[derive(Debug, Clone, Default)]
pub struct SoundDisk {
    files: BTreeMap<String, Vec<u8>>,
}

impl Disk for SoundDisk {
    fn read(&self, file: &str) -> Option<Vec<u8>> {
        self.files.get(file).cloned()
    }

    fn write(&mut self, file: &str, bytes: &[u8]) -> bool {
        self.files.insert(file.to_owned(), bytes.to_vec());
        true
    }

    fn crash(&mut self) {}
}

//! Where nodes keep what must outlive them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::{Dice, DiskPlan};

/// Files that are replaced together.
pub type Batch = Vec<(String, Vec<u8>)>;

/// A node's disk. A node that starts knows nothing but what it reads here and what its clock shows.
///
/// This is the place for faults to be put in. What is begun with [`Disk::begin`] replaces all of its files or none, as a
/// transaction does.
pub trait Disk: Debug {
    /// The content of a file, if it is there.
    fn read(&self, file: &str) -> Option<Vec<u8>>;
    /// Replaces a file at once; says whether that succeeded. For whoever sets a node up.
    fn write(&mut self, file: &str, bytes: &[u8]) -> bool;
    /// Begins to replace files at this simulated time, and says when that will be over. One batch at a time.
    fn begin(&mut self, at_ns: i64, files: Batch) -> i64;
    /// What was begun is over: whether the disk says that all of it is stored.
    fn end(&mut self) -> bool;
    /// The node has crashed: what has not reached the disk is lost.
    fn crash(&mut self);
}

/// A disk without faults: what was written is there, and writing takes no time.
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

    fn begin(&mut self, at_ns: i64, files: Batch) -> i64 {
        self.files.extend(files);
        at_ns
    }

    fn end(&mut self) -> bool {
        true
    }

    fn crash(&mut self) {}
}

/// A disk as a plan has it: writes take time, fail, and are lost in a crash; at times it is full.
#[derive(Debug, Clone)]
pub struct FaultyDisk {
    plan: DiskPlan,
    dice: Dice,
    files: BTreeMap<String, Vec<u8>>,
    under_way: Option<(Batch, Fate)>,
}

/// What will become of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stored,
    /// Nothing is stored, and the disk says so.
    Refused,
    /// The disk says that it failed, and yet all of it is stored.
    StoredAndDenied,
}

impl FaultyDisk {
    /// An empty disk, whose faults the seed determines.
    #[must_use]
    pub fn new(plan: &DiskPlan, seed: u64) -> Self {
        Self { plan: plan.clone(), dice: Dice::new(seed, 5), files: BTreeMap::new(), under_way: None }
    }

    fn fate(&mut self, at_ns: i64) -> Fate {
        let fails = self.dice.chance(self.plan.fail);
        if self.plan.is_full(at_ns) {
            Fate::Refused
        } else if !fails {
            Fate::Stored
        } else if self.dice.chance(0.3) {
            Fate::StoredAndDenied
        } else {
            Fate::Refused
        }
    }
}

impl Disk for FaultyDisk {
    fn read(&self, file: &str) -> Option<Vec<u8>> {
        self.files.get(file).cloned()
    }

    fn write(&mut self, file: &str, bytes: &[u8]) -> bool {
        self.files.insert(file.to_owned(), bytes.to_vec());
        true
    }

    fn begin(&mut self, at_ns: i64, files: Batch) -> i64 {
        let fate = self.fate(at_ns);
        self.under_way = Some((files, fate));
        let most_ns = if self.dice.chance(self.plan.slow) { self.plan.slow_ns } else { self.plan.write_ns };
        at_ns.saturating_add(self.dice.between(0, most_ns))
    }

    fn end(&mut self) -> bool {
        let Some((files, fate)) = self.under_way.take() else { return false };
        if fate != Fate::Refused {
            self.files.extend(files);
        }
        fate == Fate::Stored
    }

    fn crash(&mut self) {
        let Some((files, fate)) = self.under_way.take() else { return };
        // It may have come as far as the disk, and nobody was told.
        if fate != Fate::Refused && self.dice.chance(0.5) {
            self.files.extend(files);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use centauri_roles::ReservationPolicy;

    fn disk(fail: f64, full: Vec<(i64, i64)>) -> FaultyDisk {
        let reservation = ReservationPolicy::default();
        let plan = DiskPlan { reservation, look_ns: 1, write_ns: 10, slow: 0.0, slow_ns: 0, fail, full };
        FaultyDisk::new(&plan, 1)
    }

    fn both(byte: u8) -> Batch {
        vec![("a".to_owned(), vec![byte]), ("b".to_owned(), vec![byte])]
    }

    #[test]
    fn what_is_written_is_there_once_it_is_over_and_all_of_it_or_nothing() {
        let mut disk = disk(0.0, Vec::new());
        assert!((0..=10).contains(&disk.begin(0, both(1))));
        assert_eq!(disk.read("a"), None);
        assert!(disk.end());
        let mut seen = [0; 3];
        for byte in 2..200 {
            disk.begin(0, both(byte));
            disk.crash();
            assert_eq!(disk.read("a"), disk.read("b"));
            seen[usize::from(disk.read("a") == Some(vec![byte]))] += 1;
        }
        assert!(seen[0] > 50 && seen[1] > 50, "{seen:?}");
    }

    #[test]
    fn a_full_disk_stores_nothing_until_there_is_room_again() {
        let mut disk = disk(0.0, vec![(5, 9)]);
        for (at, is_stored) in [(4, true), (5, false), (8, false), (9, true)] {
            disk.begin(at, both(at as u8));
            assert_eq!((disk.end(), disk.read("b") == Some(vec![at as u8])), (is_stored, is_stored), "{at}");
        }
    }

    #[test]
    fn some_of_what_a_disk_denies_is_stored() {
        let mut disk = disk(1.0, Vec::new());
        let mut stored = 0;
        for byte in 0..200 {
            disk.begin(0, both(byte));
            assert!(!disk.end());
            stored += usize::from(disk.read("a") == Some(vec![byte]));
        }
        assert!((20..120).contains(&stored), "{stored}");
    }
}

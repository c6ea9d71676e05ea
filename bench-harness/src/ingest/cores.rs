//! Threads on cores of their own.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Two cores that the process may use; `None` where it may use one only.
#[must_use]
pub fn two() -> Option<(usize, usize)> {
    let allowed = sched_getaffinity(None).ok()?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    let first = cores.next()?;
    cores.next_back().map(|last| (first, last))
}

/// Keeps the calling thread on a core; where the system refuses, it runs where it did.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let _ = sched_setaffinity(None, &set);
}

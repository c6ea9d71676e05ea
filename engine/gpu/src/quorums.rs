//! Every quorum of a size as bits, on the device.

use crate::arena::Arena;
use crate::device::Device;
use crate::error::GpuError;
use centauri_engine::Quorum;
use centauri_engine::limits::QUORUMS_MAX;
use std::collections::BTreeMap;

/// The lists of quorums that have been asked for.
#[derive(Debug)]
pub(crate) struct Quorums {
    pub(crate) arena: Arena,
    /// By number of replicas and faults: where the list begins, and the list.
    lists: BTreeMap<(usize, usize), (u32, Vec<u32>)>,
}

impl Quorums {
    pub(crate) fn new(device: &Device) -> Self {
        Self { arena: Arena::new(device), lists: BTreeMap::new() }
    }

    /// The quorums of n − f of n (at most 32) replicas; `None` where the device has no room.
    pub(crate) fn list(
        &mut self,
        device: &Device,
        n: usize,
        f: usize,
    ) -> Result<Option<(u32, u32)>, GpuError> {
        if let Some((begin, quorums)) = self.lists.get(&(n, f)) {
            return Ok(Some((*begin, quorums.len() as u32)));
        }
        let quorums = lexicographic(n, n - f);
        let Some(begin) = self.arena.take(device, quorums.len() as u32)? else { return Ok(None) };
        self.arena.write(device, begin, &quorums);
        let length = quorums.len() as u32;
        self.lists.insert((n, f), (begin, quorums));
        Ok(Some((begin, length)))
    }

    /// Quorum `index` of a list that has been asked for.
    pub(crate) fn quorum(&self, n: usize, f: usize, index: usize) -> Option<Quorum> {
        let bits = *self.lists.get(&(n, f))?.1.get(index)?;
        Some((0..n).filter(|i| bits >> i & 1 == 1).collect())
    }
}

/// C(n, f), or more than any limit.
pub(crate) fn count(n: usize, f: usize) -> u64 {
    let step = |ways: u64, b: u64| ways.checked_mul(n as u64 - b + 1).map(|product| product / b);
    (1..=f as u64).try_fold(1, step).unwrap_or(u64::MAX)
}

/// Whether they can be searched one by one.
pub(crate) fn countable(n: usize, f: usize) -> bool {
    count(n, f) <= QUORUMS_MAX
}

/// Every subset of `size` of `n` replicas, in lexicographic order of positions.
fn lexicographic(n: usize, size: usize) -> Vec<u32> {
    let mut all = Vec::new();
    let mut positions: Vec<usize> = (0..size).collect();
    loop {
        all.push(positions.iter().fold(0, |bits, &p| bits | 1 << p));
        // The last position that can still move on.
        let Some(k) = (0..size).rev().find(|&k| positions[k] < n - size + k) else { return all };
        positions[k] += 1;
        for later in k + 1..size {
            positions[later] = positions[later - 1] + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_come_in_lexicographic_order() {
        assert_eq!(lexicographic(4, 2), [0b0011, 0b0101, 0b1001, 0b0110, 0b1010, 0b1100]);
        assert_eq!(lexicographic(3, 3), [0b111]);
        assert_eq!(lexicographic(16, 11).len() as u64, count(16, 5));
        assert_eq!(count(128, 64), u64::MAX);
    }
}

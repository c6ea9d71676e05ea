//! A provided-buffer ring: memory that the kernel fills in any order, and gives back by id.
//!
//! Invariant: at any time a buffer belongs to the kernel or to a [`Filled`], never to both. Only
//! [`Filled::take`] and dropping the [`Filled`] move it, and a bit per buffer says where it
//! is, so that a completion naming a buffer the kernel does not have is refused.

use super::mapping::Mapping;
use io_uring::types::BufRingEntry;
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

const LINE_BYTES: usize = 64;
/// The most buffers that are taken together.
pub(crate) const TAKEN_MAX: usize = 64;

/// The buffers and the ring through which the kernel takes them.
#[derive(Debug)]
pub(crate) struct ProvidedBuffers {
    entries: Mapping,
    slots: Mapping,
    count: u16,
    slot_bytes: usize,
    stride: usize,
    /// The next entry to publish; wraps.
    tail: u16,
    /// Whether the kernel has the buffer, by id.
    with_kernel: Vec<bool>,
}

impl ProvidedBuffers {
    /// `count` buffers, a power of two, of `slot_bytes` each, all given to the kernel.
    pub(crate) fn new(count: u16, slot_bytes: usize) -> io::Result<Self> {
        let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text.to_owned());
        if !count.is_power_of_two() || count > 1 << 15 {
            return Err(invalid("buffer count: expected a power of two up to 32,768"));
        }
        if slot_bytes == 0 || u32::try_from(slot_bytes).is_err() {
            return Err(invalid("buffer size: expected 1 to 4,294,967,295"));
        }
        // An odd number of cache lines between buffers spreads their beginnings, which is all that
        // small datagrams touch, over all sets of the cache.
        let stride = (slot_bytes.div_ceil(LINE_BYTES) | 1) * LINE_BYTES;
        let total = stride
            .checked_mul(usize::from(count))
            .ok_or_else(|| invalid("buffers: their total overflows"))?;
        let mut buffers = Self {
            entries: Mapping::new(usize::from(count) * size_of::<BufRingEntry>())?,
            slots: Mapping::new(total)?,
            count,
            slot_bytes,
            stride,
            tail: 0,
            with_kernel: vec![false; usize::from(count)],
        };
        for id in 0..count {
            buffers.publish(id);
        }
        Ok(buffers)
    }

    /// Where the kernel finds the ring, and how many entries it has. Whoever registers it keeps
    /// this value until the kernel has let go of it.
    pub(crate) fn registration(&self) -> (u64, u16) {
        (self.entries.start().as_ptr().expose_provenance() as u64, self.count)
    }

    /// Bytes that a buffer holds; within 32 bits.
    pub(crate) fn slot_bytes(&self) -> u32 {
        u32::try_from(self.slot_bytes).unwrap_or(u32::MAX)
    }

    /// The buffers that are going to be taken from the kernel together.
    pub(crate) fn filled(&mut self) -> Filled<'_> {
        Filled { buffers: self, taken: [(0, 0); TAKEN_MAX], count: 0 }
    }

    fn offset(&self, id: u16) -> usize {
        usize::from(id) * self.stride
    }

    /// Gives buffer `id < count` to the kernel.
    fn publish(&mut self, id: u16) {
        let Some(with_kernel) = self.with_kernel.get_mut(usize::from(id)) else {
            return;
        };
        *with_kernel = true;
        let ring = self.entries.start().as_ptr().cast::<BufRingEntry>();
        let index = usize::from(self.tail & (self.count - 1));
        debug_assert!(self.offset(id) + self.slot_bytes <= self.slots.len());
        // SAFETY: `id < count`, so the buffer lies in the mapping of `count` strides.
        let slot = unsafe { self.slots.start().add(self.offset(id)) };
        // SAFETY: `index < count`, and `ring` is the page-aligned start of a mapping of `count`
        // entries, zeroed at first, for which all bit patterns are valid. The kernel only reads
        // entries, and this one not before the tail below has passed it: there are as many entries
        // as buffers, so it is not one that the kernel has yet to take.
        let entry = unsafe { &mut *ring.add(index) };
        entry.set_addr(slot.as_ptr().expose_provenance() as u64);
        entry.set_len(self.slot_bytes());
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `ring` is the first entry of the ring, as `tail` wants it.
        let tail = unsafe { BufRingEntry::tail(ring) };
        // SAFETY: the tail is an aligned u16 inside the mapping, which outlives the reference; from
        // here it is only written to through this atomic, and the kernel reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: whoever sees the new tail sees the entry too.
        tail.store(self.tail, Ordering::Release);
    }
}

/// Buffers that the kernel has filled; dropping this gives them back.
#[derive(Debug)]
pub(crate) struct Filled<'a> {
    buffers: &'a mut ProvidedBuffers,
    /// Id and bytes written, in the order of taking.
    taken: [(u16, usize); TAKEN_MAX],
    count: usize,
}

impl Filled<'_> {
    /// Takes buffer `id` from the kernel, with `len` bytes written; gives its place among those taken. `None` if the kernel
    /// does not have that buffer, if it is shorter, or if [`TAKEN_MAX`] are taken.
    pub(crate) fn take(&mut self, id: u16, len: usize) -> Option<usize> {
        let taken = self.taken.get_mut(self.count)?;
        let with_kernel = self.buffers.with_kernel.get_mut(usize::from(id))?;
        if !*with_kernel || len > self.buffers.slot_bytes {
            return None;
        }
        *with_kernel = false;
        *taken = (id, len);
        self.count += 1;
        Some(self.count - 1)
    }

    /// What the kernel wrote into the buffer that was taken at `place`; nothing where none was.
    pub(crate) fn bytes(&self, place: usize) -> &[u8] {
        let Some(&(id, len)) = self.taken.get(..self.count).and_then(|taken| taken.get(place)) else {
            return &[];
        };
        // SAFETY: `take` checked that `id < count`, so the offset lies in the mapping.
        let start = unsafe { self.buffers.slots.start().add(self.buffers.offset(id)) };
        // SAFETY: `take` checked that `len` is at most the size of a buffer, so the slice lies in the
        // mapping, which is initialised (zeroed pages, then the kernel's bytes). The kernel has given
        // the buffer up, and gets it back only when `self`, which the slice borrows from, is dropped.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), len) }
    }
}

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        for &(id, _) in self.taken.iter().take(self.count) {
            self.buffers.publish(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_taken_once_and_comes_back() {
        let mut buffers = ProvidedBuffers::new(4, 100).unwrap();
        assert_eq!(buffers.tail, 4);
        for _ in 0..100_000 {
            let mut filled = buffers.filled();
            for (place, id) in [2, 0, 3, 1].into_iter().enumerate() {
                assert_eq!(filled.take(id, 97 + place), Some(place));
                assert_eq!(filled.take(id, 100), None, "the kernel does not have it");
            }
            assert_eq!(filled.bytes(1).len(), 98);
            assert_eq!(filled.bytes(4), []);
        }
        let mut taken = buffers.filled();
        assert_eq!(taken.take(1, 0), Some(0));
        assert!(taken.bytes(0).is_empty());
        // What a leak would leave behind.
        std::mem::forget(taken);
        assert_eq!(buffers.filled().take(1, 0), None, "the kernel does not have it");
        assert_eq!(buffers.filled().take(0, 0), Some(0));
    }

    #[test]
    fn no_more_are_taken_together_than_there_is_room_for() {
        let mut buffers = ProvidedBuffers::new(128, 10).unwrap();
        let mut filled = buffers.filled();
        let taken = (0..128).filter(|&id| filled.take(id, 10).is_some()).count();
        assert_eq!(taken, TAKEN_MAX);
        drop(filled);
        assert_eq!(buffers.filled().take(0, 10), Some(0));
    }

    #[test]
    fn what_the_kernel_cannot_have_written_is_refused() {
        let mut buffers = ProvidedBuffers::new(4, 100).unwrap();
        let mut filled = buffers.filled();
        assert_eq!(filled.take(4, 10), None);
        assert_eq!(filled.take(u16::MAX, 10), None);
        assert_eq!(filled.take(0, 101), None);
        assert_eq!(filled.take(0, 100), Some(0));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(ProvidedBuffers::new(0, 100).is_err());
        assert!(ProvidedBuffers::new(3, 100).is_err());
        assert!(ProvidedBuffers::new(2, 0).is_err());
    }
}

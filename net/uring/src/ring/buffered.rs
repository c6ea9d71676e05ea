//! A ring together with the buffers that it fills.

use super::buffers::ProvidedBuffers;
use crate::RingUnavailable;
use io_uring::IoUring;

/// The group that a ring's buffers are registered as; it has no other.
pub(crate) const BUFFER_GROUP: u16 = 0;

/// A ring made, disabled, on any thread for the one that enables it, and its registered buffers.
pub(crate) struct BufferedRing {
    // Dropped first: closing the ring makes the kernel let go of the buffers.
    pub(crate) ring: IoUring,
    pub(crate) buffers: ProvidedBuffers,
}

impl std::fmt::Debug for BufferedRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BufferedRing").field("buffers", &self.buffers).finish_non_exhaustive()
    }
}

impl BufferedRing {
    /// A ring with room for so many submissions and completions. If it `marks` deferred work, submitting runs that too.
    pub(crate) fn new(
        buffers: ProvidedBuffers,
        submissions: u32,
        completions: u32,
        marks: bool,
    ) -> Result<Self, RingUnavailable> {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_r_disabled().setup_cqsize(completions);
        if marks {
            builder.setup_taskrun_flag();
        }
        let ring =
            builder.build(submissions).map_err(|cause| RingUnavailable::new("creating a ring", &cause))?;
        let (address, entries) = buffers.registration();
        // SAFETY: the address is of a live mapping of `entries` entries. `buffers` moves into the same value as `ring` and is
        // dropped after it; the mapping does not move with it.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, entries, BUFFER_GROUP, 0) }
            .map_err(|cause| RingUnavailable::new("registering a ring of buffers", &cause))?;
        Ok(Self { ring, buffers })
    }
}

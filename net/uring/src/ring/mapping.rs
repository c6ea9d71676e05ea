//! Page-aligned, zeroed memory that the kernel may write to while Rust holds no reference to it.

use std::io;
use std::ptr::{self, NonNull};

/// An anonymous private mapping, unmapped on drop.
///
/// Pages become resident when they are first written to.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone, and memory is not bound to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `len` bytes, `len > 0`.
    pub(super) fn new(len: usize) -> io::Result<Self> {
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that
        // exists.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `len` are of a mapping made in `new`; references into it borrow from
        // this value or from one that owns it, so none is left. A failure would leak, no more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

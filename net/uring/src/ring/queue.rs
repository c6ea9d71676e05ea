//! A ring with one multishot `recvmsg` on one descriptor, and the buffers it fills.

use super::buffered::{BUFFER_GROUP, BufferedRing};
use super::buffers::{ProvidedBuffers, TAKEN_MAX};
use crate::control::CONTROL_BYTES;
use crate::sockaddr::NAME_BYTES;
use crate::{DriverConfig, RingUnavailable};
use io_uring::types::{CancelBuilder, Fd, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{cqueue, opcode};
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

const RECEIVE_ID: u64 = 1;
const WAKE_ID: u64 = 2;
/// Two standing requests, and their successors.
const SUBMISSION_ENTRIES: u32 = 4;
/// `struct io_uring_recvmsg_out`: four u32 before the name, the control data and the payload.
const HEADER_BYTES: usize = 16;
const CANCEL_WAIT: Duration = Duration::from_millis(100);

/// What the running kernel's io_uring can do beyond what the driver needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RingFeatures {
    /// A wait for several completions can be told to go on with one after a while
    /// (`IORING_FEAT_MIN_TIMEOUT`, Linux 6.12): one system call a wait under load instead of two.
    pub min_wait: bool,
}

impl RingFeatures {
    /// Says whether a wait may use the minimum-wait argument.
    #[must_use]
    pub fn with_min_wait(mut self, min_wait: bool) -> Self {
        self.min_wait = min_wait;
        self
    }
}

/// What one completion said.
#[derive(Debug)]
pub(super) enum Completion<'a> {
    /// A datagram.
    Received(RecvMsgOut<'a>),
    /// A buffer whose contents make no sense.
    Unreadable,
    /// No buffer was left.
    NoBuffers,
    /// The receive failed with this error number.
    Failed(i32),
}

/// The same before its buffer is looked at.
#[derive(Debug, Clone, Copy)]
enum End {
    /// With the buffer taken at this place.
    Written(usize),
    Unreadable,
    NoBuffers,
    Failed(i32),
}

/// A ring made, disabled, on any thread; [`start`](Self::start) binds it to the calling one.
pub(super) struct ReceiveQueue {
    // Dropped first: closing the ring makes the kernel let go of the template.
    ring: BufferedRing,
    /// The sizes of name and control field, for the kernel and for parsing.
    template: Box<libc::msghdr>,
    features: RingFeatures,
    started: bool,
    armed: bool,
    /// Whether the other source is asked about.
    watching: bool,
}

// SAFETY: the only part that is not Send by itself is `template`, whose pointers are null and stay
// so. The ring accepts the thread that started it only, and answers another with an error.
unsafe impl Send for ReceiveQueue {}

impl std::fmt::Debug for ReceiveQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiveQueue")
            .field("features", &self.features)
            .field("started", &self.started)
            .field("armed", &self.armed)
            .finish_non_exhaustive()
    }
}

impl ReceiveQueue {
    pub(super) fn new(features: RingFeatures, config: &DriverConfig) -> Result<Self, RingUnavailable> {
        let buffers = ProvidedBuffers::new(config.buffers, slot_bytes(config.buffer_bytes))
            .map_err(|cause| RingUnavailable::new("mapping receive buffers", &cause))?;
        // Each buffer can be in one completion, and the end of the request needs one more: twice the
        // buffers cannot overflow.
        let completions = u32::from(config.buffers) * 2;
        let ring = BufferedRing::new(buffers, SUBMISSION_ENTRIES, completions, false)?;
        if !ring.ring.params().is_feature_ext_arg() {
            let missing = "the kernel lacks IORING_FEAT_EXT_ARG";
            return Err(RingUnavailable::new("waiting with a time limit", missing));
        }
        let features =
            RingFeatures { min_wait: features.min_wait && ring.ring.params().is_feature_min_timeout() };
        // SAFETY: all zeroes is a valid msghdr: null pointers and lengths of zero.
        let mut template: libc::msghdr = unsafe { std::mem::zeroed() };
        template.msg_namelen = NAME_BYTES as libc::socklen_t;
        template.msg_controllen = CONTROL_BYTES;
        Ok(Self {
            ring,
            template: Box::new(template),
            features,
            started: false,
            armed: false,
            watching: false,
        })
    }

    pub(super) fn features(&self) -> RingFeatures {
        self.features
    }

    /// Enables the ring for the calling thread; no other may call [`wait`](Self::wait) from now on.
    pub(super) fn start(&mut self) -> io::Result<()> {
        if !self.started {
            self.ring.ring.submitter().register_enable_rings()?;
            self.started = true;
        }
        Ok(())
    }

    pub(super) fn is_armed(&self) -> bool {
        self.armed
    }

    /// Puts up the standing receive request, which takes what is there already.
    ///
    /// The call is apart from [`wait`](Self::wait): one that both submits and waits says nothing of
    /// a signal.
    pub(super) fn arm(&mut self, fd: RawFd) -> io::Result<()> {
        let entry = opcode::RecvMsgMulti::new(Fd(fd), &raw const *self.template, BUFFER_GROUP)
            .build()
            .user_data(RECEIVE_ID);
        // SAFETY: the kernel reads the template when it takes the entry in. The template lies on
        // the heap, so it stays in place when this value moves, is never written to, and outlives
        // the ring, which is dropped first. Buffers come from the registered group.
        unsafe { self.ring.ring.submission().push(&entry) }.map_err(io::Error::other)?;
        // Also when the call below fails: the entry then waits in the queue for the next one.
        self.armed = true;
        self.ring.ring.submit()?;
        Ok(())
    }

    /// Has a wait end when `fd` is readable, or already is. It holds until that is so: one request, one wake.
    pub(super) fn watch(&mut self, fd: RawFd) -> io::Result<()> {
        if self.watching {
            return Ok(());
        }
        let entry = opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).build().user_data(WAKE_ID);
        // SAFETY: the request has no memory. The kernel holds what the descriptor stands for.
        unsafe { self.ring.ring.submission().push(&entry) }.map_err(io::Error::other)?;
        self.watching = true;
        self.ring.ring.submit()?;
        Ok(())
    }

    /// Waits for one completion for at most `timeout`, and for up to `count` of them for at most
    /// `linger`. Returns early, without an error, when the time is up.
    ///
    /// # Errors
    /// `Interrupted` when a signal handler ran; otherwise what the kernel reports.
    pub(super) fn wait(&mut self, count: u32, timeout: Duration, linger: Duration) -> io::Result<()> {
        let linger = linger.min(timeout);
        // Bounded by `limits::LINGER_MAX`, so it fits.
        let linger_us = u32::try_from(linger.as_micros()).unwrap_or(u32::MAX);
        if count <= 1 || linger_us == 0 {
            return self.enter(1, &Timespec::from(timeout), 0);
        }
        if self.features.min_wait {
            // The linger runs from here, not from the first datagram: one that comes to a receiver
            // idle for longer is handed over at once.
            return self.enter(count, &Timespec::from(timeout), linger_us);
        }
        self.enter(1, &Timespec::from(timeout), 0)?;
        let come = self.ring.ring.completion().len();
        if come == 0 || come >= count as usize {
            return Ok(());
        }
        match self.enter(count, &Timespec::from(linger), 0) {
            // What has come must be handed over whatever ended the second wait.
            Err(_) => Ok(()),
            done => done,
        }
    }

    fn enter(&self, count: u32, timeout: &Timespec, min_wait_us: u32) -> io::Result<()> {
        let args = SubmitArgs::new().timespec(timeout).min_wait_usec(min_wait_us);
        match self.ring.ring.submitter().submit_with_args(count as usize, &args) {
            Ok(_) => Ok(()),
            // ETIME: nothing came. EBUSY: completions must be taken out before more can come.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ETIME | libc::EBUSY)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Hands over every completion that is there, up to [`TAKEN_MAX`] at a time. Buffers go back when `visit` returns.
    pub(super) fn drain(&mut self, visit: &mut dyn FnMut(&[Completion<'_>])) {
        let mut completions = self.ring.ring.completion();
        loop {
            let mut filled = self.ring.buffers.filled();
            let mut ends = [End::Unreadable; TAKEN_MAX];
            let mut count = 0;
            while let Some(end) = ends.get_mut(count) {
                let Some(completion) = completions.next() else { break };
                if completion.user_data() == WAKE_ID {
                    self.watching = false;
                    continue;
                }
                if completion.user_data() != RECEIVE_ID {
                    continue;
                }
                let flags = completion.flags();
                if !cqueue::more(flags) {
                    self.armed = false;
                }
                let place = cqueue::buffer_select(flags).and_then(|id| {
                    let written = usize::try_from(completion.result()).unwrap_or(0);
                    filled.take(id, written)
                });
                *end = match (completion.result(), place) {
                    (error, _) if error == -libc::ENOBUFS => End::NoBuffers,
                    (error, _) if error < 0 => End::Failed(error.saturating_neg()),
                    (_, None) => End::Unreadable,
                    (_, Some(place)) => End::Written(place),
                };
                count += 1;
            }
            if count == 0 {
                return;
            }
            let all = ends.map(|end| match end {
                End::NoBuffers => Completion::NoBuffers,
                End::Failed(error) => Completion::Failed(error),
                End::Unreadable => Completion::Unreadable,
                End::Written(place) => RecvMsgOut::parse(filled.bytes(place), &self.template)
                    .map_or(Completion::Unreadable, Completion::Received),
            });
            visit(all.get(..count).unwrap_or(&all));
        }
    }

    /// Ends the standing request, so that it lets go of the socket at once. Only on the thread that
    /// started the ring; from elsewhere, closing the ring has the same effect a little later.
    pub(super) fn cancel(&mut self) {
        if !self.armed && !self.watching {
            return;
        }
        let limit = Some(Timespec::from(CANCEL_WAIT));
        if self.ring.ring.submitter().register_sync_cancel(limit, CancelBuilder::any()).is_ok() {
            // The end of the request is itself deferred work, which an enter call runs.
            let _ = self.enter(1, &Timespec::from(CANCEL_WAIT), 0);
        }
    }
}

/// Bytes of one buffer with room for `payload` bytes.
fn slot_bytes(payload: usize) -> usize {
    HEADER_BYTES + NAME_BYTES + CONTROL_BYTES + payload
}

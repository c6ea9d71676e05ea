//! Finding out whether io_uring works here, by using it.

use super::queue::{Completion, ReceiveQueue, RingFeatures};
use crate::{DriverConfig, RingUnavailable};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

const MESSAGE: &[u8] = b"probe";
const PATIENCE: Duration = Duration::from_millis(250);

/// Tries out everything the io_uring driver uses: a ring bound to one thread with deferred work, a
/// ring of buffers, a multishot receive, a wait with a time limit.
///
/// One message goes through a pair of Unix sockets, so that the answer does not depend on any
/// network. Containers often forbid the system calls (seccomp), and `kernel.io_uring_disabled`
/// does; kernels before 6.1 lack deferred work, and some sandboxes answer the calls but do not keep
/// their promises.
///
/// # Errors
/// [`RingUnavailable`] with the step that failed.
pub fn probe_io_uring() -> Result<RingFeatures, RingUnavailable> {
    let step = |step| move |cause: std::io::Error| RingUnavailable::new(step, &cause);
    let config = DriverConfig { buffers: 2, buffer_bytes: 2_048, ..DriverConfig::default() };
    let (near, far) = UnixDatagram::pair().map_err(step("making a pair of sockets"))?;
    let mut queue = ReceiveQueue::new(RingFeatures::default().with_min_wait(true), &config)?;
    queue.start().map_err(step("enabling a ring"))?;
    far.send(MESSAGE).map_err(step("sending to a Unix socket"))?;
    queue.arm(near.as_raw_fd()).map_err(step("asking for a multishot receive"))?;
    queue.wait(1, PATIENCE, Duration::ZERO).map_err(step("waiting for a multishot receive"))?;
    let mut outcome = Err("nothing came".to_owned());
    queue.drain(&mut |completions| {
        outcome = match completions {
            [Completion::Received(message)] if message.payload_data() == MESSAGE => Ok(()),
            [Completion::Failed(error)] => Err(std::io::Error::from_raw_os_error(*error).to_string()),
            other => Err(format!("came back as {other:?}")),
        };
    });
    queue.cancel();
    outcome.map_err(|reason| RingUnavailable::new("receiving a message", &reason))?;
    Ok(queue.features())
}

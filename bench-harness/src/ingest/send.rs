//! The sending side: as fast as the receiver takes it, and no faster.

use super::traffic::Traffic;
use super::work::Carrier;
use centauri_wire::encode_on_stream;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What sender and receiver tell each other.
#[derive(Debug)]
pub struct Link {
    taken: AtomicU64,
    ended: AtomicBool,
    /// Most datagrams on their way.
    window: u64,
}

/// Most datagrams on their way, whatever room there is.
const WINDOW_MAX: usize = 512;

impl Link {
    /// A link that keeps at most as many datagrams of up to `bytes` on their way as a socket's buffer of `room` holds, and no
    /// more than half a round of `round` datagrams, so that none comes before its round may begin.
    #[must_use]
    pub fn new(bytes: usize, room: usize, round: usize) -> Self {
        // The kernel counts what a datagram occupies, its own notes included.
        let occupied = 2 * bytes.next_power_of_two() + 1_024;
        let window = (room / occupied).clamp(8, WINDOW_MAX).min(round / 2).max(1) as u64;
        Self { taken: AtomicU64::new(0), ended: AtomicBool::new(false), window }
    }

    /// Tells how many datagrams have been taken in so far.
    pub fn took(&self, datagrams: u64) {
        self.taken.store(datagrams, Ordering::Release);
    }

    /// Tells that no more are wanted.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Waits until another may be sent after `sent`; `false` if no more are wanted.
    fn may_send(&self, sent: u64) -> bool {
        while sent - self.taken.load(Ordering::Acquire).min(sent) >= self.window {
            if self.ended.load(Ordering::Acquire) {
                return false;
            }
            std::hint::spin_loop();
        }
        true
    }
}

/// Sends every frame once, by what is to carry it. Where the system's own buffer is full this waits, so nothing is lost on this
/// side.
///
/// # Errors
/// What the socket reports.
pub fn send(link: &Link, carrier: Carrier, to: SocketAddr, traffic: &Traffic) -> anyhow::Result<()> {
    match carrier {
        Carrier::Datagrams => {
            let socket = UdpSocket::bind((to.ip(), 0))?;
            socket.connect(to)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            send_each(link, traffic, |frame| Ok(socket.send(frame).map(|_| ())?))
        }
        Carrier::Connection => {
            let mut socket = TcpStream::connect(to)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            socket.set_nodelay(true)?;
            let mut bytes = Vec::new();
            send_each(link, traffic, |frame| {
                bytes.clear();
                encode_on_stream(frame, &mut bytes)?;
                Ok(socket.write_all(&bytes)?)
            })
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

fn send_each(
    link: &Link,
    traffic: &Traffic,
    mut send: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for (sent, frame) in (0..).zip(traffic.frames()) {
        if !link.may_send(sent) {
            return Ok(());
        }
        if let Err(error) = send(frame) {
            let gone =
                [io::ErrorKind::ConnectionRefused, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            // The receiver has given up and says why.
            return if kind.is_some_and(|kind| gone.contains(&kind)) { Ok(()) } else { Err(error) };
        }
    }
    Ok(())
}

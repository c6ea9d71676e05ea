//! The run: frames out at their times, decisions in, in one thread that waits for neither.

use super::frames::Frames;
use super::lines::Lines;
use super::plan::{Plan, Sending};
use super::process::{Memory, Server};
use super::tally::{Tally, quantile};
use anyhow::{Context as _, ensure};
use centauri::clock::now_ns;
use centauri_wire::SigningIdentity;
use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{ErrorKind, Read as _};
use std::net::UdpSocket;
use std::ops::Range;

/// So many frames are ready, as long as there is time to sign more.
const READY_MAX: usize = 4_096;

/// With fewer frames ready, signing comes before waiting for anything.
const READY_LOW: usize = 256;

/// So many frames are sent between two looks at the server's output.
const BURST: usize = 16;

/// What is read of the output at a time.
const READ_BYTES: usize = 1 << 17;

/// How long what is due may still come after the span, in nanoseconds. The traffic goes on meanwhile.
const GRACE_NS: i64 = 2_000_000_000;

/// What a run measured.
#[derive(Debug)]
pub struct Driven {
    /// What became of the rounds.
    pub tally: Tally,
    /// How late the frames of the measured span left, in nanoseconds.
    pub lateness: Histogram<u64>,
    /// Frames sent in the measured span.
    pub frames: u64,
    /// Frames sent in all.
    pub frames_all: u64,
    /// The server's processor time in the measured span, in seconds.
    pub cpu_s: f64,
    /// The span as it was, in seconds.
    pub span_s: f64,
    /// The server's memory at its end.
    pub memory: Memory,
}

impl Driven {
    /// A quantile of how late frames left, in nanoseconds; 0 if none did.
    #[must_use]
    pub fn lateness_ns(&self, share: f64) -> u64 {
        let rank = ((share * self.lateness.len() as f64).ceil() as u64).max(1);
        quantile(&self.lateness, rank).unwrap_or(0)
    }
}

struct Drive<'a, S: Iterator<Item = Sending>> {
    server: &'a mut Server,
    socket: UdpSocket,
    frames: Frames<'a, S>,
    span: Range<i64>,
    tally: Tally,
    lateness: Histogram<u64>,
    lines: Lines,
    buffer: Vec<u8>,
    sent: u64,
    sent_in_span: u64,
}

/// Sends the traffic of a plan from the next period on, and measures the rounds whose deadlines lie in `span`.
///
/// # Errors
/// The server ends, or its output is none; what a socket reports.
pub fn drive(
    server: &mut Server,
    plan: Plan,
    replicas: &[SigningIdentity],
    span: Range<i64>,
) -> anyhow::Result<Driven> {
    let socket = UdpSocket::bind((server.address.ip(), 0))?;
    socket.connect(server.address)?;
    socket.set_nonblocking(true)?;
    // Rounds that had opened when the server started are none of its rounds.
    let from_ns = now_ns() + plan.period_ns;
    let frames = Frames::new(plan, replicas, plan.sendings(from_ns));
    let mut drive = Drive {
        server,
        socket,
        frames,
        tally: Tally::new(plan, &span)?,
        span,
        lateness: Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
        lines: Lines::default(),
        buffer: vec![0; READ_BYTES],
        sent: 0,
        sent_in_span: 0,
    };
    let (begun_ns, cpu_before) = drive.until(|drive, now| now >= drive.span.start)?;
    let (ended_ns, cpu_after) = drive.until(|drive, now| now >= drive.span.end)?;
    let memory = drive.server.memory()?;
    drive.until(|drive, now| drive.tally.missing() == 0 || now >= drive.span.end + GRACE_NS)?;
    Ok(Driven {
        tally: drive.tally,
        lateness: drive.lateness,
        frames: drive.sent_in_span,
        frames_all: drive.sent,
        cpu_s: cpu_after - cpu_before,
        span_s: (ended_ns - begun_ns) as f64 * 1e-9,
        memory,
    })
}

impl<S: Iterator<Item = Sending>> Drive<'_, S> {
    /// Goes on until `is_over`; gives the time, and the server's processor time.
    fn until(&mut self, is_over: impl Fn(&Self, i64) -> bool) -> anyhow::Result<(i64, f64)> {
        loop {
            let now = now_ns();
            if is_over(self, now) {
                return Ok((now, self.server.cpu_s()?));
            }
            self.turn(now)?;
        }
    }

    fn turn(&mut self, mut now: i64) -> anyhow::Result<()> {
        let mut is_busy = false;
        for _ in 0..BURST {
            if self.frames.next_ns().is_none_or(|at| at > now) {
                break;
            }
            self.send(now)?;
            now = now_ns();
            is_busy = true;
        }
        is_busy |= self.read()?;
        if self.frames.ready() < READY_LOW || (!is_busy && self.frames.ready() < READY_MAX) {
            self.frames.sign()?;
        } else if !is_busy {
            self.wait()?;
        }
        Ok(())
    }

    fn send(&mut self, now: i64) -> anyhow::Result<()> {
        let Some(frame) = self.frames.take() else { return Ok(()) };
        if !frame.is_lost {
            match self.socket.send(&frame.bytes) {
                Ok(_) => self.sent += 1,
                // The system's own buffer is full: the datagram is lost, as it would be on a network.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    anyhow::bail!("the server has gone")
                }
                Err(error) => return Err(error).context("sending"),
            }
            if self.span.contains(&frame.at_ns) {
                self.sent_in_span += 1;
                let late = u64::try_from(now - frame.at_ns).unwrap_or(0);
                self.lateness.saturating_record(late);
            }
        }
        self.frames.give_back(frame);
        Ok(())
    }

    /// Takes in what the server wrote; says whether that was anything.
    fn read(&mut self) -> anyhow::Result<bool> {
        let count = match self.server.output.read(&mut self.buffer) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(false);
            }
            Err(error) => return Err(error).context("the server's output"),
        };
        ensure!(count > 0, "the server has closed its output");
        let read_ns = now_ns();
        let (tally, piece) = (&mut self.tally, self.buffer.get(..count).unwrap_or_default());
        self.lines.take(piece, |line| tally.take(line, read_ns))?;
        Ok(true)
    }

    /// Waits for output, at most until the next frame is to be sent.
    fn wait(&mut self) -> anyhow::Result<()> {
        let left = self.frames.next_ns().map_or(1_000_000, |at| at - now_ns()).clamp(0, 10_000_000);
        let timeout = Timespec { tv_sec: 0, tv_nsec: left };
        match poll(&mut [PollFd::new(&self.server.output, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("waiting for the server's output"),
        }
    }
}

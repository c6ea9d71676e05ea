//! A connection to somebody who listens, made again whenever it ends.

use centauri_uring::{ConnectionId, TcpDriver};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

/// So long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The first pause after an attempt that failed or a connection that ended; each failure doubles it.
const PAUSE_MIN_NS: i64 = 250_000_000;
/// The longest pause.
const PAUSE_MAX_NS: i64 = 8_000_000_000;

/// A connection that is kept up.
#[derive(Debug)]
pub(super) struct Dial {
    to: SocketAddr,
    state: State,
    pause_ns: i64,
    /// How often it has been made.
    made: u64,
}

#[derive(Debug)]
enum State {
    Pausing { until_ns: i64 },
    Trying(Receiver<io::Result<TcpStream>>),
    Up(ConnectionId),
}

impl Dial {
    /// To be made at once.
    pub(super) fn new(to: SocketAddr) -> Self {
        Self { to, state: State::Pausing { until_ns: i64::MIN }, pause_ns: PAUSE_MIN_NS, made: 0 }
    }

    pub(super) fn to(&self) -> SocketAddr {
        self.to
    }

    pub(super) fn made(&self) -> u64 {
        self.made
    }

    /// The connection, while there is one.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        match self.state {
            State::Up(id) => Some(id),
            _ => None,
        }
    }

    /// Goes on with making the connection; says when it has just been made.
    pub(super) fn go_on(&mut self, now_ns: i64, driver: &mut dyn TcpDriver) -> Option<ConnectionId> {
        match &self.state {
            State::Up(_) => None,
            State::Pausing { until_ns } => {
                if now_ns >= *until_ns {
                    self.attempt(now_ns);
                }
                None
            }
            State::Trying(outcome) => {
                let stream = match outcome.try_recv() {
                    Err(TryRecvError::Empty) => return None,
                    Ok(outcome) => outcome,
                    Err(TryRecvError::Disconnected) => Err(io::ErrorKind::Other.into()),
                };
                let id = stream.and_then(|stream| driver.adopt(stream).ok_or(io::ErrorKind::Other.into()));
                match id {
                    Ok(id) => {
                        tracing::info!(to = %self.to, "connected");
                        self.state = State::Up(id);
                        self.made += 1;
                        Some(id)
                    }
                    Err(error) => {
                        self.pause(now_ns, &error);
                        None
                    }
                }
            }
        }
    }

    /// The connection has ended, if `id` is it. What proved sound is made again soon.
    pub(super) fn ended(&mut self, now_ns: i64, id: ConnectionId, was_proven: bool) {
        if self.connection() == Some(id) {
            if was_proven {
                self.pause_ns = PAUSE_MIN_NS;
            }
            self.pause(now_ns, &io::ErrorKind::ConnectionAborted.into());
        }
    }

    /// Connects on a thread of its own, since that may take its time.
    fn attempt(&mut self, now_ns: i64) {
        let (tell, outcome) = sync_channel(1);
        let to = self.to;
        let connect = move || {
            let connected = TcpStream::connect_timeout(&to, ATTEMPT).and_then(not_itself);
            // Nobody listens when the node has ended.
            let _ = tell.send(connected);
        };
        match std::thread::Builder::new().name("dial".to_owned()).spawn(connect) {
            Ok(_) => self.state = State::Trying(outcome),
            Err(error) => self.pause(now_ns, &error),
        }
    }

    fn pause(&mut self, now_ns: i64, why: &io::Error) {
        let pause_ms = self.pause_ns / 1_000_000;
        tracing::warn!(to = %self.to, %why, pause_ms, "not connected; trying again");
        self.state = State::Pausing { until_ns: now_ns.saturating_add(self.pause_ns) };
        self.pause_ns = (self.pause_ns * 2).min(PAUSE_MAX_NS);
    }
}

/// Refuses a connection to itself: where nobody listens on a port of this machine that the system also gives to those who connect,
/// it may give one the port that it connects to, and both ends are then the same.
fn not_itself(stream: TcpStream) -> io::Result<TcpStream> {
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

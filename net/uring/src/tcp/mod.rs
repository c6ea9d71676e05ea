//! Bytes of TCP connections: accepted and read by io_uring where the machine allows it, by epoll where it does not, and sent
//! back, behind one trait.

mod config;
mod counters;
mod driver;
mod epoll;
mod listener;
mod opening;
mod outbox;
mod ring;
mod table;

pub use config::{TcpConfig, TcpConfigError, tcp_limits};
pub use counters::TcpCounters;
pub use driver::{Chunk, End, TcpDriver, TcpSink, Waiting};
pub use opening::{adopt_tcp, open_tcp};
pub use table::ConnectionId;

//! Taking bytes from TCP connections: accepted and read by io_uring where the machine allows it, by epoll where it does not,
//! behind one trait.

mod config;
mod counters;
mod driver;
mod epoll;
mod listener;
mod opening;
mod ring;
mod table;

pub use config::{TcpConfig, TcpConfigError, tcp_limits};
pub use counters::TcpCounters;
pub use driver::{Chunk, End, TcpDriver, TcpSink};
pub use opening::open_tcp;
pub use table::ConnectionId;

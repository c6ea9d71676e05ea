//! One suite over real loopback sockets, run with every driver: io_uring with and without the
//! kernel's minimum wait, and epoll.

mod common;
mod delivery;
mod group;
mod lifecycle;
mod opening;
mod overload;
mod sending;
mod tcp;
mod tcp_sending;
mod trains;
mod waiting;

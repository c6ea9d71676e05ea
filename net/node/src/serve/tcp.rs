//! The configuration file's table for TCP.

use super::config::{nanoseconds, positive};
use crate::connections::ConnectionLimits;
use anyhow::{Context, ensure};
use centauri_uring::{DriverChoice, TcpConfig as TcpDriverConfig};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// `[tcp]`: the server takes frames from TCP connections, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Most connections at a time; each may hold a frame of up to 64 KiB that has come in part, and
    /// `send_bytes_max`.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// Most connections of one address at a time (IPv6: of one /64 network).
    #[serde(default = "connections_per_address_max")]
    pub connections_per_address_max: usize,
    /// So long a frame may take from its first byte to its last, and a new connection to its first accepted frame, in
    /// seconds.
    #[serde(default = "stall_s")]
    pub stall_s: f64,
    /// So long a connection may be silent, in seconds.
    #[serde(default = "idle_s")]
    pub idle_s: f64,
    /// So many frames in a row that are not accepted end a connection.
    #[serde(default = "refused_in_a_row_max")]
    pub refused_in_a_row_max: u32,
    /// How many receive buffers all connections share: a power of two.
    #[serde(default = "buffers")]
    pub buffers: u16,
    /// Bytes of a receive buffer.
    #[serde(default = "buffer_bytes")]
    pub buffer_bytes: usize,
    /// Most bytes of answers and decisions that wait for a peer to read them; those that find no room are not sent to it.
    #[serde(default = "send_bytes_max")]
    pub send_bytes_max: usize,
    /// So long a peer may take nothing of what waits for it, in seconds.
    #[serde(default = "unread_s")]
    pub unread_s: f64,
}

fn connections_max() -> usize {
    ConnectionLimits::default().connections_max
}

fn connections_per_address_max() -> usize {
    ConnectionLimits::default().per_address_max
}

fn stall_s() -> f64 {
    ConnectionLimits::default().stall_ns as f64 * 1e-9
}

fn idle_s() -> f64 {
    ConnectionLimits::default().idle_ns as f64 * 1e-9
}

fn refused_in_a_row_max() -> u32 {
    ConnectionLimits::default().refused_in_a_row_max
}

fn buffers() -> u16 {
    TcpDriverConfig::default().buffers
}

fn buffer_bytes() -> usize {
    TcpDriverConfig::default().buffer_bytes
}

fn send_bytes_max() -> usize {
    TcpDriverConfig::default().send_bytes_max
}

fn unread_s() -> f64 {
    ConnectionLimits::default().unread_ns as f64 * 1e-9
}

/// Beyond the limit so many connections are accepted, so that it is known whom to close instead.
const SPARE: usize = 64;

impl TcpConfig {
    pub(crate) fn limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            connections_max: self.connections_max,
            per_address_max: self.connections_per_address_max,
            stall_ns: nanoseconds(self.stall_s),
            idle_ns: nanoseconds(self.idle_s),
            refused_in_a_row_max: self.refused_in_a_row_max,
            unread_ns: nanoseconds(self.unread_s),
        }
    }

    pub(crate) fn driver(&self, choice: DriverChoice) -> TcpDriverConfig {
        TcpDriverConfig {
            choice,
            connections_max: self.connections_max.saturating_add(SPARE),
            buffers: self.buffers,
            buffer_bytes: self.buffer_bytes,
            send_bytes_max: self.send_bytes_max,
        }
    }

    /// # Errors
    /// A number out of its range, by its key.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let most = centauri_uring::tcp_limits::CONNECTIONS_MAX - SPARE;
        for (key, found) in [
            ("connections_max", self.connections_max),
            ("connections_per_address_max", self.connections_per_address_max),
        ] {
            ensure!((1..=most).contains(&found), "tcp.{key}: found {found}, expected 1 to {most}");
        }
        positive("tcp.stall_s", self.stall_s)?;
        positive("tcp.idle_s", self.idle_s)?;
        positive("tcp.unread_s", self.unread_s)?;
        ensure!(self.refused_in_a_row_max > 0, "tcp.refused_in_a_row_max: found 0, expected at least 1");
        self.driver(DriverChoice::Auto).validate().context("tcp")
    }
}

//! What a soak comes to, and whether it is right.

use super::Soak;
use super::sending::Sent;
use crate::ingest::receive::check;
use anyhow::{Context as _, ensure};
use centauri::connections::ConnectionCounters;
use centauri_uring::{DriverCounters, TcpCounters};
use std::collections::BTreeMap;

/// What growth is put down to the allocator and to pages of the kernel's, in bytes.
const GROWTH_BYTES: u64 = 2 << 20;

/// What the receiver saw.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) decided: u64,
    pub(super) client: Vec<(&'static str, u64)>,
    pub(super) driver: DriverCounters,
    pub(super) connections: ConnectionCounters,
    pub(super) tcp: TcpCounters,
    pub(super) resident_warm: u64,
    pub(super) resident_end: u64,
    pub(super) wall_s: f64,
    pub(super) cpu_s: f64,
    pub(super) verifier: &'static str,
    pub(super) kind: String,
}

/// What a soak came to; all of it was as it had to be.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Outcome {
    /// Rounds of the fleet.
    pub rounds: usize,
    /// Decisions: one for each round of each stream.
    pub decided: u64,
    /// Frames that the client saw.
    pub frames: u64,
    /// Connections opened.
    pub connections: u64,
    /// Resident memory of the process after a fifth of the rounds, in bytes.
    pub resident_warm: u64,
    /// The same at the end.
    pub resident_end: u64,
    /// Seconds on the wall.
    pub wall_s: f64,
    /// Seconds of the receiving thread's processor time.
    pub cpu_s: f64,
    /// The counters that were checked and are not zero, those of connections among them.
    pub counters: BTreeMap<&'static str, u64>,
    /// What verified signatures.
    pub verifier: &'static str,
    /// What received.
    pub driver: String,
    /// Seed of everything.
    pub seed: u64,
}

impl Outcome {
    /// For a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let mut text = format!(
            "{} rounds, {} decisions, {} frames, {} connections in {:.1} s ({:.1} s of the receiver's core; {}, {})\n\
             resident memory: {:.1} MiB after a fifth of it, {:.1} MiB at the end; every counter is what was sent:\n",
            self.rounds,
            self.decided,
            self.frames,
            self.connections,
            self.wall_s,
            self.cpu_s,
            self.verifier,
            self.driver,
            mebibytes(self.resident_warm),
            mebibytes(self.resident_end),
        );
        for (name, count) in &self.counters {
            text.push_str(&format!("  {name:<26} {count:>12}\n"));
        }
        text
    }

    pub(super) fn of(soak: &Soak, received: &Received, sent: &Sent) -> anyhow::Result<Self> {
        check(&received.client, &sent.client)?;
        let connections = by_name(&received.connections);
        check(&connections, &{
            let mut expected = sent.connections.clone();
            let on_datagrams = sent.datagrams;
            let frames = sent.client.get("frames_received").copied().unwrap_or(0);
            expected.insert("frames", frames - on_datagrams);
            expected
        })?;
        let driver = &received.driver;
        ensure!(
            (driver.datagrams, driver.kernel_drops, driver.truncated) == (sent.datagrams, 0, 0),
            "{driver:?}: expected {} datagrams",
            sent.datagrams
        );
        ensure!(
            received.tcp.bytes == sent.bytes_on_connections && received.tcp.refused == 0,
            "{:?}: expected {} bytes",
            received.tcp,
            sent.bytes_on_connections
        );
        let decided = sent.client.get("rounds_decided").copied().unwrap_or(0);
        ensure!(received.decided == decided, "{} decisions, expected {decided}", received.decided);
        let growth = received.resident_end.saturating_sub(received.resident_warm);
        ensure!(
            growth <= GROWTH_BYTES,
            "memory grew by {growth} bytes since the warm-up, from {} to {}",
            received.resident_warm,
            received.resident_end
        );
        let all = received.client.iter().chain(&connections).copied();
        let counters: BTreeMap<_, _> = all.filter(|(_, count)| *count > 0).collect();
        Ok(Self {
            rounds: soak.rounds,
            decided,
            frames: sent.client.get("frames_received").copied().unwrap_or(0),
            connections: received.connections.opened,
            resident_warm: received.resident_warm,
            resident_end: received.resident_end,
            wall_s: received.wall_s,
            cpu_s: received.cpu_s,
            counters,
            verifier: received.verifier,
            driver: received.kind.clone(),
            seed: soak.seed,
        })
    }
}

fn by_name(counters: &ConnectionCounters) -> Vec<(&'static str, u64)> {
    vec![
        ("opened", counters.opened),
        ("frames", counters.frames),
        ("finished", counters.finished),
        ("cut_short", counters.cut_short),
        ("failed", counters.failed),
        ("closed_address", counters.closed_address),
        ("closed_crowded", counters.closed_crowded),
        ("closed_length", counters.closed_length),
        ("closed_stalled", counters.closed_stalled),
        ("closed_unproven", counters.closed_unproven),
        ("closed_idle", counters.closed_idle),
        ("closed_useless", counters.closed_useless),
    ]
}

/// Memory of the process that is resident, in bytes.
pub(super) fn resident_bytes() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kibibytes.context("/proc/self/status: found no VmRSS")? * 1_024)
}

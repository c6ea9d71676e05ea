//! The configuration file's table for the journal.

use super::values::{nanoseconds, positive};
use crate::journal::{JournalSettings, Retention};
use anyhow::ensure;
use centauri_roles::ReservationPolicy;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[journal]`: decisions, published distributions and how far timestamps were accepted outlive the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// The file; it is made where there is none.
    pub path: PathBuf,
    /// Decisions older than this are removed, in seconds.
    #[serde(default = "keep_s")]
    pub keep_s: f64,
    /// The oldest decisions are removed until those left take at most so many bytes of the file.
    #[serde(default = "keep_bytes")]
    pub keep_bytes: u64,
    /// What has been decided is written, and is on the disk, so often, in milliseconds.
    #[serde(default = "commit_ms")]
    pub commit_ms: u64,
    /// Frames with a timestamp further than this in the future are dropped, in seconds, whatever `freshness_s` allows; after an
    /// abrupt end the server is deaf for about as long.
    #[serde(default = "clock_ahead_s")]
    pub clock_ahead_s: f64,
}

fn keep_s() -> f64 {
    7.0 * 86_400.0
}

fn keep_bytes() -> u64 {
    1 << 30
}

fn commit_ms() -> u64 {
    100
}

fn clock_ahead_s() -> f64 {
    1.0
}

/// Fewer bytes would not hold a second of a busy server.
const KEEP_BYTES_MIN: u64 = 1 << 20;

const COMMIT_MS_MAX: u64 = 10_000;

/// A reservation reaches this far, and no further than an hour makes sense between clocks.
const CLOCK_AHEAD_S_MAX: f64 = 3_600.0;

impl JournalConfig {
    pub(crate) fn settings(&self) -> JournalSettings {
        JournalSettings {
            retention: Retention { keep_ns: nanoseconds(self.keep_s), keep_bytes: self.keep_bytes },
            commit_every: Duration::from_millis(self.commit_ms),
            reservation: ReservationPolicy {
                clock_ahead_ns: nanoseconds(self.clock_ahead_s),
                ..ReservationPolicy::default()
            },
        }
    }

    /// # Errors
    /// A number out of its range, by its key.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        positive("journal.keep_s", self.keep_s)?;
        ensure!(
            self.keep_bytes >= KEEP_BYTES_MIN,
            "journal.keep_bytes: found {}, expected at least {KEEP_BYTES_MIN}",
            self.keep_bytes
        );
        ensure!(
            (1..=COMMIT_MS_MAX).contains(&self.commit_ms),
            "journal.commit_ms: found {}, expected 1 to {COMMIT_MS_MAX}",
            self.commit_ms
        );
        ensure!(
            (0.0..=CLOCK_AHEAD_S_MAX).contains(&self.clock_ahead_s),
            "journal.clock_ahead_s: found {}, expected 0 to {CLOCK_AHEAD_S_MAX} seconds",
            self.clock_ahead_s
        );
        Ok(())
    }
}

//! Where decisions and counters go.

use crate::connections::Connections;
use crate::journal::JournalCounters;
use anyhow::Context;
use centauri_files::{DecisionRecord, DecisionWriter, Format};
use centauri_roles::Decided;
use centauri_uring::DriverCounters;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes decisions as JSON Lines, whole lines at a time.
pub(crate) struct DecisionOutput {
    name: String,
    writer: DecisionWriter<BufWriter<Box<dyn Write + Send>>>,
    dirty: bool,
    failed: Option<io::Error>,
}

impl DecisionOutput {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let out: Box<dyn Write + Send> = if name == "-" {
            Box::new(io::stdout())
        } else {
            Box::new(OpenOptions::new().append(true).create(true).open(path).with_context(|| name.clone())?)
        };
        let writer = DecisionWriter::new(Format::JsonLines, BufWriter::with_capacity(1 << 16, out));
        Ok(Self { name, writer, dirty: false, failed: None })
    }

    pub(crate) fn write(&mut self, stream: &str, replicas: &[String], decided: &Decided<'_>) {
        self.dirty = true;
        if let Err(error) = self.writer.write(&record(stream, replicas, decided)) {
            self.failed.get_or_insert(error);
        }
    }

    /// Writes whole lines that [`Lines`] made.
    pub(crate) fn write_lines(&mut self, lines: &[u8]) {
        self.dirty = true;
        if let Err(error) = self.writer.get_mut().write_all(lines) {
            self.failed.get_or_insert(error);
        }
    }

    /// Sends what was written on its way; says what went wrong since the last call.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        if std::mem::take(&mut self.dirty)
            && let Err(error) = self.writer.get_mut().flush()
        {
            self.failed.get_or_insert(error);
        }
        match self.failed.take() {
            Some(error) => Err(error).with_context(|| format!("decisions to {}", self.name)),
            None => Ok(()),
        }
    }
}

fn record<'a>(stream: &'a str, replicas: &'a [String], decided: &Decided<'a>) -> DecisionRecord<'a> {
    let &Decided { round, decision, honest, .. } = decided;
    DecisionRecord { stream, round, replicas, decision, honest }
}

/// Decisions as the lines that [`DecisionOutput`] would write, for a thread that leaves the writing to another.
pub(crate) struct Lines(DecisionWriter<Vec<u8>>);

impl Lines {
    pub(crate) fn new() -> Self {
        Self(DecisionWriter::new(Format::JsonLines, Vec::new()))
    }

    pub(crate) fn write(&mut self, stream: &str, replicas: &[String], decided: &Decided<'_>) {
        if let Err(error) = self.0.write(&record(stream, replicas, decided)) {
            // Memory takes all that is written to it; what is left is a value that no line can hold.
            tracing::error!(%error, stream, round = decided.round, "a decision could not be written");
        }
    }

    /// How many bytes wait.
    pub(crate) fn len(&mut self) -> usize {
        self.0.get_mut().len()
    }

    /// What waits.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.0.get_mut())
    }
}

/// Everything that was counted.
pub(crate) struct AllCounters<'a> {
    pub(crate) client: Vec<(&'static str, u64)>,
    pub(crate) verifier: &'static str,
    pub(crate) driver: DriverCounters,
    /// Datagrams thrown away unread, for want of time.
    pub(crate) shed: u64,
    pub(crate) tcp: Option<&'a Connections>,
    pub(crate) journal: Option<JournalCounters>,
    /// What is thought of the replicas.
    pub(crate) replicas: Option<serde_json::Value>,
}

impl AllCounters<'_> {
    /// Writes them as one JSON object: the client's by cause, what verified signatures as `verifier`, the datagram driver's
    /// below `driver`, those of connections below `tcp`.
    pub(crate) fn write(self, file: Option<&Path>) -> anyhow::Result<()> {
        let text = serde_json::to_string(&self.to_json())?;
        match file {
            Some(file) => std::fs::write(file, text + "\n").with_context(|| file.display().to_string()),
            None => {
                eprintln!("counters {text}");
                Ok(())
            }
        }
    }

    /// What [`AllCounters::write`] writes.
    pub(crate) fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut all: serde_json::Map<String, serde_json::Value> =
            self.client.iter().map(|&(name, count)| (name.to_owned(), count.into())).collect();
        all.insert("verifier".to_owned(), self.verifier.into());
        all.insert("driver".to_owned(), driver_json(self.driver));
        all.insert("datagrams_shed".to_owned(), self.shed.into());
        if let Some(connections) = self.tcp {
            all.insert("tcp".to_owned(), tcp_json(connections));
        }
        for (name, count) in self.journal.iter().flat_map(JournalCounters::iter) {
            all.insert(name.to_owned(), count.into());
        }
        if let Some(replicas) = &self.replicas {
            all.insert("replicas".to_owned(), replicas.clone());
        }
        all
    }
}

/// What became of connections.
pub(crate) fn tcp_json(connections: &Connections) -> serde_json::Value {
    let (counters, driver) = (connections.counters(), connections.driver_counters());
    serde_json::json!({
        "open": connections.len(),
        "opened": counters.opened,
        "refused": driver.refused,
        "finished": counters.finished,
        "cut_short": counters.cut_short,
        "failed": counters.failed,
        "closed_address": counters.closed_address,
        "closed_crowded": counters.closed_crowded,
        "closed_length": counters.closed_length,
        "closed_stalled": counters.closed_stalled,
        "closed_unproven": counters.closed_unproven,
        "closed_idle": counters.closed_idle,
        "closed_useless": counters.closed_useless,
        "closed_unread": counters.closed_unread,
        "frames_sent": counters.frames_sent,
        "frames_unsent": counters.frames_unsent,
        "bytes_sent": driver.bytes_sent,
        "frames": counters.frames,
        "bytes": driver.bytes,
        "buffers_exhausted": driver.buffers_exhausted,
        "accept_errors": driver.accept_errors,
    })
}

/// A driver's counters.
pub(crate) fn driver_json(counters: DriverCounters) -> serde_json::Value {
    serde_json::json!({
        "datagrams": counters.datagrams,
        "received_trains": counters.received_trains,
        "bytes": counters.bytes,
        "truncated": counters.truncated,
        "undecodable": counters.undecodable,
        "kernel_drops": counters.kernel_drops,
        "buffers_exhausted": counters.buffers_exhausted,
        "receive_errors": counters.receive_errors,
        "sent": counters.sent,
        "sent_trains": counters.sent_trains,
        "send_would_block": counters.send_would_block,
        "send_errors": counters.send_errors,
    })
}

//! Samples on their way to the monitor, several to a frame.

use std::net::SocketAddr;

use centauri_wire::{SAMPLE_VALUES_MAX, SampleKind};

use crate::ConfigError;
use crate::Effects;
use crate::error::{check_name, check_number};
use crate::signer::Signer;

/// Where samples go, and how many at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamplePolicy {
    /// The monitor's address.
    pub monitor: SocketAddr,
    /// So many values make a frame: 1 to 512.
    pub values_max: usize,
    /// A value waits at most this long for others, in nanoseconds.
    pub every_ns: i64,
}

#[derive(Debug)]
struct Buffer {
    kind: SampleKind,
    name: String,
    values: Vec<f64>,
    since_ns: i64,
}

/// A buffer of the sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SampleSlot(usize);

/// Buffers of samples by kind and distribution.
#[derive(Debug)]
pub(crate) struct Sampler {
    policy: Option<SamplePolicy>,
    buffers: Vec<Buffer>,
    /// When the oldest value has waited long enough.
    due_ns: Option<i64>,
    pub(crate) values_sent: u64,
}

impl Sampler {
    /// Without a policy nothing is collected.
    pub(crate) fn new(policy: Option<SamplePolicy>) -> Result<Self, ConfigError> {
        if let Some(policy) = policy {
            let good = (1..=SAMPLE_VALUES_MAX).contains(&policy.values_max);
            check_number("samples.values_max", policy.values_max as i128, good, "1 to 512")?;
            check_number("samples.every_ns", policy.every_ns, policy.every_ns > 0, "at least 1")?;
        }
        Ok(Self { policy, buffers: Vec::new(), due_ns: None, values_sent: 0 })
    }

    /// The buffer of a distribution; `None` where nothing is to be collected.
    pub(crate) fn slot(
        &mut self,
        kind: SampleKind,
        name: Option<&str>,
    ) -> Result<Option<SampleSlot>, ConfigError> {
        let (Some(name), Some(policy)) = (name, self.policy) else { return Ok(None) };
        check_name("samples", name)?;
        let known = self.buffers.iter().position(|buffer| buffer.kind == kind && buffer.name == name);
        let at = known.unwrap_or_else(|| {
            let values = Vec::with_capacity(policy.values_max);
            self.buffers.push(Buffer { kind, name: name.to_owned(), values, since_ns: 0 });
            self.buffers.len() - 1
        });
        Ok(Some(SampleSlot(at)))
    }

    pub(crate) fn push(
        &mut self,
        now_ns: i64,
        slot: Option<SampleSlot>,
        value: f64,
        signer: &mut Signer,
        effects: &mut Effects,
    ) {
        let (Some(policy), Some(SampleSlot(at))) = (self.policy, slot) else { return };
        let Some(buffer) = self.buffers.get_mut(at) else { return };
        if !value.is_finite() {
            return;
        }
        if buffer.values.is_empty() {
            buffer.since_ns = now_ns;
            let due = now_ns.saturating_add(policy.every_ns);
            self.due_ns = Some(self.due_ns.map_or(due, |known| known.min(due)));
        }
        buffer.values.push(value);
        if buffer.values.len() >= policy.values_max {
            self.values_sent += flush(now_ns, policy.monitor, buffer, signer, effects);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<i64> {
        self.due_ns
    }

    pub(crate) fn tick(&mut self, now_ns: i64, signer: &mut Signer, effects: &mut Effects) {
        let (Some(policy), Some(due)) = (self.policy, self.due_ns) else { return };
        if now_ns < due {
            return;
        }
        let mut next: Option<i64> = None;
        for buffer in self.buffers.iter_mut().filter(|buffer| !buffer.values.is_empty()) {
            let due = buffer.since_ns.saturating_add(policy.every_ns);
            if due <= now_ns {
                self.values_sent += flush(now_ns, policy.monitor, buffer, signer, effects);
            } else {
                next = Some(next.map_or(due, |known| known.min(due)));
            }
        }
        self.due_ns = next;
    }
}

fn flush(
    now_ns: i64,
    to: SocketAddr,
    buffer: &mut Buffer,
    signer: &mut Signer,
    effects: &mut Effects,
) -> u64 {
    let sent = signer.sample(now_ns, to, (buffer.kind, &buffer.name), &buffer.values, effects);
    let values = buffer.values.len() as u64;
    buffer.values.clear();
    if sent { values } else { 0 }
}

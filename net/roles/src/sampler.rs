//! Samples on their way to the monitor, several to a frame.

use std::net::SocketAddr;

use centauri_wire::{SAMPLE_VALUES_MAX, SampleKind};

use crate::ConfigError;
use crate::Effects;
use crate::error::{check_name, check_number};
use crate::signer::Signer;
use crate::thinning::{Allowance, Thinning, mixed};

/// Where samples go, and how many.
///
/// Sampling is bounded twice: by values, of which at most a share is sampled (and a small number a second beyond it, so that slow
/// streams are known too), and by frames a second. Which values are sampled does not depend on what they are, and who does not know
/// `seed` cannot foresee it: a source that lies only where it is not looked at has to guess.
///
/// ```
/// let policy = centauri_roles::SamplePolicy::new(([127, 0, 0, 1], 9_000).into());
/// assert_eq!(policy.share_ppm, 10_000); // 1 %
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamplePolicy {
    /// The monitor's address.
    pub monitor: SocketAddr,
    /// So many values make a frame: 1 to 512.
    pub values_max: usize,
    /// A value waits at most this long for others, in nanoseconds, unless there have been too many frames.
    pub every_ns: i64,
    /// At most so many of a million values are sampled, for each distribution; 1,000,000 for all.
    pub share_ppm: u32,
    /// And so many a second beyond that, for each distribution; at the start ten seconds' worth at once.
    pub floor_per_s: u32,
    /// The most frames a second, of all distributions together. Samples that find no frame are dropped and counted.
    pub frames_per_s_max: u32,
    /// Sets which values are sampled. To be kept from whoever sends the values; another on each node.
    pub seed: u64,
}

impl SamplePolicy {
    /// 1 % of the values and four a second for each distribution, 64 to a frame, twice a second at least and in at most 20 frames a
    /// second; the seed is 0.
    #[must_use]
    pub fn new(monitor: SocketAddr) -> Self {
        Self {
            monitor,
            values_max: 64,
            every_ns: 500_000_000,
            share_ppm: 10_000,
            floor_per_s: 4,
            frames_per_s_max: 20,
            seed: 0,
        }
    }

    /// The allowance of the distribution in the place given.
    fn allowance(&self, place: usize, node: u32) -> Allowance {
        let seed = mixed(self.seed ^ u64::from(node), place as u64);
        Allowance { share_ppm: self.share_ppm, floor_per_s: self.floor_per_s, seed }
    }

    /// What a frame costs, in nanoseconds.
    fn frame_ns(&self) -> i64 {
        1_000_000_000 / i64::from(self.frames_per_s_max.max(1))
    }
}

#[derive(Debug)]
struct Buffer {
    kind: SampleKind,
    name: String,
    values: Vec<f64>,
    since_ns: i64,
    thinning: Thinning,
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
    /// From when on another frame may go: as long before now as frames may come at once.
    frames_from_ns: i64,
    values_seen: u64,
    values_sent: u64,
    values_dropped: u64,
}

/// So many frames may go at once after a pause.
const FRAMES_AT_ONCE: i64 = 8;

impl Sampler {
    /// Without a policy nothing is collected.
    pub(crate) fn new(policy: Option<SamplePolicy>) -> Result<Self, ConfigError> {
        if let Some(policy) = policy {
            let good = (1..=SAMPLE_VALUES_MAX).contains(&policy.values_max);
            check_number("samples.values_max", policy.values_max as i128, good, "1 to 512")?;
            check_number("samples.every_ns", policy.every_ns, policy.every_ns > 0, "at least 1")?;
            let share = policy.share_ppm;
            check_number("samples.share_ppm", share, share <= 1_000_000, "at most 1,000,000")?;
            let frames = policy.frames_per_s_max;
            check_number("samples.frames_per_s_max", frames, frames > 0, "at least 1")?;
        }
        Ok(Self {
            policy,
            buffers: Vec::new(),
            due_ns: None,
            frames_from_ns: i64::MIN,
            values_seen: 0,
            values_sent: 0,
            values_dropped: 0,
        })
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
            let (name, thinning) = (name.to_owned(), Thinning::default());
            self.buffers.push(Buffer { kind, name, values, since_ns: 0, thinning });
            self.buffers.len() - 1
        });
        Ok(Some(SampleSlot(at)))
    }

    /// Looks at a value, and samples it if its turn has come.
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
        self.values_seen += 1;
        if !buffer.thinning.take(now_ns, policy.allowance(at, signer.node().0)) {
            return;
        }
        if buffer.values.len() >= policy.values_max {
            // It waits for a frame, and no more fit in.
            self.values_dropped += 1;
            return;
        }
        if buffer.values.is_empty() {
            buffer.since_ns = now_ns;
            let due = now_ns.saturating_add(policy.every_ns);
            self.due_ns = Some(self.due_ns.map_or(due, |known| known.min(due)));
        }
        buffer.values.push(value);
        if buffer.values.len() >= policy.values_max {
            self.flush(now_ns, policy, at, signer, effects);
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
        for at in 0..self.buffers.len() {
            let Some(buffer) = self.buffers.get(at).filter(|buffer| !buffer.values.is_empty()) else {
                continue;
            };
            let is_full = buffer.values.len() >= policy.values_max;
            let mut due = buffer.since_ns.saturating_add(policy.every_ns);
            if due <= now_ns || is_full {
                if self.flush(now_ns, policy, at, signer, effects) {
                    continue;
                }
                due = self.frames_from_ns.max(now_ns.saturating_add(1));
            }
            next = Some(next.map_or(due, |known| known.min(due)));
        }
        self.due_ns = next;
    }

    /// Sends what a buffer holds, unless there have been too many frames.
    fn flush(
        &mut self,
        now_ns: i64,
        policy: SamplePolicy,
        at: usize,
        signer: &mut Signer,
        effects: &mut Effects,
    ) -> bool {
        let Some(buffer) = self.buffers.get_mut(at) else { return false };
        if now_ns < self.frames_from_ns {
            let due = self.frames_from_ns;
            self.due_ns = Some(self.due_ns.map_or(due, |known| known.min(due)));
            return false;
        }
        let frame_ns = policy.frame_ns();
        let at_once = now_ns.saturating_sub(frame_ns.saturating_mul(FRAMES_AT_ONCE - 1));
        self.frames_from_ns = self.frames_from_ns.max(at_once).saturating_add(frame_ns);
        if signer.sample(now_ns, policy.monitor, (buffer.kind, &buffer.name), &buffer.values, effects) {
            self.values_sent += buffer.values.len() as u64;
        }
        buffer.values.clear();
        true
    }

    /// What was seen, sent and dropped: the share is that of the first two.
    pub(crate) fn list(&self, out: &mut Vec<(&'static str, u64)>) {
        out.push(("sample_values_seen", self.values_seen));
        out.push(("sample_values_sent", self.values_sent));
        out.push(("sample_values_dropped", self.values_dropped));
    }
}

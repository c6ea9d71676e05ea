//! The eight bytes of one replica on one stream, and how a round changes them.

use super::HealthState;
use super::evidence::Limits;

/// Fractions of a natural-log unit in which the evidence of honesty is kept; it is at most ln 1e12.
const TRUST_UNIT: f32 = 1_024.0;
/// Bits of the round counter below the state.
const ROUND_BITS: u32 = 14;
const ROUNDS_MAX: u16 = (1 << ROUND_BITS) - 1;
/// Statistic, evidence of honesty, state, and rounds in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Record {
    /// ln M, 0 or more.
    ln_suspicion: f32,
    /// ln R in [`TRUST_UNIT`]s; gathered while faulty and recovering.
    trust: u16,
    /// Two bits of state, then the rounds in it, which are not counted while healthy; while faulty those since M was last at √A
    /// or above.
    state_and_rounds: u16,
}

const _: () = assert!(size_of::<Record>() == 8, "memory is 8 bytes a replica and stream");

impl Record {
    pub(super) fn state(self) -> HealthState {
        match self.state_and_rounds >> ROUND_BITS {
            0 => HealthState::Healthy,
            1 => HealthState::Recovering,
            2 => HealthState::Suspect,
            _ => HealthState::Faulty,
        }
    }

    /// M.
    pub(super) fn suspicion(self) -> f64 {
        f64::from(self.ln_suspicion).exp()
    }

    fn rounds(self) -> u16 {
        self.state_and_rounds & ROUNDS_MAX
    }

    fn set_rounds(&mut self, rounds: u16) {
        self.state_and_rounds = self.state_and_rounds & !ROUNDS_MAX | rounds.min(ROUNDS_MAX);
    }

    fn enter(&mut self, state: HealthState) {
        self.state_and_rounds = (state as u16) << ROUND_BITS;
        self.trust = 0;
    }

    /// Healthy with M = 1: a round that speaks for it changes nothing.
    pub(super) fn is_spotless(self) -> bool {
        self == Self::default()
    }

    /// Proven faulty: a replica that signed two values for one round.
    pub(super) fn convict(&mut self, limits: &Limits) {
        self.ln_suspicion = limits.ln_faulty;
        self.enter(HealthState::Faulty);
    }

    /// A round whose likelihood ratio of faulty to honest is `ratio`.
    pub(super) fn absorb(&mut self, limits: &Limits, ratio: f32) {
        let against = limits.ln_against(ratio);
        // Kept at A at most, so that the way back does not depend on how long a fault lasted.
        self.ln_suspicion = (self.ln_suspicion + against).clamp(0.0, limits.ln_faulty);
        let state = self.state();
        if state != HealthState::Healthy {
            self.set_rounds(self.rounds().saturating_add(1));
        }
        let next = match state {
            HealthState::Healthy | HealthState::Suspect if self.ln_suspicion >= limits.ln_faulty => {
                Some(HealthState::Faulty)
            }
            HealthState::Healthy => self.is_suspect(limits).then_some(HealthState::Suspect),
            HealthState::Suspect => {
                let calm = self.ln_suspicion <= 0.0 && self.rounds() >= limits.dwell;
                calm.then_some(HealthState::Healthy)
            }
            HealthState::Faulty => {
                self.trust_more(limits, ratio);
                if self.is_suspect(limits) {
                    self.set_rounds(0);
                }
                self.is_trusted(limits).then_some(HealthState::Recovering)
            }
            HealthState::Recovering if self.is_suspect(limits) => Some(HealthState::Faulty),
            HealthState::Recovering => {
                self.trust_more(limits, ratio);
                self.is_trusted(limits).then_some(HealthState::Healthy)
            }
        };
        if let Some(next) = next {
            self.enter(next);
        }
    }

    fn is_suspect(self, limits: &Limits) -> bool {
        self.ln_suspicion >= limits.ln_suspect
    }

    /// R ← max(R, 1)·evidence of honesty, at most B; rounded down.
    fn trust_more(&mut self, limits: &Limits, ratio: f32) {
        let ln = f32::from(self.trust) / TRUST_UNIT + limits.ln_for(ratio);
        // A reached B is kept exactly, or rounding would never let it be reached.
        let reached =
            if ln >= limits.ln_trusted { (limits.ln_trusted * TRUST_UNIT).ceil() } else { ln * TRUST_UNIT };
        self.trust = reached.max(0.0) as u16;
    }

    fn is_trusted(self, limits: &Limits) -> bool {
        let proven = f32::from(self.trust) >= limits.ln_trusted * TRUST_UNIT && self.rounds() >= limits.dwell;
        proven || self.rounds() >= limits.forgive
    }

    pub(super) fn to_bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.ln_suspicion.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.trust.to_le_bytes());
        bytes[6..].copy_from_slice(&self.state_and_rounds.to_le_bytes());
        bytes
    }

    /// `None` where the statistic is no number or below 1. Under a policy with a smaller A it becomes that.
    pub(super) fn from_bytes(bytes: [u8; 8], limits: &Limits) -> Option<Self> {
        let [a, b, c, d, trust @ .., e, f] = bytes;
        let ln_suspicion = f32::from_le_bytes([a, b, c, d]);
        (ln_suspicion >= 0.0).then(|| Self {
            ln_suspicion: ln_suspicion.min(limits.ln_faulty),
            trust: u16::from_le_bytes(trust),
            state_and_rounds: u16::from_le_bytes([e, f]),
        })
    }
}

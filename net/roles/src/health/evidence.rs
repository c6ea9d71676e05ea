//! What one round says for and against a replica.

use super::policy::HealthPolicy;

/// The policy as the test uses it, logarithms taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// ln A and ln √A.
    pub(super) ln_faulty: f32,
    pub(super) ln_suspect: f32,
    /// ln B.
    pub(super) ln_trusted: f32,
    pub(super) dwell: u16,
    pub(super) forgive: u16,
    temper: f32,
    share: f32,
    cap: f32,
    ln_cap: f32,
    /// What M loses in every round, so that from A it is at √A after `forgive` rounds that say nothing.
    leak: f32,
}

impl Limits {
    pub(super) fn of(policy: &HealthPolicy) -> Self {
        let ln_faulty = policy.rounds_between_false_alarms.ln() as f32;
        Self {
            ln_faulty,
            ln_suspect: ln_faulty / 2.0,
            ln_trusted: policy.rounds_between_false_recoveries.ln() as f32,
            dwell: policy.dwell,
            forgive: policy.forgive,
            temper: policy.temper as f32,
            share: policy.share as f32,
            cap: policy.cap as f32,
            ln_cap: policy.cap.ln() as f32,
            leak: ln_faulty / 2.0 / f32::from(policy.forgive),
        }
    }

    /// The likelihood ratio of faulty to honest, from P(honest) before and after the round: the ratio of the odds.
    /// `None` where `honest` is no probability.
    ///
    /// `prior_odds` are those of honest to faulty, above 0 and finite.
    pub(super) fn ratio(honest: f64, prior_odds: f64) -> Option<f32> {
        // Without a logarithm or a special case: 1/0 is infinite, which the caps take care of.
        (0.0..=1.0).contains(&honest).then(|| ((1.0 - honest) / honest * prior_odds) as f32)
    }

    /// Whether the ratio is at most 1, told without a division; `false` where `honest` is not a number.
    pub(super) fn speaks_for(honest: f64, prior_odds: f64) -> bool {
        (1.0 - honest) * prior_odds <= honest
    }

    /// ln of what the round multiplies M by: `(1 − ε) + ε·ratio^λ`, at most the cap, less the leak. Below 0 for a ratio of at
    /// most 1.
    pub(super) fn ln_against(&self, ratio: f32) -> f32 {
        // The root is several times as quick as a power, and the default.
        let tempered = if self.temper == 0.5 { ratio.sqrt() } else { ratio.powf(self.temper) };
        (1.0 - self.share + self.share * tempered).min(self.cap).max(f32::MIN_POSITIVE).ln() - self.leak
    }

    /// ln of what the round multiplies the evidence of honesty by: `1/((1 − ε) + ε·ratio)`, at most the cap. It is not
    /// tempered: one clear lie takes all trust away.
    pub(super) fn ln_for(&self, ratio: f32) -> f32 {
        (-(1.0 - self.share + self.share * ratio).max(f32::MIN_POSITIVE).ln()).min(self.ln_cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_odds_and_never_not_a_number() {
        // Prior 7/8, posterior 1/2: the odds of being faulty went from 1/7 to 1.
        assert_eq!(Limits::ratio(0.5, 7.0), Some(7.0));
        assert_eq!(Limits::ratio(0.875, 7.0), Some(1.0));
        assert_eq!(Limits::ratio(1.0, 7.0), Some(0.0));
        assert_eq!(Limits::ratio(0.0, 7.0), Some(f32::INFINITY));
        for no_probability in [f64::NAN, -1e-9, 1.0 + 1e-9, f64::INFINITY] {
            assert_eq!(Limits::ratio(no_probability, 7.0), None);
        }
        for (p, expected) in [(0.8749, false), (0.875, true), (1.0, true), (0.0, false), (f64::NAN, false)] {
            assert_eq!(Limits::speaks_for(p, 7.0), expected);
        }
    }

    #[test]
    fn one_round_counts_at_most_the_cap_and_at_least_the_share_of_honest_rounds() {
        for (temper, share) in [(0.5, 0.25), (1.0, 1.0), (0.3, 0.01)] {
            let policy = HealthPolicy { temper, share, ..HealthPolicy::default() };
            let limits = Limits::of(&policy);
            for ratio in [0.0, 1e-30, 0.1, 1.0, 3.0, 1e30, f32::INFINITY] {
                let (against, speaks_for) = (limits.ln_against(ratio), limits.ln_for(ratio));
                let e = (1.0 - share + share * f64::from(ratio).powf(temper)).min(10.0);
                assert!(
                    (f64::from(against + limits.leak) - e.max(f64::from(f32::MIN_POSITIVE)).ln()).abs()
                        < 1e-4
                );
                assert!(against <= limits.ln_cap && !against.is_nan() && against > -100.0);
                assert!(speaks_for <= limits.ln_cap && !speaks_for.is_nan());
            }
        }
    }
}

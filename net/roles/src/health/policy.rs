//! How much it takes to think ill of a replica, and well again.

use super::error::HealthError;

/// The numbers of the test. The defaults are meant for streams of a round a second or so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthPolicy {
    /// A: rounds of one stream between two false alarms about one honest replica, at least, on average. From 100 to 1e12.
    /// Default 1,000,000.
    pub rounds_between_false_alarms: f64,
    /// B: how much evidence of honesty takes a faulty replica one state on. A liar as the model has it gets there by chance
    /// at most once in B rounds on average. From 2 to 1e12. Default 10,000.
    pub rounds_between_false_recoveries: f64,
    /// λ: the power that a round's likelihood ratio is raised to, for models that are not quite right. Above 0, at most 1.
    /// Default 0.5.
    pub temper: f64,
    /// ε: the share of the rounds in which a faulty replica is taken to lie. Small shares find liars who lie rarely, and
    /// others a little later. From 0.001 to 1. Default 0.25.
    pub share: f64,
    /// The most that one round multiplies M by. Above 1, at most √A: one round never makes a suspect. Default 10.
    pub cap: f64,
    /// The fewest rounds in a state before a better one. From 1 to 10,000. Default 16.
    pub dwell: u16,
    /// Rounds in which nothing speaks against a replica after which the next better state is given even if nothing speaks
    /// for it: whoever shows no fault is healthy after three times as many rounds, whatever was before. From `dwell` to 16,000.
    /// Default 10,000.
    pub forgive: u16,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            rounds_between_false_alarms: 1e6,
            rounds_between_false_recoveries: 1e4,
            temper: 0.5,
            share: 0.25,
            cap: 10.0,
            dwell: 16,
            forgive: 10_000,
        }
    }
}

impl HealthPolicy {
    /// Whether every number is in its range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), HealthError> {
        let a = self.rounds_between_false_alarms;
        number("rounds_between_false_alarms", a, (100.0..=1e12).contains(&a), "100 to 1e12")?;
        let b = self.rounds_between_false_recoveries;
        number("rounds_between_false_recoveries", b, (2.0..=1e12).contains(&b), "2 to 1e12")?;
        number("temper", self.temper, self.temper > 0.0 && self.temper <= 1.0, "above 0, at most 1")?;
        number("share", self.share, (0.001..=1.0).contains(&self.share), "0.001 to 1")?;
        let cap_fits = self.cap > 1.0 && self.cap <= a.sqrt();
        number("cap", self.cap, cap_fits, "above 1, at most the root of rounds_between_false_alarms")?;
        number("dwell", f64::from(self.dwell), (1..=10_000).contains(&self.dwell), "1 to 10000")?;
        let forgive_fits = (self.dwell..=16_000).contains(&self.forgive);
        number("forgive", f64::from(self.forgive), forgive_fits, "dwell to 16000")
    }
}

fn number(key: &'static str, found: f64, fits: bool, expected: &'static str) -> Result<(), HealthError> {
    if fits { Ok(()) } else { Err(HealthError::Policy { key, found, expected }) }
}

//! Naming liars: P(honest) over a window of rounds.

/// A replica is named when it is less likely honest than this.
pub const NAMED_BELOW: f64 = 0.05;
/// Rounds over which the evidence against a replica is gathered.
pub const WINDOW: usize = 3;

/// A round counts for at most this share of what it takes to name a replica: two rounds name nobody for whom the third
/// speaks.
pub const ROUND_SHARE: f64 = 0.5;

/// Gathers the evidence of a chain's last rounds, replica by replica.
///
/// A round's P(honest) counts the probability of being honest before the round each time anew; the window's odds are
/// the prior's once, times each round's odds over the prior's. An honest replica is sometimes far off for a round, farther than its
/// noise is said to go; a liar is so in one round after the other. So what one round says against a replica is bounded: to
/// the power [`ROUND_SHARE`] of the factor that would name it.
#[derive(Clone, Debug)]
pub struct Naming {
    prior_logit: f64,
    recent: Vec<Vec<f64>>,
    rounds: usize,
    counts: Counts,
}

/// Replica-rounds in which a replica was, or was not, named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of liars.
    pub liars: usize,
    /// Of liars, named.
    pub liars_named: usize,
    /// Of honest replicas.
    pub honest: usize,
    /// Of honest replicas, named.
    pub honest_named: usize,
}

fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-12, 1.0 - 1e-12);
    (p / (1.0 - p)).ln()
}

impl Naming {
    /// For `n` replicas of which the number of liars is uniform on 0 … `f`.
    #[must_use]
    pub fn new(n: usize, f: usize) -> Self {
        let prior = 1.0 - f as f64 / 2.0 / n as f64;
        Self { prior_logit: logit(prior), recent: vec![Vec::new(); n], rounds: 0, counts: Counts::default() }
    }

    /// Begins a new chain: the liars are others.
    pub fn restart(&mut self) {
        self.recent.iter_mut().for_each(Vec::clear);
        self.rounds = 0;
    }

    /// Takes in a round's P(honest); none (no quorum) says nothing of anybody.
    pub fn round(&mut self, honest: Option<&[f64]>, liars: &[bool]) {
        self.rounds += 1;
        for (i, (recent, &liar)) in self.recent.iter_mut().zip(liars).enumerate() {
            let evidence = honest.and_then(|h| h.get(i)).map_or(0.0, |&p| logit(p) - self.prior_logit);
            let most = ROUND_SHARE * (self.prior_logit - logit(NAMED_BELOW));
            recent.push(evidence.max(-most));
            if recent.len() > WINDOW {
                recent.remove(0);
            }
            if self.rounds < WINDOW {
                continue;
            }
            let named = self.prior_logit + recent.iter().sum::<f64>() < logit(NAMED_BELOW);
            let (all, hit) = if liar {
                (&mut self.counts.liars, &mut self.counts.liars_named)
            } else {
                (&mut self.counts.honest, &mut self.counts.honest_named)
            };
            *all += 1;
            *hit += usize::from(named);
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_multiplies_over_the_window() {
        // n = 4, f = 2: prior odds 3. A round at odds 1 is a factor ⅓: after three rounds odds 3/27 = 0.111, P = 0.1.
        let mut naming = Naming::new(4, 2);
        for _ in 0..3 {
            naming.round(Some(&[0.5, 0.9, 0.4, 0.75]), &[true, false, true, false]);
        }
        // At 0.4 a round is a factor 2/9: odds 3·(2/9)³ = 0.0329, P = 0.0319 < 0.05.
        assert_eq!(naming.counts(), Counts { liars: 2, liars_named: 1, honest: 2, honest_named: 0 });
    }

    #[test]
    fn two_rounds_name_nobody_for_whom_the_third_speaks() {
        let mut naming = Naming::new(4, 2);
        let liars = [true, false, false, false];
        for first in [0.0, 0.8, 0.0, 0.7, 0.0] {
            naming.round(Some(&[first, 0.75, 0.75, 0.75]), &liars);
        }
        // The window 0, 0.8, 0 does not name; 0.8, 0, 0.7 neither; 0, 0.7, 0 does, for 0.7 is below the prior.
        assert_eq!(naming.counts(), Counts { liars: 3, liars_named: 1, honest: 9, honest_named: 0 });
    }

    #[test]
    fn nobody_is_named_before_the_window_is_full_or_by_a_round_without_quorum() {
        let mut naming = Naming::new(3, 1);
        naming.round(Some(&[0.0, 1.0, 1.0]), &[true, false, false]);
        assert_eq!(naming.counts(), Counts::default());
        naming.restart();
        for _ in 0..3 {
            naming.round(None, &[true, false, false]);
        }
        assert_eq!(naming.counts(), Counts { liars: 1, liars_named: 0, honest: 2, honest_named: 0 });
    }
}

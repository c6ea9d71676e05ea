//! Speeds of two result files against each other.

use crate::report::input::{Results, SpeedKey};
use crate::report::text::{clip, number};
use crate::result::{Instructions, Speed, SpeedWork};
use crate::speed::table::{name, rate};
use std::collections::BTreeMap;

/// A rate must differ by more than this many spreads of both runs together, and by more than [`NOISE`], to be told.
const SPREADS: f64 = 4.0;
/// What two runs on one machine differ by though nothing has changed.
const NOISE: f64 = 0.05;
/// The same for counts of instructions.
const COUNT_NOISE: f64 = 0.005;

/// A speed that differs beyond the noise.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeedDifference {
    /// The work and who did it, in words.
    pub what: String,
    /// What is compared.
    pub unit: &'static str,
    /// Before and after.
    pub values: (f64, f64),
    /// Whether the later is worse.
    pub worse: bool,
}

/// What both files say of speed, compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpeedComparison {
    /// Pairs compared.
    pub pairs: usize,
    /// Those that differ, worse ones first, the largest change first.
    pub differences: Vec<SpeedDifference>,
}

impl SpeedComparison {
    /// Compares rates by their spreads, and counts of instructions by half a percent.
    #[must_use]
    pub fn new(old: &Results, new: &Results) -> Self {
        let speeds: BTreeMap<SpeedKey, &Speed> =
            old.speed.iter().map(|record| (SpeedKey::new(&record.work, &record.by), record)).collect();
        let counts: BTreeMap<SpeedKey, &Instructions> =
            old.instructions.iter().map(|record| (SpeedKey::new(&record.work, &record.by), record)).collect();
        let mut found = Self::default();
        for new in &new.speed {
            if let Some(old) = speeds.get(&SpeedKey::new(&new.work, &new.by)) {
                let values = (old.decisions_per_cpu_s, new.decisions_per_cpu_s);
                let noise = NOISE.max(SPREADS * old.spread.hypot(new.spread));
                let what = place(&new.work, &name(&new.by), new.by.threads);
                found.add(what, "decisions/s", values, noise, values.1 < values.0);
            }
        }
        for new in &new.instructions {
            if let Some(old) = counts.get(&SpeedKey::new(&new.work, &new.by)) {
                let values = (old.per_decision, new.per_decision);
                let what = place(&new.work, &name(&new.by), new.by.threads);
                found.add(what, "instructions", values, COUNT_NOISE, values.1 > values.0);
            }
        }
        found.differences.sort_by(|a, b| {
            let size = |d: &SpeedDifference| (d.values.1 / d.values.0).ln().abs();
            b.worse.cmp(&a.worse).then(size(b).total_cmp(&size(a)))
        });
        found
    }

    fn add(&mut self, what: String, unit: &'static str, values: (f64, f64), noise: f64, worse: bool) {
        self.pairs += 1;
        if (values.1 / values.0).ln().abs() > noise {
            self.differences.push(SpeedDifference { what, unit, values, worse });
        }
    }

    /// Whether something got worse.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.differences.iter().any(|difference| difference.worse)
    }

    /// The comparison for a terminal; nothing where neither file speaks of speed.
    #[must_use]
    pub fn text(&self) -> String {
        if self.pairs == 0 {
            return String::new();
        }
        let worse = self.differences.iter().filter(|difference| difference.worse).count();
        let better = self.differences.len() - worse;
        let mut out = format!(
            "\n{} speeds compared; {worse} worse and {better} better beyond the runs' spread. Runs on different machines \
             compare the machines.\n",
            self.pairs
        );
        for difference in &self.differences {
            let SpeedDifference { what, unit, values, worse } = difference;
            let change = (values.1 / values.0 - 1.0) * 100.0;
            let verdict = if *worse { "worse " } else { "better" };
            out.push_str(&format!(
                "  {verdict} {:>14} → {:<14} {unit:<12} {:>+8} %  {what}\n",
                rate(values.0),
                rate(values.1),
                number(change)
            ));
        }
        out
    }
}

fn place(work: &SpeedWork, by: &str, threads: usize) -> String {
    let region = if work.region { ", region" } else { "" };
    let objective = clip(&work.objective, 20);
    let work_name = clip(&work.name, 20);
    format!("{work_name} (n = {}, f = {}, {objective}{region}) by {by}, {threads} threads", work.n, work.f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::By;

    fn results(rate: f64, spread: f64, instructions: f64) -> Results {
        let work = crate::speed::work::Work::named("A").unwrap().record();
        let by = By { backend: "simd".to_owned(), level: Some("avx2".to_owned()), threads: 1 };
        let speed = Speed {
            work: work.clone(),
            by: by.clone(),
            rounds: 1,
            samples: 3,
            decisions_per_cpu_s: rate,
            decisions_per_wall_s: rate,
            decisions_per_busiest_s: rate,
            spread,
            against_scalar: None,
            agreement: None,
            settled: None,
            digest: String::new(),
            seed: 1,
        };
        let counted =
            Instructions { work, by, rounds: 1, per_decision: instructions, tool: "callgrind".to_owned() };
        Results { speed: vec![speed], instructions: vec![counted], ..Results::default() }
    }

    #[test]
    fn what_exceeds_the_spread_is_told() {
        let old = results(1e6, 0.01, 1_000.0);
        let compare = |new: Results| SpeedComparison::new(&old, &new);
        assert_eq!(compare(results(0.97e6, 0.01, 1_003.0)).differences, []);
        // 4 · √(0.01² + 0.01²) = 5.7 %.
        let slower = compare(results(0.93e6, 0.01, 1_003.0));
        assert!(slower.is_worse() && slower.differences.len() == 1 && slower.pairs == 2);
        assert!(!compare(results(0.93e6, 0.03, 1_000.0)).is_worse(), "a wide spread hides it");
        let faster = compare(results(2e6, 0.01, 900.0));
        assert!(!faster.is_worse() && faster.differences.len() == 2);
        let more = compare(results(1e6, 0.01, 1_010.0));
        assert!(more.is_worse() && more.text().contains("worse"), "{}", more.text());
        assert_eq!(SpeedComparison::new(&Results::default(), &old).text(), "");
    }
}

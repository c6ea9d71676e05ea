//! What is true of a stream, and what its replicas say: functions of numbers, so that nothing is kept for 100,000 streams.

use super::plan::Plan;

/// The least and the greatest point of the support, which are as far apart as it has points, less one.
pub const SUPPORT: (f64, f64) = (0.0, 100.0);

/// Standard deviation of an honest replica's noise.
pub const NOISE_SD: f64 = 2.0;

/// How far a liar is off, all liars on the same side.
const LIE: f64 = 15.0;

/// A number that looks drawn: SplitMix64's finisher over each part in turn.
#[must_use]
pub fn mixed(seed: u64, parts: [u64; 3]) -> u64 {
    parts.into_iter().fold(seed ^ 0x9e37_79b9_7f4a_7c15, |x, part| {
        let mut x = (x ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    })
}

/// Such a number from 0 to below 1.
#[must_use]
pub fn uniform(seed: u64, parts: [u64; 3]) -> f64 {
    (mixed(seed, parts) >> 11) as f64 / (1u64 << 53) as f64
}

/// The value that a stream truly has in a round: anywhere in the middle of the support, and another in each round, so that a
/// decision on another round or stream is found wrong.
#[must_use]
pub fn truth(seed: u64, stream: usize, round: i64) -> f64 {
    let (low, high) = SUPPORT;
    let margin = (high - low) / 4.0;
    low + margin + (high - low - 2.0 * margin) * uniform(seed, [stream as u64, round.cast_unsigned(), 0x7a1e])
}

/// What a replica reports.
#[must_use]
pub fn reported(plan: &Plan, stream: usize, round: i64, replica: usize) -> f64 {
    let bits = mixed(plan.seed, [stream as u64, round.cast_unsigned(), replica as u64]);
    // The sum of four uniform numbers of 16 bits each: nearly normal, and never more than 3.5 standard deviations off.
    let sum: f64 = (0..4).map(|k| ((bits >> (16 * k)) & 0xffff) as f64 / 65_535.0 - 0.5).sum();
    let noise = sum * 3.0_f64.sqrt() * NOISE_SD;
    let lie = if replica < plan.liars { LIE } else { 0.0 };
    truth(plan.seed, stream, round) + noise + lie
}

/// Whether a decision's distribution, by its mean and standard deviation, has room for what is true.
#[must_use]
pub fn is_plausible(plan: &Plan, stream: usize, round: i64, mean: f64, sd: f64) -> bool {
    let most = (5.0 * sd).max(4.0 * NOISE_SD);
    (mean - truth(plan.seed, stream, round)).abs() <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            streams: 50,
            replicas: 4,
            faults: 1,
            liars: 1,
            period_ns: 1_000_000_000,
            phases: 5,
            loss: 0.0,
            seed: 9,
        }
    }

    #[test]
    fn honest_replicas_are_off_by_the_models_noise_and_liars_by_more() {
        let plan = plan();
        let errors = |replica: usize| -> Vec<f64> {
            let off = |k: usize| {
                let (stream, round) = (k % 50, k as i64);
                reported(&plan, stream, round, replica) - truth(plan.seed, stream, round)
            };
            (0..4_000).map(off).collect()
        };
        let moments = |errors: &[f64]| {
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            let square = errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / errors.len() as f64;
            (mean, square.sqrt())
        };
        let (mean, sd) = moments(&errors(3));
        assert!(mean.abs() < 0.15 && (sd - NOISE_SD).abs() < 0.15, "{mean} {sd}");
        let (mean, sd) = moments(&errors(0));
        assert!((mean - LIE).abs() < 0.15 && (sd - NOISE_SD).abs() < 0.15, "{mean} {sd}");
        assert!(errors(1).iter().all(|error| error.abs() <= 3.5 * NOISE_SD));
    }

    #[test]
    fn a_decision_on_something_else_is_rarely_plausible() {
        let plan = plan();
        let count = (0..1_000)
            .filter(|&k| is_plausible(&plan, k % 50, k as i64, truth(plan.seed, k % 50, k as i64 + 1), 1.0));
        assert!(count.count() < 450);
        assert!(is_plausible(&plan, 7, 3, truth(plan.seed, 7, 3) + 1.0, 1.0));
        assert!(!is_plausible(&plan, 7, 3, f64::NAN, 1.0));
    }
}

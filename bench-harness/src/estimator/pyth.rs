//! The aggregate of the Pyth network's on-chain price programme.

use super::{Context, Estimate, Rule};

/// Each publisher of price p and confidence c votes p − c, p and p + c; the aggregate is the median of all votes, its
/// confidence the distance to the farther quartile. With N votes in order (from 0) the quartiles are votes ⌊N/4⌋ and
/// N − 1 − ⌊N/4⌋, and the median of an even number is the mean of the two middle votes.
///
/// A publisher's confidence stands for one standard deviation of its error, so c is the noise's.
#[derive(Clone, Copy, Debug)]
pub struct Pyth;

/// The aggregate price and confidence of prices with their confidences, which are not empty.
#[must_use]
pub fn aggregate(quotes: &[(f64, f64)]) -> (f64, f64) {
    let mut votes: Vec<f64> = quotes.iter().flat_map(|&(p, c)| [p - c, p, p + c]).collect();
    votes.sort_by(f64::total_cmp);
    let price = super::median::median(&votes);
    let quarter = votes.len() / 4;
    let (low, high) = (votes[quarter], votes[votes.len() - 1 - quarter]);
    (price, (price - low).max(high - price))
}

impl Rule for Pyth {
    fn name(&self) -> &'static str {
        "pyth"
    }

    fn of_sorted(&self, values: &[f64], context: &Context) -> Estimate {
        let quotes: Vec<_> = values.iter().map(|&v| (v, context.noise_sd)).collect();
        let (price, confidence) = aggregate(&quotes);
        Estimate { interval: Some((price - confidence, price + confidence)), ..Estimate::of(price) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let (price, confidence) = aggregate(&[(100.0, 1.0), (102.0, 1.0), (101.5, 0.5), (120.0, 10.0)]);
        // In order: 99 100 101 101 101 101.5 102 102 103 110 120 130; the sixth and seventh are 101.5 and 102.
        assert_eq!((price, confidence), (101.75, 103.0 - 101.75));
    }
}

//! Which quorum is best, and whether that is certain.
//!
//! Criteria are compared as ratios, not logarithms: a difference of at most 1e-6 there is a ratio of at least e^−1e-6.

use crate::decision::Quorum;
use crate::limits::{HONEST_TIE, TIE};

/// `e^−TIE`.
pub(super) const TIE_RATIO: f64 = 1.0 - TIE + TIE * TIE / 2.0;

/// The one quorum that the rules choose among `count`, by its number; `None` where an error of `slack` in the logarithm of a
/// criterion could change it. `criteria` gives both criteria of a quorum that is possible. Quorums are in the order of
/// [`super::search`], so that of those that tie the last one is taken.
pub(super) fn best(
    count: usize,
    slack: f64,
    criteria: impl Fn(usize) -> Option<(f64, f64)>,
) -> Option<usize> {
    let bounds = |top: f64| (top * TIE_RATIO * (1.0 - slack), top * TIE_RATIO * (1.0 + slack));
    let first = (0..count).filter_map(|q| criteria(q).map(|c| c.0)).fold(0.0, f64::max);
    let (open, tied) = bounds(first);
    let mut second = 0.0;
    for q in 0..count {
        if let Some(of_q) = criteria(q) {
            if of_q.0 >= tied {
                second = f64::max(second, of_q.1);
            } else if of_q.0 >= open {
                return None;
            }
        }
    }
    let (open, also_tied) = bounds(second);
    let mut best = None;
    for q in 0..count {
        if let Some(of_q) = criteria(q)
            && of_q.0 >= tied
        {
            if of_q.1 >= also_tied {
                best = Some(q);
            } else if of_q.1 >= open {
                return None;
            }
        }
    }
    best
}

/// The `size` replicas most likely honest; `None` where an error of `slack` in a probability could change them. `alike`
/// says of which two replicas everything is equal.
pub(super) fn most_honest(
    honest: &[f64],
    size: usize,
    slack: f64,
    sorted: &mut Vec<f64>,
    alike: impl Fn(usize, usize) -> bool,
) -> Option<Quorum> {
    if size == honest.len() {
        return Some((0..size).collect());
    }
    let last = largest(honest, size, sorted);
    // Who is more than a tie above the last one chosen is chosen, who is more than a tie below is not.
    let reach = HONEST_TIE + 2.0 * slack;
    let (mut chosen, mut near) = (Quorum::EMPTY, Quorum::EMPTY);
    for (i, &p) in honest.iter().enumerate() {
        chosen = chosen.with_if(i, p > last + reach);
        near = near.with_if(i, (p - last).abs() <= reach);
    }
    let missing = size - chosen.len();
    let first = near.positions().next()?;
    if near.len() > missing && !near.positions().all(|i| alike(first, i)) {
        let (low, high) = near
            .positions()
            .fold((f64::INFINITY, 0.0), |(low, high), i| (honest[i].min(low), honest[i].max(high)));
        // All of them tie with each other: the earliest are taken, as of those that are alike.
        if high - low > HONEST_TIE - 2.0 * slack {
            return None;
        }
    }
    for i in near.positions().take(missing) {
        chosen = chosen.with(i);
    }
    Some(chosen)
}

/// The one at place `size` of `values` from the largest on.
fn largest(values: &[f64], size: usize, sorted: &mut Vec<f64>) -> f64 {
    /// So many of the smallest are kept apart without a jump that depends on the values.
    const KEPT: usize = 4;
    let smaller = values.len() - size;
    if smaller >= KEPT {
        sorted.clear();
        sorted.extend_from_slice(values);
        return *sorted.select_nth_unstable_by(size - 1, |a, b| b.total_cmp(a)).1;
    }
    let mut smallest = [f64::INFINITY; KEPT];
    for &value in values {
        let mut value = value;
        for kept in &mut smallest {
            let (less, more) = if value < *kept { (value, *kept) } else { (*kept, value) };
            (*kept, value) = (less, more);
        }
    }
    smallest[smaller]
}

/// The quorum of number `q` in the order of [`super::search`], of those that leave `faults` of `n` replicas out.
pub(super) fn quorum(n: usize, faults: usize, mut q: usize) -> Quorum {
    let mut quorum = Quorum::EMPTY;
    let mut missing = faults;
    for i in 0..n {
        if missing > 0 {
            // So many leave i out, and then missing − 1 of those behind it.
            let with_i_out = choose(n - i - 1, missing - 1);
            if q < with_i_out {
                missing -= 1;
                continue;
            }
            q -= with_i_out;
        }
        quorum = quorum.with(i);
    }
    quorum
}

const SIDE: usize = crate::limits::REPLICAS_MAX + 1;
static TRIANGLE: [[usize; SIDE]; SIDE] = {
    let mut cells = [[0usize; SIDE]; SIDE];
    let mut n = 0;
    while n < SIDE {
        cells[n][0] = 1;
        let mut k = 1;
        while k <= n {
            cells[n][k] = cells[n - 1][k - 1].saturating_add(cells[n - 1][k]);
            k += 1;
        }
        n += 1;
    }
    cells
};

/// C(n, k), or more than any limit where that overflows; `n` at most 128.
pub(super) fn choose(n: usize, k: usize) -> usize {
    TRIANGLE[n][k]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_are_numbered_from_the_last_to_the_first() {
        for (n, f) in [(1, 0), (4, 1), (7, 2), (9, 4), (6, 5)] {
            let all: Vec<Quorum> = (0..choose(n, f)).map(|q| quorum(n, f, q)).collect();
            assert!(all.iter().all(|q| q.len() == n - f), "{n} {f}");
            let order: Vec<Vec<usize>> = all.iter().map(|q| q.positions().collect()).collect();
            assert!(order.windows(2).all(|pair| pair[0] > pair[1]), "{n} {f}: {order:?}");
        }
    }

    #[test]
    fn a_rival_at_the_edge_of_a_tie_leaves_the_choice_open() {
        let near = (-1e-6f64).exp();
        let choice = |first: [f64; 3], slack| best(3, slack, |q| Some((first[q], 1.0)));
        assert_eq!(choice([1.0, 0.5, 0.9], 1e-9), Some(0));
        assert_eq!(choice([1.0, 1.0, 0.9], 1e-9), Some(1), "of those that tie the last");
        assert_eq!(choice([1.0, near, 0.9], 1e-9), None);
        assert_eq!(choice([1.0, near * (1.0 - 1e-8), 0.9], 1e-9), Some(0));
        assert_eq!(choice([1.0, near * (1.0 - 1e-8), 0.9], 1e-7), None);
    }

    #[test]
    fn honest_replicas_that_are_alike_are_taken_in_order() {
        let mut sorted = Vec::new();
        let mut chosen = |honest: &[f64], size, slack, alike: bool| {
            most_honest(honest, size, slack, &mut sorted, |_, _| alike).map(Quorum::bits)
        };
        assert_eq!(chosen(&[0.2, 0.9, 0.8], 2, 1e-6, false), Some(0b110));
        assert_eq!(chosen(&[0.9, 0.5, 0.5], 2, 1e-6, false), None);
        assert_eq!(chosen(&[0.9, 0.5, 0.5], 2, 1e-6, true), Some(0b011));
        assert_eq!(chosen(&[0.5, 0.5, 0.9], 2, 1e-12, false), Some(0b101), "an exact tie");
        assert_eq!(chosen(&[0.5, 0.5 + 1e-9, 0.9], 2, 1e-11, false), None);
    }
}

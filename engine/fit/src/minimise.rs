//! Nelder and Mead's simplex search, without randomness.

/// The least point that was found, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Minimum {
    pub(crate) at: Vec<f64>,
    pub(crate) value: f64,
}

/// Searches from `start` with a simplex of edge `reach` until the values differ by less than `tolerance`, for at
/// most `steps` evaluations or so. Values that are not numbers count as infinite.
pub(crate) fn minimise(
    f: &mut impl FnMut(&[f64]) -> f64,
    start: &[f64],
    reach: f64,
    tolerance: f64,
    steps: usize,
) -> Minimum {
    let mut f = |at: Vec<f64>| {
        let value = f(&at);
        Minimum { at, value: if value.is_nan() { f64::INFINITY } else { value } }
    };
    let mut simplex = vec![f(start.to_vec())];
    for axis in 0..start.len() {
        let moved = start.iter().enumerate().map(|(i, x)| if i == axis { x + reach } else { *x });
        simplex.push(f(moved.collect()));
    }
    for _ in 0..steps {
        simplex.sort_by(|a, b| a.value.total_cmp(&b.value));
        let Some((worst, rest)) = simplex.split_last() else { break };
        let (Some(best), Some(second)) = (rest.first(), rest.last()) else { break };
        if worst.value - best.value <= tolerance && extent(rest, &worst.at) < 1e-3 {
            break;
        }
        let centre = centroid(rest);
        let along = |t: f64| centre.iter().zip(&worst.at).map(|(c, w)| c + t * (c - w)).collect();
        let reflected = f(along(1.0));
        let replacement = if reflected.value < best.value {
            let expanded = f(along(2.0));
            Some(if expanded.value < reflected.value { expanded } else { reflected })
        } else if reflected.value < second.value {
            Some(reflected)
        } else {
            let inwards = if reflected.value < worst.value { 0.5 } else { -0.5 };
            let contracted = f(along(inwards));
            (contracted.value < worst.value.min(reflected.value)).then_some(contracted)
        };
        match replacement {
            Some(better) => {
                simplex.pop();
                simplex.push(better);
            }
            None => {
                let best = best.at.clone();
                for corner in simplex.iter_mut().skip(1) {
                    *corner = f(corner.at.iter().zip(&best).map(|(x, b)| b + 0.5 * (x - b)).collect());
                }
            }
        }
    }
    simplex.sort_by(|a, b| a.value.total_cmp(&b.value));
    simplex.swap_remove(0)
}

fn centroid(corners: &[Minimum]) -> Vec<f64> {
    let axes = corners.first().map_or(0, |corner| corner.at.len());
    let sum = |axis: usize| corners.iter().filter_map(|corner| corner.at.get(axis)).sum::<f64>();
    (0..axes).map(|axis| sum(axis) / corners.len() as f64).collect()
}

/// The largest distance of a corner from `from` along an axis.
fn extent(corners: &[Minimum], from: &[f64]) -> f64 {
    let distances = corners.iter().flat_map(|corner| corner.at.iter().zip(from).map(|(a, b)| (a - b).abs()));
    distances.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_bent_valley() {
        let mut valley = |x: &[f64]| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2);
        let found = minimise(&mut valley, &[-1.2, 1.0], 0.5, 1e-12, 2000);
        assert!((found.at[0] - 1.0).abs() < 1e-3 && (found.at[1] - 1.0).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn one_axis_and_values_that_are_not_numbers() {
        let mut log = |x: &[f64]| x[0].ln() * x[0];
        let found = minimise(&mut log, &[2.0], 0.5, 1e-12, 500);
        assert!((found.at[0] - (-1.0_f64).exp()).abs() < 1e-4, "{found:?}");
    }
}

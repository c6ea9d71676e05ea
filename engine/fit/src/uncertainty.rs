//! Standard errors of fitted parameters.

use crate::bins::Bins;
use crate::family::{FamilyName, Frame, decode, parameters};
use crate::objective::{LAMBDA, Objective};
use centauri_engine::Distribution;

/// Step of the numerical derivatives, in free numbers: a percent of a scale.
const STEP: f64 = 1e-2;
/// Standard deviations of a count beyond which its excess is not put down to chance.
const BY_CHANCE: f64 = 3.0;

/// Standard errors by the sandwich `H⁻¹·V·H⁻¹` of the minimised `Σ ρ`.
///
/// By chance a bin of `e` expected samples holds `e + √e·z`, `z` normal, of which `ρ` looks at `min(z, c)`, `c = λ·√e`.
/// So with `s = ∂ ln e/∂θ` a bin adds `s·sᵀ·e·(Φ(c) − λ·(1 − Φ(c)))` to the Hessian `H` and `s·sᵀ·e·Var min(z, c)` to the
/// variance `V` of the gradient; a bin of which more is in excess than chance makes adds `−λ·e·s·sᵀ` to `H` alone.
/// The share of honest samples is a parameter like the others where it is not at its bound. Carried over to the parameters
/// by name through their derivatives. `None` where `H` is singular: the sample does not determine a parameter.
pub(crate) fn standard_errors(
    family: FamilyName,
    objective: &Objective<'_>,
    frame: &Frame,
    free: &[f64],
    honest: f64,
) -> Option<Vec<(&'static str, f64)>> {
    let n: f64 = objective.bins.counts.iter().sum();
    let mut at = free.to_vec();
    if honest < n * (1.0 - 1e-9) && honest > n * (1.0 - objective.contamination) * (1.0 + 1e-9) {
        at.push(honest.ln());
    }
    let expected = |at: &[f64]| -> Option<Vec<f64>> {
        let distribution = decode(family, at, frame).ok()?;
        let mut masses = Vec::new();
        objective.masses(&distribution, &mut masses);
        let honest = at.get(free.len()).map_or(honest, |ln| ln.exp());
        masses.iter_mut().for_each(|mass| *mass *= honest);
        Some(masses)
    };
    let (hessian, variance) = curvature_and_variance(objective.bins, &at, expected)?;
    let inverse = inverse(hessian)?;
    let covariance = product(&product(&inverse, &variance), &inverse);
    by_name(family, frame, free, &covariance)
}

type Matrix = Vec<Vec<f64>>;

fn moved(at: &[f64], moves: &[(usize, f64)]) -> Vec<f64> {
    let mut at = at.to_vec();
    for &(axis, by) in moves {
        if let Some(x) = at.get_mut(axis) {
            *x += by;
        }
    }
    at
}

/// What a bin adds to `H` and to `V`, in units of `s·sᵀ`.
fn weights(o: f64, e: f64, unit: &Distribution) -> (f64, f64) {
    if o > (1.0 + LAMBDA) * e + BY_CHANCE * e.sqrt() {
        return (-LAMBDA * e, 0.0);
    }
    let c = LAMBDA * e.sqrt();
    let (below, above, density) = (unit.cdf(c), unit.sf(c), unit.ln_density(c).exp());
    let mean = c * above - density;
    let square = below - c * density + c * c * above;
    (e * (below - LAMBDA * above), e * (square - mean * mean))
}

fn curvature_and_variance(
    bins: &Bins,
    at: &[f64],
    expected: impl Fn(&[f64]) -> Option<Vec<f64>>,
) -> Option<(Matrix, Matrix)> {
    let unit = Distribution::normal(0.0, 1.0).ok()?;
    let here = expected(at)?;
    let cells: Vec<(f64, f64)> = bins.counts.iter().zip(&here).map(|(&o, &e)| weights(o, e, &unit)).collect();
    let slopes: Option<Matrix> = (0..at.len())
        .map(|axis| {
            let (up, down) =
                (expected(&moved(at, &[(axis, STEP)]))?, expected(&moved(at, &[(axis, -STEP)]))?);
            let slope =
                |((u, d), e): ((&f64, &f64), &f64)| if *e > 1e-9 { (u - d) / (2.0 * STEP * e) } else { 0.0 };
            Some(up.iter().zip(&down).zip(&here).map(slope).collect())
        })
        .collect();
    let slopes = slopes?;
    let sum = |of: fn(&(f64, f64)) -> f64| -> Matrix {
        let entry =
            |a: &[f64], b: &[f64]| a.iter().zip(b).zip(&cells).map(|((a, b), cell)| a * b * of(cell)).sum();
        slopes.iter().map(|a| slopes.iter().map(|b| entry(a, b)).collect()).collect()
    };
    Some((sum(|cell| cell.0), sum(|cell| cell.1)))
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let column = |j: usize| b.iter().filter_map(move |row| row.get(j));
    a.iter()
        .map(|row| (0..b.len()).map(|j| row.iter().zip(column(j)).map(|(x, y)| x * y).sum()).collect())
        .collect()
}

/// Gauss and Jordan's, with the largest pivots.
fn inverse(mut m: Matrix) -> Option<Matrix> {
    let n = m.len();
    for (i, row) in m.iter_mut().enumerate() {
        row.extend((0..n).map(|j| if i == j { 1.0 } else { 0.0 }));
    }
    for column in 0..n {
        let size = |row: &Vec<f64>| row.get(column).map_or(0.0, |x| x.abs());
        let pivot = (column..n).max_by(|&a, &b| size(&m[a]).total_cmp(&size(&m[b])))?;
        if size(&m[pivot]).is_nan() || size(&m[pivot]) <= 1e-9 {
            return None;
        }
        m.swap(column, pivot);
        let scale = m[column][column];
        m[column].iter_mut().for_each(|x| *x /= scale);
        let lead = m[column].clone();
        for row in (0..n).filter(|&row| row != column) {
            let factor = m[row][column];
            m[row].iter_mut().zip(&lead).for_each(|(x, l)| *x -= factor * l);
        }
    }
    Some(m.into_iter().map(|row| row.into_iter().skip(n).collect()).collect())
}

fn by_name(
    family: FamilyName,
    frame: &Frame,
    free: &[f64],
    covariance: &Matrix,
) -> Option<Vec<(&'static str, f64)>> {
    let named = |at: &[f64]| decode(family, at, frame).ok().map(|d| parameters(&d));
    let here = named(free)?;
    let mut slopes: Vec<Vec<f64>> = vec![Vec::new(); here.len()];
    for axis in 0..free.len() {
        let (up, down) = (named(&moved(free, &[(axis, STEP)]))?, named(&moved(free, &[(axis, -STEP)]))?);
        for (slope, (u, d)) in slopes.iter_mut().zip(up.iter().zip(&down)) {
            slope.push((u.1 - d.1) / (2.0 * STEP));
        }
    }
    let error = |slope: &[f64]| {
        let rows = slope.iter().zip(covariance);
        let variance: f64 =
            rows.map(|(s, row)| s * row.iter().zip(slope).map(|(c, t)| c * t).sum::<f64>()).sum();
        (variance.is_finite() && variance >= 0.0).then(|| variance.sqrt())
    };
    here.iter().zip(&slopes).map(|((name, _), slope)| Some((*name, error(slope)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_undoes() {
        let m = vec![vec![0.0, 2.0, 1.0], vec![1.0, 0.5, 0.0], vec![3.0, 0.0, 5.0]];
        let unit = product(&inverse(m.clone()).unwrap(), &m);
        for (i, row) in unit.iter().enumerate() {
            for (j, x) in row.iter().enumerate() {
                assert!((x - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
        assert_eq!(inverse(vec![vec![1.0, 2.0], vec![2.0, 4.0]]), None);
    }
}

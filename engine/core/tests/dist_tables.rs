//! The distributions against tables made in arbitrary precision by `fixtures/make_dist_tables.py`.

use centauri_engine::dist::{Distribution, Family};
use serde_json::Value;

/// Promised: relative, or absolute for logarithms between −1 and 0.
const TOLERANCE: f64 = 1e-10;

fn number(spec: &Value, key: &str) -> f64 {
    spec[key].as_f64().unwrap_or_else(|| panic!("{key} in {spec}"))
}

fn numbers(spec: &Value, key: &str) -> Vec<f64> {
    spec[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn distribution(spec: &Value) -> Distribution {
    let n = |key| number(spec, key);
    let family = match spec["family"].as_str().unwrap() {
        "normal" => Family::Normal { mean: n("mean"), sd: n("sd") },
        "lognormal" => Family::Lognormal { mu: n("mu"), sigma: n("sigma") },
        "exponential" => Family::Exponential { mean: n("mean") },
        "gamma" => Family::Gamma { shape: n("shape"), scale: n("scale") },
        "weibull" => Family::Weibull { shape: n("shape"), scale: n("scale") },
        "uniform" => Family::Uniform { low: n("low"), high: n("high") },
        "laplace" => Family::Laplace { mean: n("mean"), scale: n("scale") },
        "logistic" => Family::Logistic { mean: n("mean"), scale: n("scale") },
        "student_t" => Family::StudentT { df: n("df"), mean: n("mean"), scale: n("scale") },
        "poisson" => Family::Poisson { mean: n("mean") },
        "binomial" => Family::Binomial { trials: spec["trials"].as_u64().unwrap(), p: n("p") },
        "geometric" => Family::Geometric { p: n("p") },
        "negative_binomial" => Family::NegativeBinomial { r: n("r"), p: n("p") },
        "mixture" => Family::Mixture {
            weights: numbers(spec, "weights"),
            components: spec["components"].as_array().unwrap().iter().map(distribution).collect(),
        },
        other => panic!("unknown family {other}"),
    };
    Distribution::new(family, spec["offset"].as_f64().unwrap_or(0.0)).unwrap()
}

fn cases() -> Vec<(Distribution, Value)> {
    let lines = include_str!("fixtures/dist_tables.jsonl").lines();
    let case = |line| {
        let value: Value = serde_json::from_str(line).unwrap();
        (distribution(&value["spec"]), value)
    };
    lines.map(case).collect()
}

fn error(found: f64, expected: f64) -> f64 {
    if found == expected { 0.0 } else { (found - expected).abs() / expected.abs().max(1.0) }
}

fn rows<'a>(case: &'a Value, key: &str) -> impl Iterator<Item = Vec<f64>> + 'a {
    let row = |row: &Value| {
        row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap_or(f64::NEG_INFINITY)).collect()
    };
    case[key].as_array().unwrap().iter().map(row)
}

/// Checks one figure and keeps the worst.
fn check(worst: &mut (f64, String), found: f64, expected: f64, what: impl Fn() -> String) {
    let error = error(found, expected);
    if error.is_nan() || error > worst.0 {
        let error = if error.is_nan() { f64::INFINITY } else { error };
        *worst = (error, format!("{}: found {found:e}, expected {expected:e}", what()));
    }
}

/// Runs `fill` over every case, prints each family's worst error and fails if one is beyond the tolerance.
fn each_case(what: &str, mut fill: impl FnMut(&Distribution, &Value, &mut (f64, String))) {
    let mut bad = Vec::new();
    for (d, case) in cases() {
        let mut worst = (0.0, String::new());
        fill(&d, &case, &mut worst);
        println!("{what} {}: worst {:.1e} {}", case["spec"], worst.0, worst.1);
        if worst.0 > TOLERANCE {
            bad.push(format!("{} {:.1e} {}", case["spec"], worst.0, worst.1));
        }
    }
    assert!(bad.is_empty(), "{what} beyond {TOLERANCE:e}:\n{}", bad.join("\n"));
}

#[test]
fn log_masses() {
    each_case("ln_mass", |d, case, worst| {
        for row in rows(case, "masses") {
            check(worst, d.ln_mass(row[0], row[1]), row[2], || format!("[{}, {})", row[0], row[1]));
        }
    });
}

#[test]
fn log_tails() {
    each_case("tails", |d, case, worst| {
        for row in rows(case, "tails") {
            check(worst, d.ln_cdf(row[0]), row[1], || format!("ln_cdf({})", row[0]));
            check(worst, d.ln_sf(row[0]), row[2], || format!("ln_sf({})", row[0]));
            check(worst, d.cdf(row[0]), row[1].exp(), || format!("cdf({})", row[0]));
            check(worst, d.sf(row[0]), row[2].exp(), || format!("sf({})", row[0]));
        }
    });
}

/// The smaller tail keeps its digits, so that a log tail near 0 is not the price of the other.
#[test]
fn smaller_tail_is_relatively_accurate() {
    each_case("small tail", |d, case, worst| {
        for row in rows(case, "tails") {
            let (found, expected) =
                if row[1] < row[2] { (d.ln_cdf(row[0]), row[1]) } else { (d.ln_sf(row[0]), row[2]) };
            check(worst, found, expected, || format!("at {}", row[0]));
        }
    });
}

#[test]
fn moments() {
    let relative = |found: f64, expected: f64| {
        if found == expected { 0.0 } else { (found - expected).abs() / expected.abs() }
    };
    for (d, case) in cases() {
        let mean = case["mean"].as_f64().unwrap_or(f64::INFINITY);
        let variance = case["variance"].as_f64().unwrap_or(f64::INFINITY);
        assert!(relative(d.mean(), mean) <= 1e-12, "{} mean {} not {mean}", case["spec"], d.mean());
        assert!(
            relative(d.variance(), variance) <= 1e-12,
            "{} variance {} not {variance}",
            case["spec"],
            d.variance()
        );
    }
}

/// Tables of tails are tables of quantiles read the other way.
#[test]
fn quantiles() {
    for (d, case) in cases() {
        let spread = if d.variance().is_finite() { d.variance().sqrt() } else { 2.0 };
        for row in rows(&case, "tails") {
            let (x, ln_cdf) = (row[0], row[1]);
            let p = ln_cdf.exp();
            if !(1e-290..0.999).contains(&p) {
                continue;
            }
            if d.is_discrete() {
                assert_eq!(d.quantile(p * (1.0 - 1e-9)), x, "{} {p}", case["spec"]);
                let next = d.quantile(p * (1.0 + 1e-9));
                assert_eq!(next, x + 1.0, "{} just above {p}", case["spec"]);
            } else {
                let found = d.quantile(p);
                let close = 1e-10 * spread.min(x.abs().max(1e-3 * spread)) + 4.0 * f64::EPSILON * x.abs();
                assert!(
                    (found - x).abs() <= close.max(1e-12 * spread),
                    "{} {p}: {found} not {x}",
                    case["spec"]
                );
            }
        }
    }
}

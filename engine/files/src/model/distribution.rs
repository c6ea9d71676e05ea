//! Distributions: `{ family = "…", …, offset = … }`.

use super::reader::{Field, Table};
use crate::error::FileError;
use crate::names::expected_one_of;
use centauri_engine::dist::TRIALS_MAX;
use centauri_engine::{Distribution, DistributionError, Family};

pub(super) const EXPECTED: &str = "a distribution such as { family = \"normal\", mean = 0, sd = 1 }";

/// Each family and its parameters, in the order in which they are written.
pub(super) const FAMILIES: [(&str, &[&str]); 15] = [
    ("normal", &["mean", "sd"]),
    ("lognormal", &["mu", "sigma"]),
    ("exponential", &["mean"]),
    ("gamma", &["shape", "scale"]),
    ("weibull", &["shape", "scale"]),
    ("uniform", &["low", "high"]),
    ("laplace", &["mean", "scale"]),
    ("logistic", &["mean", "scale"]),
    ("student_t", &["df", "mean", "scale"]),
    ("poisson", &["mean"]),
    ("binomial", &["trials", "p"]),
    ("geometric", &["p"]),
    ("negative_binomial", &["r", "p"]),
    ("empirical", &["edges", "counts"]),
    ("mixture", &["weights", "components"]),
];

/// Reads a distribution from a table.
pub(super) fn read(table: &Table<'_>) -> Result<Distribution, FileError> {
    let family = table.require("family", "the name of a family")?;
    let name = family.text("the name of a family")?;
    let Some((name, parameters)) = FAMILIES.iter().find(|(known, _)| *known == name) else {
        let expected = expected_one_of(name, FAMILIES.iter().map(|(name, _)| *name));
        return Err(family.error(format!("found {}, expected {expected}", crate::names::quoted(name))));
    };
    let mut known = vec!["family", "offset"];
    known.splice(1..1, parameters.iter().copied());
    table.only(&known)?;
    let offset = optional(table, "offset")?;
    Distribution::new(parameters_of(name, table)?, offset).map_err(|error| located(table, &error))
}

fn parameters_of(name: &str, table: &Table<'_>) -> Result<Family, FileError> {
    let number = |key| table.require(key, "a number")?.number();
    Ok(match name {
        "normal" => Family::Normal { mean: number("mean")?, sd: number("sd")? },
        "lognormal" => Family::Lognormal { mu: number("mu")?, sigma: number("sigma")? },
        "exponential" => Family::Exponential { mean: number("mean")? },
        "gamma" => Family::Gamma { shape: number("shape")?, scale: number("scale")? },
        "weibull" => Family::Weibull { shape: number("shape")?, scale: number("scale")? },
        "uniform" => Family::Uniform { low: number("low")?, high: number("high")? },
        "laplace" => Family::Laplace { mean: number("mean")?, scale: number("scale")? },
        "logistic" => Family::Logistic { mean: number("mean")?, scale: number("scale")? },
        "student_t" => {
            Family::StudentT { df: number("df")?, mean: optional(table, "mean")?, scale: number("scale")? }
        }
        "poisson" => Family::Poisson { mean: number("mean")? },
        "binomial" => {
            let expected = "a whole number of trials, 0 to 2^53";
            let trials = table.require("trials", expected)?.whole(expected, 0, TRIALS_MAX)?;
            Family::Binomial { trials, p: number("p")? }
        }
        "geometric" => Family::Geometric { p: number("p")? },
        "negative_binomial" => Family::NegativeBinomial { r: number("r")?, p: number("p")? },
        "empirical" => {
            Family::Empirical { edges: numbers(table, "edges")?, counts: numbers(table, "counts")? }
        }
        _ => Family::Mixture { weights: numbers(table, "weights")?, components: components(table)? },
    })
}

/// A number that is 0 where it is left out.
fn optional(table: &Table<'_>, key: &str) -> Result<f64, FileError> {
    table.get(key).map_or(Ok(0.0), |field| field.number())
}

fn numbers(table: &Table<'_>, key: &str) -> Result<Vec<f64>, FileError> {
    let expected = "a list of numbers";
    table.require(key, expected)?.list(expected)?.map(|item| item.number()).collect()
}

fn components(table: &Table<'_>) -> Result<Vec<Distribution>, FileError> {
    let expected = "a list of distributions";
    let items = table.require("components", expected)?.list(expected)?;
    items.map(|item| read(&item.table(EXPECTED)?)).collect()
}

/// The engine's judgement, with the place in the file.
fn located(table: &Table<'_>, error: &DistributionError) -> FileError {
    let (parameter, problem) = match error {
        DistributionError::Parameter { parameter, found, expected, .. } => {
            (parameter.as_str(), format!("found {found:?}, expected {expected}"))
        }
        DistributionError::Length { parameter, found, expected, .. } => {
            (*parameter, format!("found {found} entries, expected {expected}"))
        }
        _ => ("", String::new()),
    };
    match entry(table, parameter) {
        Some(field) => field.error(problem),
        None => table.error(error.to_string()),
    }
}

/// The value of a parameter that is called `name` or `name[3]`.
fn entry<'f, 't>(table: &'f Table<'t>, parameter: &str) -> Option<Field<'f, 't>> {
    match parameter.strip_suffix(']').and_then(|p| p.split_once('[')) {
        None => table.get(parameter),
        Some((list, index)) => table.get(list)?.list("").ok()?.nth(index.parse().ok()?),
    }
}

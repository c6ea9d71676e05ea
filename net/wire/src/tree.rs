//! A distribution's tree in bytes.
//!
//! A node is `family u8 · reserved u8 · count u16 · offset f64`, then what the family needs: `count`
//! parameters; for a histogram `count` + 1 edges and `count` counts; for a mixture `count` times a
//! weight and a node.

use crate::bytes::{Reader, push_f64s};
use crate::encode::EncodeError;
use crate::{
    DISTRIBUTION_NODES_MAX, DistributionBody, DistributionFamily, EMPIRICAL_BINS_MAX, MIXTURE_DEPTH_MAX,
    MalformedReason,
};

const EMPIRICAL: u8 = 14;
const MIXTURE: u8 = 15;

/// What the next node may still use.
struct Budget {
    nodes: usize,
}

impl Budget {
    fn new() -> Self {
        Self { nodes: DISTRIBUTION_NODES_MAX }
    }

    fn take(&mut self) -> bool {
        match self.nodes.checked_sub(1) {
            Some(left) => {
                self.nodes = left;
                true
            }
            None => false,
        }
    }
}

/// Checks that the bytes are exactly one tree, without building it.
pub(crate) fn check(mut reader: Reader<'_>) -> Result<(), MalformedReason> {
    check_node(&mut reader, 0, &mut Budget::new())?;
    reader.end()
}

/// Builds the tree that [`check`] would accept.
pub(crate) fn read(mut reader: Reader<'_>) -> Result<DistributionBody, MalformedReason> {
    let body = read_node(&mut reader, 0, &mut Budget::new())?;
    reader.end()?;
    Ok(body)
}

/// Appends a tree.
pub(crate) fn push(out: &mut Vec<u8>, body: &DistributionBody) -> Result<(), EncodeError> {
    push_node(out, body, 0, &mut Budget::new())
}

/// A node's first twelve bytes.
struct NodeHead {
    code: u8,
    count: usize,
    offset: f64,
}

fn read_head(
    reader: &mut Reader<'_>,
    depth: usize,
    budget: &mut Budget,
) -> Result<NodeHead, MalformedReason> {
    if !budget.take() {
        return Err(MalformedReason::DistributionNodes);
    }
    let code = reader.u8("a distribution's family")?;
    reader.reserved::<1>("a distribution's reserved byte")?;
    let count = usize::from(reader.u16("a distribution's count")?);
    let offset = reader.finite("a distribution's offset")?;
    let (min, max) = match code {
        EMPIRICAL => (1, EMPIRICAL_BINS_MAX),
        MIXTURE if depth >= MIXTURE_DEPTH_MAX => return Err(MalformedReason::MixtureDepth),
        MIXTURE => (1, DISTRIBUTION_NODES_MAX),
        _ => {
            let parameters = parameter_count(code).ok_or(MalformedReason::Code {
                field: "a distribution's family",
                found: u64::from(code),
                expected: "1 to 15",
            })?;
            (parameters, parameters)
        }
    };
    if count < min || count > max {
        return Err(MalformedReason::Count {
            field: "a distribution's count",
            found: count as u64,
            min: min as u64,
            max: max as u64,
        });
    }
    Ok(NodeHead { code, count, offset })
}

/// How many parameters a plain family has; `None` for a code that is not one.
fn parameter_count(code: u8) -> Option<usize> {
    match code {
        3 | 10 | 12 => Some(1),
        1 | 2 | 4..=8 | 11 | 13 => Some(2),
        9 => Some(3),
        _ => None,
    }
}

fn check_node(reader: &mut Reader<'_>, depth: usize, budget: &mut Budget) -> Result<(), MalformedReason> {
    let head = read_head(reader, depth, budget)?;
    match head.code {
        MIXTURE => {
            for _ in 0..head.count {
                reader.finite("a mixture's weight")?;
                check_node(reader, depth + 1, budget)?;
            }
        }
        code => {
            let numbers = if code == EMPIRICAL { 2 * head.count + 1 } else { head.count };
            for _ in 0..numbers {
                reader.finite("a distribution's parameter")?;
            }
        }
    }
    Ok(())
}

fn read_node(
    reader: &mut Reader<'_>,
    depth: usize,
    budget: &mut Budget,
) -> Result<DistributionBody, MalformedReason> {
    let head = read_head(reader, depth, budget)?;
    let family = match head.code {
        EMPIRICAL => DistributionFamily::Empirical {
            edges: read_numbers(reader, head.count + 1)?,
            counts: read_numbers(reader, head.count)?,
        },
        MIXTURE => {
            let mut components = Vec::new();
            for _ in 0..head.count {
                let weight = reader.finite("a mixture's weight")?;
                components.push((weight, read_node(reader, depth + 1, budget)?));
            }
            DistributionFamily::Mixture { components }
        }
        code => read_plain(reader, code)?,
    };
    Ok(DistributionBody { offset: head.offset, family })
}

fn read_numbers(reader: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, MalformedReason> {
    (0..count).map(|_| reader.finite("a distribution's parameter")).collect()
}

fn read_plain(reader: &mut Reader<'_>, code: u8) -> Result<DistributionFamily, MalformedReason> {
    use DistributionFamily as F;
    let mut next = || reader.finite("a distribution's parameter");
    Ok(match code {
        1 => F::Normal { mean: next()?, sd: next()? },
        2 => F::Lognormal { mu: next()?, sigma: next()? },
        3 => F::Exponential { mean: next()? },
        4 => F::Gamma { shape: next()?, scale: next()? },
        5 => F::Weibull { shape: next()?, scale: next()? },
        6 => F::Uniform { low: next()?, high: next()? },
        7 => F::Laplace { mean: next()?, scale: next()? },
        8 => F::Logistic { mean: next()?, scale: next()? },
        9 => F::StudentT { df: next()?, mean: next()?, scale: next()? },
        10 => F::Poisson { mean: next()? },
        11 => F::Binomial { trials: next()?, p: next()? },
        12 => F::Geometric { p: next()? },
        13 => F::NegativeBinomial { r: next()?, p: next()? },
        found => {
            return Err(MalformedReason::Code {
                field: "a distribution's family",
                found: u64::from(found),
                expected: "1 to 15",
            });
        }
    })
}

fn push_node(
    out: &mut Vec<u8>,
    body: &DistributionBody,
    depth: usize,
    budget: &mut Budget,
) -> Result<(), EncodeError> {
    use DistributionFamily as F;
    if !budget.take() {
        return Err(EncodeError::DistributionNodes { found: DISTRIBUTION_NODES_MAX + 1 });
    }
    let offset = body.offset;
    match &body.family {
        F::Normal { mean, sd } => push_plain(out, 1, offset, &[*mean, *sd]),
        F::Lognormal { mu, sigma } => push_plain(out, 2, offset, &[*mu, *sigma]),
        F::Exponential { mean } => push_plain(out, 3, offset, &[*mean]),
        F::Gamma { shape, scale } => push_plain(out, 4, offset, &[*shape, *scale]),
        F::Weibull { shape, scale } => push_plain(out, 5, offset, &[*shape, *scale]),
        F::Uniform { low, high } => push_plain(out, 6, offset, &[*low, *high]),
        F::Laplace { mean, scale } => push_plain(out, 7, offset, &[*mean, *scale]),
        F::Logistic { mean, scale } => push_plain(out, 8, offset, &[*mean, *scale]),
        F::StudentT { df, mean, scale } => push_plain(out, 9, offset, &[*df, *mean, *scale]),
        F::Poisson { mean } => push_plain(out, 10, offset, &[*mean]),
        F::Binomial { trials, p } => push_plain(out, 11, offset, &[*trials, *p]),
        F::Geometric { p } => push_plain(out, 12, offset, &[*p]),
        F::NegativeBinomial { r, p } => push_plain(out, 13, offset, &[*r, *p]),
        F::Empirical { edges, counts } => {
            if counts.is_empty() || counts.len() > EMPIRICAL_BINS_MAX || edges.len() != counts.len() + 1 {
                return Err(EncodeError::EmpiricalBins { edges: edges.len(), counts: counts.len() });
            }
            push_head(out, EMPIRICAL, counts.len(), offset)?;
            push_finite(out, edges)?;
            push_finite(out, counts)
        }
        F::Mixture { components } => {
            if depth >= MIXTURE_DEPTH_MAX {
                return Err(EncodeError::MixtureDepth);
            }
            if components.is_empty() || components.len() > DISTRIBUTION_NODES_MAX {
                return Err(EncodeError::DistributionNodes { found: components.len() });
            }
            push_head(out, MIXTURE, components.len(), offset)?;
            for (weight, component) in components {
                push_finite(out, &[*weight])?;
                push_node(out, component, depth + 1, budget)?;
            }
            Ok(())
        }
    }
}

fn push_plain(out: &mut Vec<u8>, code: u8, offset: f64, parameters: &[f64]) -> Result<(), EncodeError> {
    push_head(out, code, parameters.len(), offset)?;
    push_finite(out, parameters)
}

fn push_head(out: &mut Vec<u8>, code: u8, count: usize, offset: f64) -> Result<(), EncodeError> {
    let count = u16::try_from(count).map_err(|_| EncodeError::DistributionNodes { found: count })?;
    out.extend_from_slice(&[code, 0]);
    out.extend_from_slice(&count.to_le_bytes());
    push_finite(out, &[offset])
}

fn push_finite(out: &mut Vec<u8>, values: &[f64]) -> Result<(), EncodeError> {
    if !values.iter().all(|value| value.is_finite()) {
        return Err(EncodeError::NotFinite { field: "a distribution's parameter" });
    }
    push_f64s(out, values);
    Ok(())
}

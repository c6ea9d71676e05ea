//! Distribution messages: what the monitor publishes.

use crate::bytes::Reader;
use crate::encode::{EncodeError, encode_frame};
use crate::header::FrameType;
use crate::sample::{push_named, read_named};
use crate::tree;
use crate::{MalformedReason, SigningIdentity};

/// The paper's `⟨distribution, d, Δ, ts⟩`, to be sent; `ts` is the frame's timestamp.
///
/// ```
/// use centauri_wire::*;
/// let body = DistributionBody { offset: 0.0, family: DistributionFamily::Normal { mean: 20.0, sd: 1.5 } };
/// let mut bytes = Vec::new();
/// let identity = KeyFile::generate([3; 32]).identity(NodeId(2));
/// Distribution { name: "room", body: &body }.encode(1_000, &identity, &mut bytes)?;
/// let frame = FrameView::parse(&bytes)?;
/// let MessageView::Distribution(read) = frame.message() else { panic!("a distribution was sent") };
/// assert_eq!((read.name, read.to_body()?), ("room", body));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distribution<'a> {
    /// The distribution's identifier, `d`: 1 to 64 bytes without control characters.
    pub name: &'a str,
    /// Type and parameters, `Δ`.
    pub body: &'a DistributionBody,
}

impl Distribution<'_> {
    /// Writes the signed frame into `out`, whose content it replaces.
    ///
    /// # Errors
    /// A name, number of bins, number of nodes or depth outside the limits, a number that is not finite,
    /// or a frame too long in all. `out` is empty then.
    pub fn encode(
        &self,
        timestamp_ns: i64,
        identity: &SigningIdentity,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        encode_frame(out, (FrameType::Distribution, None), timestamp_ns, identity, |out| {
            push_named(out, 0, self.name)?;
            tree::push(out, self.body)?;
            Ok(0)
        })
    }
}

/// A received distribution; its tree has been checked but not yet built.
#[derive(Debug, Clone, Copy)]
pub struct DistributionView<'a> {
    /// The distribution's identifier, `d`.
    pub name: &'a str,
    tree: Reader<'a>,
}

impl<'a> DistributionView<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, MalformedReason> {
        let mut reader = Reader::new(body);
        let (code, name) = read_named(&mut reader)?;
        if code != 0 {
            return Err(MalformedReason::ReservedNotZero { field: "the distribution's first byte" });
        }
        tree::check(reader)?;
        Ok(Self { name, tree: reader })
    }

    /// Builds the tree: at most 64 nodes, since the frame was parsed.
    ///
    /// # Errors
    /// None for a view that [`crate::FrameView::parse`] gave: it made the same checks.
    pub fn to_body(&self) -> Result<DistributionBody, MalformedReason> {
        tree::read(self.tree)
    }
}

/// A distribution as it is sent: a family and an offset added to the variable.
///
/// This is the shape only. Whether the parameters make a distribution (a positive scale, growing edges)
/// is for the engine to say when it builds one.
#[derive(Debug, Clone, PartialEq)]
pub struct DistributionBody {
    /// Added to the variable; 0 for none.
    pub offset: f64,
    /// The family and its parameters.
    pub family: DistributionFamily,
}

/// The fifteen families and their parameters, all finite.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are the families' parameters under their usual names")]
pub enum DistributionFamily {
    /// Normal: mean and standard deviation.
    Normal { mean: f64, sd: f64 },
    /// Lognormal: mean and standard deviation of the logarithm.
    Lognormal { mu: f64, sigma: f64 },
    /// Exponential by its mean.
    Exponential { mean: f64 },
    /// Gamma.
    Gamma { shape: f64, scale: f64 },
    /// Weibull.
    Weibull { shape: f64, scale: f64 },
    /// Uniform between two bounds.
    Uniform { low: f64, high: f64 },
    /// Laplace.
    Laplace { mean: f64, scale: f64 },
    /// Logistic.
    Logistic { mean: f64, scale: f64 },
    /// Student's t, located and scaled.
    StudentT { df: f64, mean: f64, scale: f64 },
    /// Poisson by its mean.
    Poisson { mean: f64 },
    /// Binomial; the number of trials is sent as a float like every parameter.
    Binomial { trials: f64, p: f64 },
    /// Failures before the first success.
    Geometric { p: f64 },
    /// Failures before the r-th success.
    NegativeBinomial { r: f64, p: f64 },
    /// A histogram: 1 to 512 counts between one edge more.
    Empirical { edges: Vec<f64>, counts: Vec<f64> },
    /// Weighted components; the weights need not sum to one.
    Mixture { components: Vec<(f64, DistributionBody)> },
}

//! What a model says, in plain words, and what is foolish in it although it is legal.

mod facts;
mod findings;
mod published;
mod words;

pub use facts::{ModelFacts, OutputFacts, PriorFacts, ReplicaKind, Spread};

use crate::error::ModelError;
use crate::fleet::Fleet;
use crate::spec::ModelSet;

/// What there is to say of a legal model set.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The different models, in the order of their first streams.
    pub models: Vec<CheckedModel>,
    /// What is foolish in what the streams share.
    pub findings: Vec<Finding>,
    /// Bytes held by the tables of all models together.
    pub table_bytes: usize,
}

impl Checked {
    /// All findings: those about the set, then those of each model.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().chain(self.models.iter().flat_map(|model| &model.findings))
    }
}

/// A model and the streams that share it.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedModel {
    /// The names of the streams, in the order of the model set; the first one's names of replicas are those told.
    pub streams: Vec<String>,
    /// What it says.
    pub facts: ModelFacts,
    /// What is foolish in it.
    pub findings: Vec<Finding>,
}

/// Something legal but foolish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The first stream of the model; empty for what is not in a stream.
    pub stream: String,
    /// The key below the stream, in the terms of the model file: `support.step`, `replica.north.link`.
    pub key: String,
    /// What it is about.
    pub kind: FindingKind,
    /// What was found and what it leads to.
    pub text: String,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal,)+) => {
        /// What a [`Finding`] is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FindingKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl FindingKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The name in the output of `centauri check --json`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    /// `posterior` with continuous noise: every quorum ties.
    PosteriorTies = "posterior_ties",
    /// `posterior` with `count`, `min` or `max`: whoever reports the extreme is believed.
    PosteriorExtreme = "posterior_extreme",
    /// At least half of the replicas may be faulty.
    FaultsHalf = "faults_half",
    /// Too many quorums for an exhaustive search by the objective.
    QuorumsMany = "quorums_many",
    /// A credible level that tells little, or nearly everything.
    CredibleExtreme = "credible_extreme",
    /// A faulty replica that nearly never, or nearly always, stays silent.
    SilenceExtreme = "silence_extreme",
    /// A support of one point.
    SupportSingle = "support_single",
    /// A grid coarser than the noise or the source.
    StepCoarse = "step_coarse",
    /// A noise wider than the support.
    NoiseWide = "noise_wide",
    /// A support of `count` that is not 0 to the number of messages.
    CountSupport = "count_support",
    /// A support that cuts off a share of the prior.
    PriorCut = "prior_cut",
    /// A prior that is nearly certain before anybody reports.
    PriorCertain = "prior_certain",
    /// A step of a following prior that nearly never leaves its bin, or mostly leaves the support.
    PriorStep = "prior_step",
    /// A following prior without leak, or with a large one.
    PriorLeak = "prior_leak",
    /// A link that is nearly never in time.
    LinkLate = "link_late",
    /// Replicas that are always missing.
    ReplicaSilent = "replica_silent",
    /// Rounds that mostly no replica reports for.
    ReportsFew = "reports_few",
    /// Source messages that are nearly never in time.
    MessagesLate = "messages_late",
    /// A replica's deadline before the last message is sent.
    DeadlineEarly = "deadline_early",
    /// A replica's own link or noise that is the common one.
    OverrideIdle = "override_idle",
    /// Tables that take much memory.
    TablesLarge = "tables_large",
    /// A published distribution that no stream uses.
    DistributionUnused = "distribution_unused",
    /// Two published distributions that are the same.
    DistributionDuplicate = "distribution_duplicate",
}

impl std::fmt::Display for FindingKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Compiles every stream of `set` and tells what its models say and what is foolish in them. Streams that say the same
/// are told once.
///
/// ```
/// use centauri_engine::*;
///
/// let spec = StreamSpec::builder("road/7", ["north", "middle", "south"])
///     .faults(1)
///     .objective(Objective::Posterior)
///     .support(Support::new(0.0, 1.0, 101)?)
///     .output(OutputSpec::identity(Distribution::normal(0.0, 2.0)?))
///     .build();
/// let checked = check(&ModelSet { streams: vec![spec], ..ModelSet::default() })?;
/// assert_eq!(checked.models[0].facts.quorums, Some(3));
/// assert_eq!(checked.models[0].findings[0].kind, FindingKind::PosteriorTies);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`Fleet::compile`].
pub fn check(set: &ModelSet) -> Result<Checked, ModelError> {
    let fleet = Fleet::compile(set)?;
    let mut streams_of: Vec<Vec<usize>> = vec![Vec::new(); fleet.models()];
    for (index, stream) in fleet.streams().iter().enumerate() {
        if let Some(streams) = streams_of.get_mut(stream.model().0 as usize) {
            streams.push(index);
        }
    }
    let mut models = Vec::with_capacity(fleet.models());
    for (streams, id) in streams_of.iter().zip(0..) {
        let first = streams.first().and_then(|&index| set.streams.get(index));
        let (Some(spec), Some(model)) = (first, fleet.model(crate::fleet::ModelId(id))) else { continue };
        let in_stream = |error: ModelError| error.in_stream(&spec.name);
        let facts = facts::of(spec, model, &set.distributions).map_err(in_stream)?;
        let findings = findings::of(spec, model, &facts, &set.distributions).map_err(in_stream)?;
        let names = streams.iter().filter_map(|&index| set.streams.get(index)).map(|s| s.name.clone());
        models.push(CheckedModel { streams: names.collect(), facts, findings });
    }
    Ok(Checked { models, findings: published::findings(set), table_bytes: fleet.table_bytes() })
}

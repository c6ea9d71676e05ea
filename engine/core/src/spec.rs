//! What a person or the monitor says about streams, before it is compiled.

use crate::dist::Distribution;
use crate::groups::FaultGroup;
use crate::limits::{CREDIBLE_DEFAULT, LEAK_DEFAULT, SILENCE_DEFAULT};
use crate::support::Support;
use std::collections::BTreeMap;

/// Everything that is known of a fleet: distributions by name, and its logical streams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelSet {
    /// What the monitor publishes, by name.
    pub distributions: BTreeMap<String, Distribution>,
    /// The logical streams. Names are unique.
    pub streams: Vec<StreamSpec>,
}

/// A distribution, said where it is used or named in [`ModelSet::distributions`].
#[derive(Clone, Debug, PartialEq)]
pub enum DistributionRef {
    /// The name of a published distribution.
    Named(String),
    /// A distribution of its own.
    Inline(Distribution),
}

impl From<Distribution> for DistributionRef {
    fn from(distribution: Distribution) -> Self {
        Self::Inline(distribution)
    }
}

impl From<&str> for DistributionRef {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

/// How the decided value and its quorum are chosen.
///
/// With `score(q, x) = ln P(x) + Σ_{i∈q} L_i(x) + Σ_{i∉q} ln u_i` and `evidence(q) = ln Σ_x exp score(q, x)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Objective {
    /// argmax over value and quorum of P(x given q): Definition 2.1 of the paper, to the letter.
    Posterior,
    /// argmax over value and quorum of `score`.
    Joint,
    /// The quorum of the largest evidence, then its most probable value.
    Evidence,
    /// No single quorum is trusted: the number of faulty replicas is uniform on 0 … f, and which ones too.
    #[default]
    Marginal,
    /// As `Marginal`, but liars lie where it pays and may say the same, and replicas that make the same window of messages
    /// do not count as so many independent ones.
    Coalition,
}

impl Objective {
    /// All objectives, in the order of their definition.
    pub const ALL: [Self; 5] =
        [Self::Posterior, Self::Joint, Self::Evidence, Self::Marginal, Self::Coalition];

    /// The name in model files and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Posterior => "posterior",
            Self::Joint => "joint",
            Self::Evidence => "evidence",
            Self::Marginal => "marginal",
            Self::Coalition => "coalition",
        }
    }
}

impl std::fmt::Display for Objective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Objective {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|o| o.name() == text).ok_or_else(|| {
            format!("found {text:?}, expected posterior, joint, evidence, marginal or coalition")
        })
    }
}

/// One logical stream: its replica set and how an honest replica's output arises.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSpec {
    /// The stream's name.
    pub name: String,
    /// The replica set, 1 … 128 replicas of different names; their order breaks ties.
    pub replicas: Vec<ReplicaSpec>,
    /// At most so many replicas lie; with `groups` so many units, that is groups and replicas of no group. Below the number of
    /// these.
    pub faults: usize,
    /// Replicas that fail together. One that is named in none is a unit of its own.
    pub groups: Vec<FaultGroup>,
    /// How value and quorum are chosen.
    pub objective: Objective,
    /// Level of the credible interval, in (0, 1).
    pub credible: f64,
    /// Probability that a faulty replica stays silent, in (0, 1).
    pub silence: f64,
    /// The grid of the ideal output.
    pub support: Support,
    /// What is known of the ideal output before anybody reports.
    pub prior: PriorSpec,
    /// The computation, its window and its noise.
    pub output: OutputSpec,
    /// The link from the replicas to the client; `None` never loses a message.
    pub link: Option<Link>,
}

impl StreamSpec {
    /// A builder with the defaults of the model file: no faults, `marginal`, a uniform prior, no loss.
    pub fn builder<N: Into<String>>(
        name: impl Into<String>,
        replicas: impl IntoIterator<Item = N>,
    ) -> StreamSpecBuilder {
        StreamSpecBuilder {
            spec: Self {
                name: name.into(),
                replicas: replicas.into_iter().map(|n| ReplicaSpec::new(n)).collect(),
                faults: 0,
                groups: Vec::new(),
                objective: Objective::default(),
                credible: CREDIBLE_DEFAULT,
                silence: SILENCE_DEFAULT,
                support: Support::new(0.0, 1.0, 1).expect("one point is a support"),
                prior: PriorSpec::Uniform,
                output: OutputSpec::new(Computation::Count),
                link: None,
            },
        }
    }

    /// The names of the published distributions that the stream refers to, in the order of their use.
    pub fn names_used(&self) -> impl Iterator<Item = &str> {
        let prior = match &self.prior {
            PriorSpec::Uniform => [None, None],
            PriorSpec::Fixed(d) => [Some(d), None],
            PriorSpec::Following { step, initial, .. } => [Some(step), initial.as_ref()],
        };
        let output = [&self.output.arrival, &self.output.source, &self.output.noise].map(Option::as_ref);
        let links = std::iter::once(&self.link)
            .chain(self.replicas.iter().map(|r| &r.link))
            .map(|l| l.as_ref().and_then(Link::arrival));
        let noises = self.replicas.iter().map(|r| r.noise.as_ref());
        prior.into_iter().chain(output).chain(links).chain(noises).flatten().filter_map(|d| match d {
            DistributionRef::Named(name) => Some(name.as_str()),
            DistributionRef::Inline(_) => None,
        })
    }
}

/// Builds a [`StreamSpec`]; nothing is checked before it is compiled.
#[derive(Clone, Debug)]
pub struct StreamSpecBuilder {
    spec: StreamSpec,
}

impl StreamSpecBuilder {
    /// At most so many replicas (or fault groups) lie.
    #[must_use]
    pub fn faults(mut self, faults: usize) -> Self {
        self.spec.faults = faults;
        self
    }

    /// Adds a fault group: the replicas at `members`, which count in the order of the names given to the builder, fail
    /// together.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>, members: impl IntoIterator<Item = usize>) -> Self {
        let members = members.into_iter().collect();
        self.spec.groups.push(FaultGroup { name: name.into(), members });
        self
    }

    /// How value and quorum are chosen.
    #[must_use]
    pub fn objective(mut self, objective: Objective) -> Self {
        self.spec.objective = objective;
        self
    }

    /// Level of the credible interval.
    #[must_use]
    pub fn credible(mut self, credible: f64) -> Self {
        self.spec.credible = credible;
        self
    }

    /// Probability that a faulty replica stays silent.
    #[must_use]
    pub fn silence(mut self, silence: f64) -> Self {
        self.spec.silence = silence;
        self
    }

    /// The grid of the ideal output.
    #[must_use]
    pub fn support(mut self, support: Support) -> Self {
        self.spec.support = support;
        self
    }

    /// What is known of the ideal output before anybody reports.
    #[must_use]
    pub fn prior(mut self, prior: PriorSpec) -> Self {
        self.spec.prior = prior;
        self
    }

    /// The computation, its window and its noise.
    #[must_use]
    pub fn output(mut self, output: OutputSpec) -> Self {
        self.spec.output = output;
        self
    }

    /// The link from the replicas to the client.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.spec.link = Some(link);
        self
    }

    /// A replica's own link or noise; `position` counts in the order of the names given to the builder, and a
    /// position beyond them is ignored.
    #[must_use]
    pub fn replica(mut self, position: usize, link: Option<Link>, noise: Option<DistributionRef>) -> Self {
        if let Some(replica) = self.spec.replicas.get_mut(position) {
            replica.link = link;
            replica.noise = noise;
        }
        self
    }

    /// The specification as it was put together.
    #[must_use]
    pub fn build(self) -> StreamSpec {
        self.spec
    }
}

/// A replica and what sets it apart from the others of its set.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaSpec {
    /// Its name, unique in the set.
    pub name: String,
    /// Its own link, where it differs from the stream's.
    pub link: Option<Link>,
    /// Its own noise, where it differs from the output's.
    pub noise: Option<DistributionRef>,
}

impl ReplicaSpec {
    /// A replica like the others.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), link: None, noise: None }
    }
}

/// The prior of the ideal output.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum PriorSpec {
    /// Every grid point is equally likely.
    #[default]
    Uniform,
    /// The masses of the grid's bins under a distribution.
    Fixed(DistributionRef),
    /// The previous round's distribution, moved by `step` once for each round that has passed.
    Following {
        /// Distribution of the move from one round to the next.
        step: DistributionRef,
        /// Prior of the first round; `None` is uniform.
        initial: Option<DistributionRef>,
        /// Share of the mass that is spread evenly after each move, in [0, 1].
        leak: f64,
    },
}

impl PriorSpec {
    /// A prior that follows the stream, from a uniform first round, with the default leak of 1e-6.
    pub fn following(step: impl Into<DistributionRef>) -> Self {
        Self::Following { step: step.into(), initial: None, leak: LEAK_DEFAULT }
    }
}

/// What the replicas compute on a window of source messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Computation {
    /// The replica reports the value itself, with its own noise.
    Identity,
    /// Number of successes among the messages.
    Count,
    /// Sum of the readings.
    Sum,
    /// Mean of the readings that arrived.
    Mean,
    /// The newest reading that arrived.
    Last,
    /// The smallest reading that arrived.
    Min,
    /// The largest reading that arrived.
    Max,
}

impl Computation {
    /// All computations.
    pub const ALL: [Self; 7] =
        [Self::Identity, Self::Count, Self::Sum, Self::Mean, Self::Last, Self::Min, Self::Max];

    /// The name in model files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Last => "last",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

impl std::fmt::Display for Computation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Computation {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|c| c.name() == text)
            .ok_or_else(|| format!("found {text:?}, expected identity, count, sum, mean, last, min or max"))
    }
}

/// How an honest replica's output arises.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSpec {
    /// What is computed.
    pub computation: Computation,
    /// Emission offsets of the window's source messages, in seconds after the window opens. Not used by `identity`.
    pub messages: Vec<f64>,
    /// Latency from source to replica, in seconds; `None`: a message arrives unless its offset is past the deadline.
    pub arrival: Option<DistributionRef>,
    /// The replica's deadline, in seconds after the window opens; `None` (without `arrival`): every message arrives.
    pub deadline: Option<f64>,
    /// Distribution of one reading (`sum`, `mean`, `min`, `max`) or of one step between readings (`last`).
    pub source: Option<DistributionRef>,
    /// A replica's own measurement noise.
    pub noise: Option<DistributionRef>,
}

impl OutputSpec {
    /// A computation without messages, noise or source, to be filled in.
    #[must_use]
    pub fn new(computation: Computation) -> Self {
        Self { computation, messages: Vec::new(), arrival: None, deadline: None, source: None, noise: None }
    }

    /// The replica reports the value itself with `noise`.
    pub fn identity(noise: impl Into<DistributionRef>) -> Self {
        Self { noise: Some(noise.into()), ..Self::new(Computation::Identity) }
    }
}

/// A link from a replica to the client: whether a message comes in time.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// The message's latency, and the time after sending at which the client closes the round, in seconds.
    Latency {
        /// Distribution of the latency.
        arrival: DistributionRef,
        /// The client's deadline, after the replica sent.
        deadline: f64,
    },
    /// The probability of being in time, said outright.
    OnTime(f64),
}

impl Link {
    fn arrival(&self) -> Option<&DistributionRef> {
        match self {
            Self::Latency { arrival, .. } => Some(arrival),
            Self::OnTime(_) => None,
        }
    }
}

//! From what is said of a stream to tables: everything that need not be done for each round.

use crate::arrivals::Arrivals;
use crate::coalition::{Lies, Speaks};
use crate::correlation::{Window, correlation};
use crate::decision::Quorum;
use crate::dist::Distribution;
use crate::error::{ModelError, problem};
use crate::groups;
use crate::honest::{Count, Extreme, Honest, Noise, Side, Sum, Translated};
use crate::limits::{COUNT_MESSAGES_MAX, MESSAGES_MAX, REPLICAS_MAX};
use crate::observation::Observation;
use crate::prior::{Following, ln_masses};
use crate::spec::{Computation, DistributionRef, Link, Objective, OutputSpec, PriorSpec, StreamSpec};
use crate::support::Support;
use crate::table::{OnTime, Table};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A model as tables of log-likelihoods, shared by all streams that say the same.
#[derive(Clone, Debug)]
pub struct CompiledModel {
    support: Support,
    faults: usize,
    /// The units of fault where one of them has more than one replica.
    units: Option<Vec<Quorum>>,
    objective: Objective,
    credible: f64,
    ln_silent: f64,
    ln_spoke: f64,
    ln_prior: Vec<f64>,
    following: Option<Following>,
    tables: Vec<Table>,
    table_of: Vec<u8>,
    correlation: f64,
    echoes: bool,
    /// Of each table, made when a decision first asks for them.
    lies: OnceLock<Vec<Lies>>,
}

impl CompiledModel {
    /// Compiles `spec`, whose names of distributions are looked up in `published`.
    ///
    /// # Errors
    /// Anything in which the specification contradicts `docs/NUMERICS.md`; the error names the key.
    pub fn new(spec: &StreamSpec, published: &BTreeMap<String, Distribution>) -> Result<Self, ModelError> {
        let lookup = Lookup(published);
        check_replicas(spec)?;
        let open = |key: &str, p: f64| {
            let inside = p > 0.0 && p < 1.0;
            if inside {
                Ok(())
            } else {
                Err(problem(key, format!("found {p}, expected a number between 0 and 1")))
            }
        };
        open("credible", spec.credible)?;
        open("silence", spec.silence)?;
        let (ln_prior, following) = prior(spec, &lookup)?;
        let (tables, table_of) = tables(spec, &lookup)?;
        let correlation = correlated(spec, &lookup, &ln_prior, &tables, &table_of)?;
        Ok(Self {
            support: spec.support,
            faults: spec.faults,
            units: groups::grouped(spec)?,
            objective: spec.objective,
            credible: spec.credible,
            ln_silent: spec.silence.ln(),
            ln_spoke: (-spec.silence).ln_1p() - (spec.support.points() as f64).ln(),
            ln_prior,
            following,
            tables,
            table_of,
            correlation,
            echoes: spec.output.computation == Computation::Identity,
            lies: OnceLock::new(),
        })
    }

    /// The grid of the ideal output.
    #[must_use]
    pub fn support(&self) -> &Support {
        &self.support
    }

    /// The number of replicas.
    #[must_use]
    pub fn replicas(&self) -> usize {
        self.table_of.len()
    }

    /// At most so many units lie, that is replicas, or fault groups where there are any.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.faults
    }

    /// The units of fault where one of them has more than one replica.
    pub(crate) fn grouped_units(&self) -> Option<&[Quorum]> {
        self.units.as_deref()
    }

    /// How value and quorum are chosen.
    #[must_use]
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// Level of the credible interval.
    #[must_use]
    pub fn credible(&self) -> f64 {
        self.credible
    }

    /// Natural log-prior over the support of a round without a predecessor.
    #[must_use]
    pub fn ln_prior(&self) -> &[f64] {
        &self.ln_prior
    }

    /// Whether each round's prior is made from the round before.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.following.is_some()
    }

    /// Writes `L_i(x) = ln P(observation | X = x)` of the replica at `position` for every grid point into `row`.
    ///
    /// # Panics
    /// Where there is no such replica, or `row` is not as long as the support.
    pub fn likelihood(&self, position: usize, observation: Observation, row: &mut [f64]) {
        assert_eq!(row.len(), self.support.points(), "a row has a cell for each point of the support");
        self.tables[usize::from(self.table_of[position])].likelihood(observation, row);
    }

    /// `ln u`: the log-probability that a faulty replica shows this, the same for every `x`.
    #[must_use]
    pub fn ln_faulty(&self, observation: Observation) -> f64 {
        match observation {
            Observation::Missing => self.ln_silent,
            Observation::Bin(_) | Observation::Equivocated => self.ln_spoke,
        }
    }

    /// Mean and standard deviation of what an honest replica at `position` reports, if it reports, when the ideal output is
    /// grid point `point`. `None` for `min` and `max`, where there is no finite one, and beyond replicas and points.
    #[must_use]
    pub fn expected_report(&self, position: usize, point: usize) -> Option<(f64, f64)> {
        let table = self.tables.get(usize::from(*self.table_of.get(position)?))?;
        if point < self.support.points() { table.moments(&self.support, point) } else { None }
    }

    /// Correlation ρ of two honest reports given X, in [0, 1]: 0 for `identity`, whose replicas err each on their own, and above
    /// 0 where they make the same window of messages (`docs/NUMERICS.md`, section "The coalition model").
    #[must_use]
    pub fn correlation(&self) -> f64 {
        self.correlation
    }

    /// Whether liars who say the same are told from honest replicas that do, as `coalition` does where honest replicas err each
    /// on their own: for `identity`.
    #[must_use]
    pub fn echoes(&self) -> bool {
        self.echoes
    }

    /// Writes `ln c(x)`, the log-probability that a faulty replica at `position` shows this when it lies on its own and the
    /// ideal output is x, for every grid point into `row`. It is what `coalition` has in place of [`Self::ln_faulty`]; for a
    /// missing message they are the same.
    ///
    /// # Panics
    /// Where there is no such replica, or `row` is not as long as the support.
    pub fn lie(&self, position: usize, observation: Observation, row: &mut [f64]) {
        assert_eq!(row.len(), self.support.points(), "a row has a cell for each point of the support");
        self.lies()[usize::from(self.table_of[position])].lie(&self.support, observation, row);
    }

    /// The log-probability that a faulty replica at `position` that echoes another's report says what lies `distance` bins
    /// away from it.
    ///
    /// # Panics
    /// Where there is no such replica.
    #[must_use]
    pub fn ln_echo(&self, position: usize, distance: i64) -> f64 {
        self.lies()[usize::from(self.table_of[position])].ln_echo(&self.support, distance)
    }

    fn lies(&self) -> &[Lies] {
        let speaks = Speaks { ln_silent: self.ln_silent, ln_flat: self.ln_spoke };
        self.lies.get_or_init(|| self.tables.iter().map(|t| Lies::new(t, &self.support, speaks)).collect())
    }

    /// Bytes held by the model's tables, those of `coalition` where they were made.
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        let lies = self.lies.get().map_or(0, |lies| lies.iter().map(Lies::bytes).sum());
        self.tables.iter().map(Table::bytes).sum::<usize>() + self.ln_prior.len() * size_of::<f64>() + lies
    }

    /// The tables, one for each pair of link and noise that occurs.
    pub(crate) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Which of [`Self::tables`] each replica has.
    pub(crate) fn table_of(&self) -> &[u8] {
        &self.table_of
    }

    /// Moves a following prior on by `rounds` rounds; one that does not follow stays as it is.
    pub(crate) fn advance(&self, ln_prior: &mut Vec<f64>, rounds: u64) {
        if let Some(following) = &self.following {
            following.advance(ln_prior, rounds);
        }
    }
}

/// Resolves names of distributions.
pub(crate) struct Lookup<'a>(pub(crate) &'a BTreeMap<String, Distribution>);

impl<'a> Lookup<'a> {
    pub(crate) fn get(
        &self,
        key: &str,
        reference: &'a DistributionRef,
    ) -> Result<&'a Distribution, ModelError> {
        match reference {
            DistributionRef::Inline(distribution) => Ok(distribution),
            DistributionRef::Named(name) => self.0.get(name).ok_or_else(|| {
                let known = self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                let known =
                    if known.is_empty() { "there are none".to_owned() } else { format!("one of {known}") };
                problem(key, format!("found {name:?}, expected the name of a distribution ({known})"))
            }),
        }
    }

    pub(crate) fn optional(
        &self,
        key: &str,
        reference: Option<&'a DistributionRef>,
    ) -> Result<Option<&'a Distribution>, ModelError> {
        reference.map(|r| self.get(key, r)).transpose()
    }
}

pub(crate) fn check_replicas(spec: &StreamSpec) -> Result<(), ModelError> {
    let n = spec.replicas.len();
    if n == 0 || n > REPLICAS_MAX {
        return Err(problem("replicas", format!("found {n} replicas, expected 1 to {REPLICAS_MAX}")));
    }
    if spec.faults >= n {
        let found = spec.faults;
        return Err(problem(
            "faults",
            format!("found {found}, expected less than the number of replicas, {n}"),
        ));
    }
    let mut names: Vec<&str> = spec.replicas.iter().map(|r| r.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(problem("replicas", format!("found {:?} twice, expected different names", pair[0])));
    }
    groups::grouped(spec).map(drop)
}

fn prior(spec: &StreamSpec, lookup: &Lookup<'_>) -> Result<(Vec<f64>, Option<Following>), ModelError> {
    match &spec.prior {
        PriorSpec::Uniform => Ok((ln_masses("prior", None, &spec.support)?, None)),
        PriorSpec::Fixed(reference) => {
            let distribution = lookup.get("prior", reference)?;
            Ok((ln_masses("prior", Some(distribution), &spec.support)?, None))
        }
        PriorSpec::Following { step, initial, leak } => {
            if !(0.0..=1.0).contains(leak) {
                return Err(problem("prior.leak", format!("found {leak}, expected a probability")));
            }
            let initial = lookup.optional("prior.initial", initial.as_ref())?;
            let step = lookup.get("prior.step", step)?;
            let following = Following::new(step, *leak, &spec.support)?;
            Ok((ln_masses("prior.initial", initial, &spec.support)?, Some(following)))
        }
    }
}

/// One table for each pair of link and noise that occurs, and which of them each replica has.
fn tables(spec: &StreamSpec, lookup: &Lookup<'_>) -> Result<(Vec<Table>, Vec<u8>), ModelError> {
    let arrivals = arrivals(&spec.output, lookup)?;
    let mut kinds: Vec<(Option<&Link>, Option<&DistributionRef>)> = Vec::new();
    let mut tables = Vec::new();
    let mut table_of = Vec::with_capacity(spec.replicas.len());
    for replica in &spec.replicas {
        let link = replica.link.as_ref().or(spec.link.as_ref());
        let noise = replica.noise.as_ref().or(spec.output.noise.as_ref());
        let known = kinds.iter().position(|&kind| kind == (link, noise));
        let index = match known {
            Some(index) => index,
            None => {
                let noise_key = own_key(&replica.name, "noise", replica.noise.is_some(), "output.noise");
                let link_key = own_key(&replica.name, "link", replica.link.is_some(), "link");
                let on_time = on_time(&link_key, link, lookup)?;
                let noise_distribution = lookup.optional(&noise_key, noise)?;
                let (honest, ln_nothing) = honest(spec, &arrivals, &noise_key, noise_distribution, lookup)?;
                tables.push(Table::new(honest, ln_nothing, on_time, spec.support.points()));
                kinds.push((link, noise));
                tables.len() - 1
            }
        };
        table_of.push(index as u8);
    }
    Ok((tables, table_of))
}

/// Correlation of two honest reports given X.
fn correlated(
    spec: &StreamSpec,
    lookup: &Lookup<'_>,
    ln_prior: &[f64],
    tables: &[Table],
    table_of: &[u8],
) -> Result<f64, ModelError> {
    let source = lookup.optional("output.source", spec.output.source.as_ref())?;
    let window = Window {
        arrivals: &arrivals(&spec.output, lookup)?,
        source_variance: source.map_or(0.0, Distribution::variance),
        support: &spec.support,
        ln_prior,
        tables: table_of.iter().map(|&index| &tables[usize::from(index)]).collect(),
    };
    Ok(correlation(spec.output.computation, &window))
}

pub(crate) fn own_key(replica: &str, what: &str, own: bool, common: &str) -> String {
    if own { format!("replica.{replica}.{what}") } else { common.to_owned() }
}

pub(crate) fn arrivals(output: &OutputSpec, lookup: &Lookup<'_>) -> Result<Arrivals, ModelError> {
    if output.computation == Computation::Identity {
        return Ok(Arrivals::new(&[], None, None));
    }
    let most = if output.computation == Computation::Count { COUNT_MESSAGES_MAX } else { MESSAGES_MAX };
    let found = output.messages.len();
    if found == 0 || found > most {
        return Err(problem("output.messages", format!("found {found} messages, expected 1 to {most}")));
    }
    if let Some(offset) = output.messages.iter().find(|t| !t.is_finite()) {
        return Err(problem(
            "output.messages",
            format!("found {offset}, expected finite offsets in seconds"),
        ));
    }
    if let Some(deadline) = output.deadline.filter(|d| !d.is_finite()) {
        return Err(problem("output.deadline", format!("found {deadline}, expected finite seconds")));
    }
    if output.arrival.is_some() && output.deadline.is_none() {
        return Err(problem(
            "output.deadline",
            "found none, expected the replica's deadline where `arrival` is given",
        ));
    }
    let latency = lookup.optional("output.arrival", output.arrival.as_ref())?;
    Ok(Arrivals::new(&output.messages, latency, output.deadline))
}

pub(crate) fn on_time(key: &str, link: Option<&Link>, lookup: &Lookup<'_>) -> Result<OnTime, ModelError> {
    match link {
        None => Ok(OnTime { p: 1.0, ln: 0.0 }),
        Some(Link::OnTime(p)) if (0.0..=1.0).contains(p) => Ok(OnTime { p: *p, ln: p.ln() }),
        Some(Link::OnTime(p)) => {
            Err(problem(format!("{key}.on_time"), format!("found {p}, expected a probability")))
        }
        Some(Link::Latency { arrival, deadline }) => {
            if !deadline.is_finite() {
                let found = format!("found {deadline}, expected finite seconds");
                return Err(problem(format!("{key}.deadline"), found));
            }
            let latency = lookup.get(&format!("{key}.arrival"), arrival)?;
            Ok(OnTime { p: latency.cdf(*deadline), ln: latency.ln_cdf(*deadline) })
        }
    }
}

/// The honest model, and the log-probability that such a replica has nothing to report.
fn honest(
    spec: &StreamSpec,
    arrivals: &Arrivals,
    noise_key: &str,
    noise: Option<&Distribution>,
    lookup: &Lookup<'_>,
) -> Result<(Honest, f64), ModelError> {
    let (support, computation) = (spec.support, spec.output.computation);
    let source = lookup.optional("output.source", spec.output.source.as_ref())?;
    let always = f64::NEG_INFINITY;
    match computation {
        Computation::Identity => {
            let noise =
                noise.ok_or_else(|| problem(noise_key, "found none, expected a noise for `identity`"))?;
            Ok((Honest::Translated(Translated::identity(support.step(), noise)), always))
        }
        Computation::Count => {
            no_noise(noise_key, noise, computation)?;
            if support.step() != 1.0 {
                let found = format!("found {}, expected 1 for `count`", support.step());
                return Err(problem("support.step", found));
            }
            Ok((Honest::Count(Count::new(support, arrivals)), always))
        }
        Computation::Min | Computation::Max => {
            no_noise(noise_key, noise, computation)?;
            let source = required(source, computation)?;
            if !source.is_continuous() {
                let found = format!("found {}, expected a continuous distribution", source.name());
                return Err(problem("output.source", format!("{found} for `{computation}`")));
            }
            let side = if computation == Computation::Min { Side::Min } else { Side::Max };
            Ok((Honest::Extreme(Extreme::new(support, side, arrivals, source.clone())), arrivals.ln_none()))
        }
        Computation::Sum | Computation::Mean | Computation::Last => {
            let variance = finite_variance("output.source", required(source, computation)?, arrivals.len())?;
            if let Some(noise) = noise {
                finite_variance(noise_key, noise, 1)?;
            }
            let noise = Noise::of(noise);
            let step = support.step();
            Ok(match computation {
                Computation::Sum => (Honest::Sum(Sum::new(support, arrivals, variance, noise)), always),
                Computation::Mean => (
                    Honest::Translated(Translated::mean(step, arrivals, variance, noise)),
                    arrivals.ln_none(),
                ),
                _ => (
                    Honest::Translated(Translated::last(step, arrivals, variance, noise)),
                    arrivals.ln_none(),
                ),
            })
        }
    }
}

fn required(source: Option<&Distribution>, computation: Computation) -> Result<&Distribution, ModelError> {
    source
        .ok_or_else(|| problem("output.source", format!("found none, expected a source for `{computation}`")))
}

fn no_noise(key: &str, noise: Option<&Distribution>, computation: Computation) -> Result<(), ModelError> {
    match noise {
        None => Ok(()),
        Some(_) => Err(problem(key, format!("found a noise, expected none for `{computation}`"))),
    }
}

/// The variance of `distribution`, finite even `times` over, and its mean finite too.
fn finite_variance(key: &str, distribution: &Distribution, times: usize) -> Result<f64, ModelError> {
    let variance = distribution.variance();
    if (variance * times as f64).is_finite() && distribution.mean().is_finite() {
        Ok(variance)
    } else {
        let name = distribution.name();
        Err(problem(key, format!("found a {name} of infinite variance, expected a finite one")))
    }
}

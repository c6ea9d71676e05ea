//! Streams and the compiled models they share.

use crate::compile::CompiledModel;
use crate::dist::Distribution;
use crate::error::{ModelError, problem};
use crate::groups::FaultGroup;
use crate::spec::{ModelSet, ReplicaSpec, StreamSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stream of a [`Fleet`], by its place in the model set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A compiled model of a [`Fleet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId(pub u32);

/// A logical stream: its name, its replicas' names, and which model it has.
#[derive(Clone, Debug)]
pub struct Stream {
    name: Box<str>,
    replicas: Arc<[String]>,
    model: ModelId,
}

impl Stream {
    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The replicas' names, in the order of the model.
    #[must_use]
    pub fn replicas(&self) -> &[String] {
        &self.replicas
    }

    /// The replicas' names, to be kept: streams of the same replica set share them.
    #[must_use]
    pub fn shared_replicas(&self) -> &Arc<[String]> {
        &self.replicas
    }

    /// The stream's model.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.model
    }
}

/// All streams with their compiled models. Streams that say the same share one model: a stream of its own costs its
/// name and a few bytes.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// Shared by all fleets that differ in their models only.
    streams: Arc<Vec<Stream>>,
    by_name: Arc<Vec<StreamId>>,
    models: Vec<Shared>,
    published: BTreeMap<String, Distribution>,
}

/// A compiled model with what it was compiled from (without names of streams and replicas).
#[derive(Clone, Debug)]
struct Shared {
    spec: Arc<StreamSpec>,
    compiled: Arc<CompiledModel>,
}

impl Fleet {
    /// Compiles every stream of `set`.
    ///
    /// # Errors
    /// The first stream that cannot be compiled, by name, key and what was expected; two streams of one name.
    pub fn compile(set: &ModelSet) -> Result<Self, ModelError> {
        let mut fleet = Self { published: set.distributions.clone(), ..Self::default() };
        let mut model_of: BTreeMap<String, ModelId> = BTreeMap::new();
        let mut replica_sets: BTreeMap<Vec<&str>, Arc<[String]>> = BTreeMap::new();
        let mut streams = Vec::with_capacity(set.streams.len());
        for spec in &set.streams {
            let anonymous = anonymous(spec);
            // The debug form says every field, floats to the last bit: equal forms are equal models.
            let form = format!("{anonymous:?}");
            let model = match model_of.get(&form) {
                Some(&model) => {
                    unique_replicas(spec)?;
                    model
                }
                None => {
                    let compiled = CompiledModel::new(spec, &set.distributions);
                    let compiled = Arc::new(compiled.map_err(|e| e.in_stream(&spec.name))?);
                    fleet.models.push(Shared { spec: Arc::new(anonymous), compiled });
                    let model = ModelId(fleet.models.len() as u32 - 1);
                    model_of.insert(form, model);
                    model
                }
            };
            let names: Vec<&str> = spec.replicas.iter().map(|r| r.name.as_str()).collect();
            let replicas = replica_sets
                .entry(names)
                .or_insert_with(|| spec.replicas.iter().map(|r| r.name.clone()).collect());
            streams.push(Stream { name: spec.name.as_str().into(), replicas: replicas.clone(), model });
        }
        fleet.by_name = Arc::new(index(&streams)?);
        fleet.streams = Arc::new(streams);
        Ok(fleet)
    }

    /// The same fleet after the monitor has published `distributions`: only the models that name one of them are
    /// compiled anew, the others stay shared. Streams keep their ids. Names that no stream uses are remembered.
    ///
    /// # Errors
    /// A model that cannot be compiled with them. This fleet is as it was.
    pub fn published(&self, distributions: &BTreeMap<String, Distribution>) -> Result<Self, ModelError> {
        let mut fleet = self.clone();
        fleet.published.extend(distributions.iter().map(|(name, d)| (name.clone(), d.clone())));
        for (index, shared) in fleet.models.iter_mut().enumerate() {
            if shared.spec.names_used().any(|name| distributions.contains_key(name)) {
                let first =
                    self.streams.iter().find(|s| s.model.0 as usize == index).map_or("", Stream::name);
                let compiled = CompiledModel::new(&shared.spec, &fleet.published);
                shared.compiled = Arc::new(compiled.map_err(|e| e.in_stream(first))?);
            }
        }
        Ok(fleet)
    }

    /// The stream called `name`.
    #[must_use]
    pub fn stream_id(&self, name: &str) -> Option<StreamId> {
        let found = self.by_name.binary_search_by(|id| (*self.streams[id.0 as usize].name).cmp(name));
        found.ok().map(|at| self.by_name[at])
    }

    /// The stream of this id.
    #[must_use]
    pub fn stream(&self, id: StreamId) -> Option<&Stream> {
        self.streams.get(id.0 as usize)
    }

    /// All streams, in the order of the model set.
    #[must_use]
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The compiled model of this id.
    #[must_use]
    pub fn model(&self, id: ModelId) -> Option<&CompiledModel> {
        self.models.get(id.0 as usize).map(|shared| &*shared.compiled)
    }

    /// The compiled model of this id, to be kept: a model that a later fleet still shares is the same allocation, one that
    /// was compiled anew is another. What a backend derives from a model it can thus keep for as long as the model lasts.
    #[must_use]
    pub fn shared_model(&self, id: ModelId) -> Option<&Arc<CompiledModel>> {
        self.models.get(id.0 as usize).map(|shared| &shared.compiled)
    }

    /// The number of different models.
    #[must_use]
    pub fn models(&self) -> usize {
        self.models.len()
    }

    /// The distributions as they were last published.
    #[must_use]
    pub fn distributions(&self) -> &BTreeMap<String, Distribution> {
        &self.published
    }

    /// Bytes held by the tables of all models together.
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        self.models.iter().map(|shared| shared.compiled.table_bytes()).sum()
    }
}

/// The streams in the order of their names, which must differ.
fn index(streams: &[Stream]) -> Result<Vec<StreamId>, ModelError> {
    let name = |id: &StreamId| &streams[id.0 as usize].name;
    let mut by_name: Vec<StreamId> = (0..streams.len() as u32).map(StreamId).collect();
    by_name.sort_by(|a, b| name(a).cmp(name(b)));
    match by_name.windows(2).find(|pair| name(&pair[0]) == name(&pair[1])) {
        Some(pair) => Err(problem("name", "found twice, expected different names").in_stream(name(&pair[0]))),
        None => Ok(by_name),
    }
}

/// The specification without the names that make no difference to its tables. A replica's name counts only as the
/// place of its own link and noise, which stay.
fn anonymous(spec: &StreamSpec) -> StreamSpec {
    let replica =
        |(position, r): (usize, &ReplicaSpec)| ReplicaSpec { name: position.to_string(), ..r.clone() };
    let group =
        |(number, group): (usize, &FaultGroup)| FaultGroup { name: number.to_string(), ..group.clone() };
    StreamSpec {
        name: String::new(),
        groups: spec.groups.iter().enumerate().map(group).collect(),
        replicas: spec.replicas.iter().enumerate().map(replica).collect(),
        ..spec.clone()
    }
}

fn unique_replicas(spec: &StreamSpec) -> Result<(), ModelError> {
    crate::compile::check_replicas(spec).map_err(|e| e.in_stream(&spec.name))
}

//! `GET /replicas`: what is thought of the replicas.

use super::api::Json;
use super::site::Site;
use super::tally::Tally;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// A replica over all its streams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReplicaHealth {
    /// Its name in the registry.
    name: String,
    /// The worst of its states: `healthy`, `recovering`, `suspect` or `faulty`.
    state: String,
    /// On how many streams it is in each state.
    streams: StreamStates,
}

/// Numbers of streams by a replica's state on them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct StreamStates {
    healthy: u32,
    recovering: u32,
    suspect: u32,
    faulty: u32,
}

impl StreamStates {
    fn add(&mut self, other: Self) {
        self.healthy = self.healthy.saturating_add(other.healthy);
        self.recovering = self.recovering.saturating_add(other.recovering);
        self.suspect = self.suspect.saturating_add(other.suspect);
        self.faulty = self.faulty.saturating_add(other.faulty);
    }

    fn worst(self) -> &'static str {
        match self {
            Self { faulty: 1.., .. } => "faulty",
            Self { suspect: 1.., .. } => "suspect",
            Self { recovering: 1.., .. } => "recovering",
            _ => "healthy",
        }
    }
}

/// What all threads think of the replicas, by name.
fn together(tallies: &[Tally]) -> BTreeMap<String, StreamStates> {
    let mut all: BTreeMap<String, StreamStates> = BTreeMap::new();
    for told in tallies.iter().filter_map(|tally| tally.get("replicas")) {
        // What a thread of this server has told; it is of this form.
        let told: Vec<ReplicaHealth> = serde_json::from_value(told).unwrap_or_default();
        told.into_iter().for_each(|replica| all.entry(replica.name).or_default().add(replica.streams));
    }
    all
}

/// How many replicas are in each state, each by the worst on the streams of all threads: a thread counts those of its own streams.
pub(super) fn count(tallies: &[Tally]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for states in together(tallies).into_values() {
        *counts.entry(states.worst()).or_default() += 1;
    }
    counts
}

/// The replicas by name, with what is thought of each; at most some seconds old. A replica lies on a stream if a sequential test
/// over the rounds of that stream says so; see the documentation of the numbers.
#[utoipa::path(
    get,
    path = "/replicas",
    responses(
        (status = 200, description = "The replicas.", body = Vec<ReplicaHealth>),
        (status = 401, description = "No token, or a wrong one.", body = super::api::Failure),
    )
)]
pub(super) async fn list(State(site): State<Arc<Site>>) -> Json<Vec<ReplicaHealth>> {
    let all = together(&site.tallies);
    let of = |(name, streams): (String, StreamStates)| {
        let state = streams.worst().to_owned();
        ReplicaHealth { name, state, streams }
    };
    Json(all.into_iter().map(of).collect())
}

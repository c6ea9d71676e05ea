//! Sources, replicas, the monitor and the client of Centauri as state machines without I/O.
//!
//! Each role of the proximal-consensus paper (section 3.1) is a [`Role`]: frames and the time go in,
//! [`Effects`] come out (frames to send, decisions, published distributions, notes). A role reads no clock,
//! opens no socket and draws no random number, so equal inputs give equal effects, and one driver serves
//! real sockets and simulated networks alike.
//!
//! Every role checks what it receives with its own verifier before it believes anything, counts what it
//! drops by cause, and bounds its memory by its configuration. A [`Client`], which receives from whole fleets, verifies the
//! signatures of datagrams that came together several at a time ([`Role::handle_batch`]), with the same outcome. It can be divided
//! among cores ([`ClientShard`]).
//!
//! | role | receives | sends |
//! |---|---|---|
//! | [`Source`] | requests | a record for each reading |
//! | [`Replica`] | requests, records of sources | requests, results of windows, samples |
//! | [`Monitor`] | samples | distributions |
//! | [`Relay`] | what a client and a replica receive | the same, and decisions on |
//! | [`Follower`] | decisions | requests |
//! | [`Client`] | results of replicas, distributions | requests, samples of latencies |
#![forbid(unsafe_code)]

mod ageing;
mod client;
mod compute;
mod connection;
mod convert;
mod counters;
mod distance;
mod effects;
mod error;
mod follower;
pub mod health;
mod lasting;
mod liar;
mod limits;
mod monitor;
mod relay;
mod replica;
mod requests;
mod reservation;
mod rng;
mod role;
mod sampler;
mod signer;
mod source;
mod thinning;
mod timing;

pub use ageing::{Ageing, widened};
pub use centauri_fit::FamilyName;
pub use client::{
    Client, ClientConfig, ClientShard, ClientStream, DistributionPolicy, Pacing, RoundTiming, Sharding,
    spread_by,
};
pub use compute::{Certainty, Reading, compute};
pub use connection::{connection_address, connection_of};
pub use convert::{ConvertError, from_wire, to_wire};
pub use counters::count_of_both;
pub use effects::{Decided, Effect, Effects, Note};
pub use error::{ConfigError, InstallError};
pub use follower::{Followed, Follower, FollowerConfig};
pub use lasting::Lasting;
pub use liar::Behaviour;
pub use limits::*;
pub use monitor::{Combination, DriftPolicy, Estimated, Monitor, MonitorConfig, Monitored};
pub use relay::Relay;
pub use replica::{ComputationLimits, Replica, ReplicaConfig, ReplicaStream, SourceStream};
pub use requests::{
    Asked, Catalogue, ClockBound, ClockEstimate, ComputationQuery, ComputationUpstream, NamePattern,
    NamedStream, Query, RequestPolicy, StreamQuery, SubscriberLimits, Upstream, glob,
};
pub use reservation::{Reservation, ReservationPolicy};
pub use rng::SplitMix64;
pub use role::{AcceptedSet, Received, Role};
pub use sampler::SamplePolicy;
pub use source::{Source, SourceConfig};
pub use timing::Windows;

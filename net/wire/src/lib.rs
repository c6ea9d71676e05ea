//! Signed messages of Centauri: frames, identities and the one acceptance rule.
//!
//! Centauri's nodes talk in the four message types of the proximal-consensus paper (section 3.2):
//! *request*, *stream*, *sample* and *distribution*. This crate says how each lies in bytes
//! ([`FrameView`], [`StreamFrameBuilder`], [`Request`], [`Sample`], [`Distribution`]), and in two more: decisions
//! ([`DecisionFrameBuilder`]) and answers to requests ([`Answer`]). It says who may send what
//! ([`Registry`], [`may_send`]) and when a receiver takes a frame for true ([`Verifier`]). It does no I/O
//! and reads no clock: bytes and the time come in as arguments. The byte tables, the order of the
//! checks and their reasons are in `docs/PROTOCOL.md`.
//!
//! # Example: a replica sends a value, a client accepts it once
//! ```
//! use std::sync::Arc;
//! use centauri_wire::*;
//!
//! let key = KeyFile::generate([7; 32]);
//! let node = NodeEntry { id: NodeId(3), name: "replica-3".into(), role: Role::Replica, key: key.public_key() };
//! let registry = Arc::new(Registry::new(vec![node])?);
//!
//! let mut bytes = Vec::new();
//! let mut frame = StreamFrameBuilder::begin(&mut bytes, 1_000_000_000, FRAME_BYTES_DATAGRAM);
//! frame.push(&Record { stream: StreamId(1), age_us: 250, nonce: 1, round: 12, value: 21.5, readings: 8 })?;
//! frame.finish(&key.identity(NodeId(3)))?;
//!
//! let mut verifier = Verifier::new(registry, Limits::default());
//! verifier.track(NodeId(3), StreamId(1))?;
//! let accepted = verifier.check(1_000_400_000, &bytes)?;
//! assert_eq!(accepted.records().next().map(|record| record.value), Some(21.5));
//! assert_eq!(verifier.check(1_000_500_000, &bytes).map(|_| ()), Err(Rejected::Replayed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(unsafe_code)]

mod accepted;
mod answer;
mod batch;
mod bytes;
mod counters;
mod decision;
mod distribution;
mod encode;
mod frame;
mod frame_builder;
mod header;
mod hex;
mod identity;
mod key;
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "vector loads and stores, and calls of functions that need the processor's features"
)]
mod lanes;
mod limits;
mod malformed;
mod nonce_window;
mod proof;
mod reassembler;
mod record;
mod registry;
mod registry_error;
mod rejected;
mod request;
mod role;
mod sample;
#[cfg(target_arch = "x86_64")]
mod self_test;
mod signature;
mod streams;
mod timestamp_window;
mod tree;
mod verifier;

pub use accepted::{Accepted, Pending, SignatureVerdict};
pub use answer::{Answer, Outcome};
pub use batch::{BatchVerifier, Claim, Fallback, VerifierChoice, VerifierKind};
pub use counters::Counters;
pub use decision::{DecisionRecord, DecisionRecords, QuorumBits};
pub use distribution::{Distribution, DistributionBody, DistributionFamily, DistributionView};
pub use encode::EncodeError;
pub use frame::{FrameView, MessageView};
pub use frame_builder::{DecisionFrameBuilder, FrameBuilder, FrameRecord, StreamFrameBuilder};
pub use header::{Header, NodeId, claimed_sender};
pub use identity::{KeyFile, KeyFileError, SigningIdentity};
pub use key::{KeyError, PublicKey};
pub use limits::*;
pub use malformed::MalformedReason;
pub use nonce_window::NonceWindow;
pub use proof::{Equivocation, EquivocationProof, ProofError, Reported, contradiction, reports};
pub use reassembler::{Reassembler, StreamError, StreamFrame, encode_on_stream};
pub use record::{Record, Records, StreamId};
pub use registry::{NodeEntry, Registry};
pub use registry_error::{RegistryError, RegistryProblem};
pub use rejected::Rejected;
pub use request::{Request, RequestAction};
pub use role::{MessageKind, Role, may_send};
pub use sample::{Sample, SampleKind, SampleValues, SampleView};
pub use signature::{SignatureShapeError, SignedMessage, check_signature_shape};
pub use timestamp_window::TimestampWindow;
pub use verifier::{TrackError, Verifier};

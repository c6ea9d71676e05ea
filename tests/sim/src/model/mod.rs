//! The simulator's own account of what nodes have to do, kept from what the network delivered and nothing else.

mod acceptance;
mod reference;
mod region;
mod rounds;

pub(crate) use acceptance::{Acceptance, AcceptanceCounts};
pub(crate) use reference::Reference;
pub(crate) use region::HonestOnly;
pub(crate) use rounds::{ExpectedRound, RoundCounts, Rounds};

//! The simulator's own account of what nodes have to do, kept from what the network delivered and nothing else.

mod acceptance;
mod asked;
mod query;
mod reference;
mod region;
mod requests;
mod rounds;

pub(crate) use acceptance::{Acceptance, AcceptanceCounts};
pub(crate) use asked::AskedOf;
pub(crate) use query::read_query;
pub(crate) use reference::Reference;
pub(crate) use region::HonestOnly;
pub(crate) use requests::{CYCLE, ExpectedAnswer, Own, RequestCounts, Requests};
pub(crate) use rounds::{ExpectedRound, RoundCounts, Rounds};

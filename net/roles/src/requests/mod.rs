//! Requests: what can be asked, who has asked, and whom a node itself asks.

mod cancelled;
mod catalogue;
mod clocks;
mod computation;
mod deliver;
mod grant;
mod kept;
mod numbers;
mod pattern;
mod places;
mod query;
mod subscriptions;
mod upstreams;

pub use catalogue::{Catalogue, NamedStream};
pub use clocks::{ClockBound, ClockEstimate};
pub use computation::ComputationQuery;
pub(crate) use computation::Planned;
pub(crate) use deliver::{age_us, deliver};
pub(crate) use grant::{Grant, Refusal, Reply, Terms, Wanted, resolve_own};
pub(crate) use kept::Kept;
pub use numbers::StreamQuery;
pub use pattern::{NamePattern, glob};
pub(crate) use places::Places;
pub use query::{Asked, Query};
pub use subscriptions::SubscriberLimits;
pub(crate) use subscriptions::{Subscription, Subscriptions};
pub use upstreams::{ComputationUpstream, RequestPolicy, Upstream};
pub(crate) use upstreams::{Reason, Upstreams};

//! A whole system of sources, replicas of one stage or two, a monitor, clients and followers in simulated time, in one thread.
//!
//! A seed determines everything: who takes part and who lies, the clocks, the network, crashes and pauses, what an outsider
//! sends. After every call of a node what it did and what it counts is held against an account of the simulator's own, kept from
//! what the network delivered and nothing else. A run that breaks an invariant ends with a [`Violation`], which says where and
//! how to see it again.
//!
//! What is checked:
//! 1. Each round of each stream is decided once, in order, in the first tick at or after its deadline on the client's clock,
//!    whatever has come; only rounds that open while a client is down, or that it says it left out, have no decision.
//! 2. It is decided on exactly the reports that were signed by the replica, fresh, whole and in time; a replica is convicted
//!    exactly if two different values of it were.
//! 3. A frame is accepted exactly if `docs/PROTOCOL.md` says so; what is not changes nothing but a count.
//! 4. With at most f liars the region of a decision holds what a quorum of honest replicas alone would have said.
//! 5. Counters add up, and are exactly those that the simulator expects of frames that carry a good signature.
//! 6. Effects and subscriptions are bounded, and what is sent is counted.
//! 7. A node that does not lie signs one value for a round and one record for a nonce, restarts included.
//! 8. What the client keeps on its disk, which fails, lasts: no frame is accepted and no round decided that a client before it
//!    accepted or decided; rounds of which no decision is kept are told, and no others; subscriptions go on until they expire.
//!    Rounds are decided meanwhile whatever the disk does.
//! 9. The client's ledger of replicas: a replica that was seen to sign two values for a round is faulty, nobody else by proof; states
//!    change only as they may, are those that were told, and go on after a restart as they were stored.
//! 10. Every request that a node accepts is answered as `docs/FLEET.md` has it, refusals with their reason, and no other is; a computation
//!     runs exactly while a request for it is served, however many ask; nothing is sent that nobody asked for; a request that its own
//!     cancellation overtook begins nothing; a circle is refused with the way round.
//! 11. Nodes of a later stage decide as the client does, 1, 2 and 4; a relay that does not lie passes on value, spread and confidence.
//! 12. A follower sees decisions that the client made, each once.
//! 13. Faults are counted by group where there are groups: 4 holds with at most f groups that lie.
#![forbid(unsafe_code)]

mod build;
mod build_wider;
mod cast;
mod clock;
mod dice;
mod disk;
mod frame;
mod hostile;
mod model;
mod models;
mod network;
mod plan;
mod sabotage;
mod sweep;
mod tamper;
mod trace;
mod violation;
mod world;

pub use cast::{
    CLIENT, LATER, MONITOR, OTHER_CLIENT, STRANGER, address, follower_id, key_of, node_at, outsiders_key,
    registry, relay_id, replica_id, ring_id, source_id,
};
pub use clock::{Clock, EPOCH_NS};
pub use dice::Dice;
pub use disk::{Batch, Disk, FaultyDisk, SoundDisk};
pub use plan::{
    Asked, DiskPlan, DriverPlan, Happening, LaterPlan, Liar, MS, NetworkPlan, OutsiderPlan, Partition, Plan,
    RingPlan, StreamPlan,
};
pub use sabotage::Sabotage;
pub use sweep::{Swept, run_seed, sweep};
pub use trace::Trace;
pub use violation::{Finding, Violation, expect};
pub use world::{DecidedRound, Outcome, run};

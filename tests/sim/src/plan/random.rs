//! A plan out of a seed.

use std::collections::{BTreeMap, BTreeSet};

use centauri_engine::{Computation, Objective};
use centauri_roles::health::HealthPolicy;
use centauri_roles::{
    Ageing, Behaviour, DistributionPolicy, Pacing, RequestPolicy, ReservationPolicy, SplitMix64,
};
use centauri_wire::{Limits, NodeId, VerifierChoice};

use super::{
    DiskPlan, DriverPlan, Happening, Liar, MS, NetworkPlan, OutsiderPlan, Partition, Plan, StreamPlan,
};
use crate::{CLIENT, Clock, Dice, EPOCH_NS, replica_id, source_id};

impl Plan {
    /// The run that a seed stands for.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let dice = &mut Dice::new(seed, 0);
        let length_ns = dice.between(600, 1_100) * MS;
        let replicas = 3 + dice.below(5);
        let faults = dice.below((replicas - 1) / 2 + 1);
        let sources = 1 + dice.below(4);
        let streams = (1..=1 + dice.below(3) as u32).map(|number| stream(number, dice)).collect();
        let limits = limits(dice);
        let mut plan = Self {
            length_ns,
            sources,
            reading_every_ns: dice.between(30, 100) * MS,
            replicas,
            faults,
            liars: liars(replicas, faults, dice),
            streams,
            clocks: BTreeMap::new(),
            limits,
            request: request(dice),
            network: network(dice),
            outsider: dice.chance(0.7).then(|| outsider(dice)),
            driver: driver(dice),
            happenings: Vec::new(),
            publish_every_ns: dice.chance(0.3).then(|| length_ns / dice.between(2, 4)),
            shards: if dice.chance(0.15) { 2 + dice.below(3) } else { 1 },
            pacing: pacing(dice),
            verifier: if dice.chance(0.5) { VerifierChoice::Auto } else { VerifierChoice::Strict },
            simd: dice.chance(0.5),
            evidence_bytes: *dice.pick(&[0, 600, 1 << 16]).unwrap_or(&0),
            distributions: distributions(dice),
            ..Self::calm(seed)
        };
        plan.clocks = clocks(&plan, dice);
        plan.network.partitions = partitions(&plan, dice);
        plan.happenings = happenings(&plan, dice);
        plan.health = dice.chance(0.6).then(|| health(dice));
        let keeps = plan.shards == 1 && dice.chance(0.4);
        if keeps {
            plan.disk = Some(disk(&plan, dice));
            plan.happenings.extend(of_a_client_that_keeps(&plan, dice));
            if dice.chance(0.7) {
                let ahead = Clock { offset_ns: dice.between(5, 100) * MS, drift_ppb: 0 };
                plan.clocks.insert(replica_id(dice.below(replicas)).0, ahead);
            }
        }
        super::wider::widen(&mut plan);
        plan
    }
}

fn stream(number: u32, dice: &mut Dice) -> StreamPlan {
    let period_ns = dice.between(60, 160) * MS;
    let replica_deadline_ns = part(period_ns, dice.real(0.3, 1.6));
    // Mostly whole milliseconds, so that datagrams arrive at deadlines to the nanosecond.
    let fine_ns = if dice.chance(0.7) { MS } else { 1 };
    let wait_ns = part(period_ns, dice.real(0.05, 0.9));
    let close_after_ns = match dice.below(8) {
        0 => dice.between(0, replica_deadline_ns),
        _ => replica_deadline_ns + wait_ns,
    };
    let close_after_ns = close_after_ns / fine_ns * fine_ns;
    let computations = [Computation::Mean, Computation::Mean, Computation::Last, Computation::Sum];
    let others = [Computation::Count, Computation::Min, Computation::Max, Computation::Identity];
    let some = if dice.chance(0.7) { &computations } else { &others };
    let computation = dice.pick(some).copied();
    let objective = if dice.chance(0.6) { None } else { dice.pick(&Objective::ALL).copied() };
    StreamPlan {
        number,
        epoch_ns: EPOCH_NS + if dice.chance(0.3) { dice.between(-5_000, 5_000) * MS } else { 0 },
        period_ns,
        replica_deadline_ns,
        close_after_ns,
        computation: computation.unwrap_or(Computation::Mean),
        objective: objective.unwrap_or_default(),
        follows: dice.chance(0.2),
        asked: None,
    }
}

pub(super) fn part(whole: i64, share: f64) -> i64 {
    (whole as f64 * share) as i64 / 1_000 * 1_000
}

/// The window of freshness: the usual one, or one that clocks and delays do run out of.
fn limits(dice: &mut Dice) -> Limits {
    let mut window = || if dice.chance(0.5) { 5_000 * MS } else { dice.between(40, 200) * MS };
    let (past, future) = (window(), window());
    Limits { past_ns: past.unsigned_abs(), future_ns: future.unsigned_abs(), ..Limits::default() }
}

fn request(dice: &mut Dice) -> RequestPolicy {
    let validity_ns = if dice.chance(0.8) { 60_000 * MS } else { dice.between(100, 400) * MS };
    RequestPolicy {
        validity_ns,
        ttl_ns: dice.between(60, 600) * MS,
        retry_ns: dice.between(20, 80) * MS,
        period_ns: if dice.chance(0.9) { 1 } else { dice.between(50, 300) * MS },
        ..RequestPolicy::default()
    }
}

fn network(dice: &mut Dice) -> NetworkPlan {
    let rough = dice.chance(0.6);
    NetworkPlan {
        loss: if rough { dice.real(0.0, 0.25) } else { 0.0 },
        duplication: if rough { dice.real(0.0, 0.3) } else { 0.0 },
        delay_ns: dice.between(0, 4_000) * 1_000,
        jitter_ns: dice.between(100, if rough { 15_000 } else { 2_000 }) * 1_000,
        held_up: if rough { dice.real(0.0, 0.08) } else { 0.0 },
        held_up_ns: dice.between(50, 400) * MS,
        grid_ns: *dice.pick(&[1, 100_000, MS, MS, 5 * MS]).unwrap_or(&MS),
        partitions: Vec::new(),
    }
}

fn outsider(dice: &mut Dice) -> OutsiderPlan {
    OutsiderPlan {
        every_ns: dice.between(8, 60) * MS,
        ahead: if dice.chance(0.6) { dice.real(0.0, 0.4) } else { 0.0 },
        flood: if dice.chance(0.3) { 0.05 } else { 0.0 },
    }
}

fn driver(dice: &mut Dice) -> DriverPlan {
    let most_us = if dice.chance(0.3) { 60_000 } else { 6_000 };
    DriverPlan {
        late: if dice.chance(0.5) { dice.real(0.0, 0.5) } else { 0.0 },
        late_ns: dice.between(0, most_us) * 1_000,
        early_every_ns: dice.chance(0.5).then(|| dice.between(5, 50) * MS),
    }
}

fn pacing(dice: &mut Dice) -> Pacing {
    let usual = Pacing::default();
    Pacing {
        rounds_ahead_max: dice.below(3) as u32,
        miss_ns: dice.between(0, 3) * MS,
        catch_up_rounds_max: if dice.chance(0.5) { dice.below(3) as u32 } else { usual.catch_up_rounds_max },
        batch_rounds_max: if dice.chance(0.3) { 1 + dice.below(3) } else { usual.batch_rounds_max },
        ..usual
    }
}

fn distributions(dice: &mut Dice) -> DistributionPolicy {
    let ageing = Ageing { after_ns: dice.between(50, 300) * MS, per_ns: dice.between(20, 200) * MS };
    DistributionPolicy {
        accept_every_min_ns: dice.between(0, 300) * MS,
        ageing: dice.chance(0.5).then_some(ageing),
        doubt_factor: dice.real(1.0, 10.0),
        confirm_after_ns: dice.between(0, 300) * MS,
    }
}

fn liars(replicas: usize, faults: usize, dice: &mut Dice) -> BTreeMap<usize, Liar> {
    let mut liars = BTreeMap::new();
    for _ in 0..faults {
        if dice.chance(0.85) {
            liars.insert(dice.below(replicas), liar(dice));
        }
    }
    liars
}

pub(super) fn liar(dice: &mut Dice) -> Liar {
    let behaviour = match dice.below(8) {
        0 => Behaviour::Offset { by: dice.real(-6.0, 6.0) },
        1 => Behaviour::Stuck { value: dice.real(-10.0, 60.0) },
        2 => Behaviour::Random { low: 5.0, high: 35.0, rng: SplitMix64::new(dice.bits()) },
        3 => Behaviour::Silent,
        4 | 5 => Behaviour::Equivocate { by: if dice.chance(0.2) { 0.0 } else { dice.real(0.001, 3.0) } },
        6 => Behaviour::Collude { target: 25.0 },
        _ => Behaviour::Honest,
    };
    let by_hand_every_ns = dice.chance(0.7).then(|| dice.between(10, 60) * MS);
    Liar { behaviour, by_hand_every_ns, sample_offset: if dice.chance(0.5) { 100.0 } else { 0.0 } }
}

/// Most clocks are right to some milliseconds; of every seven one is beyond what receivers bear, or nearly.
fn clocks(plan: &Plan, dice: &mut Dice) -> BTreeMap<u32, Clock> {
    let mut clocks = BTreeMap::new();
    for node in plan.nodes() {
        let bound = plan.limits.past_ns.max(plan.limits.future_ns) as i64;
        let offset_ns = match dice.below(14) {
            0 => dice.between(bound / 2, bound + bound / 4),
            1 => -dice.between(bound / 2, bound + bound / 4),
            2..6 => 0,
            _ => dice.between(-6_000_000, 6_000_000),
        };
        let drift_ppb = if dice.chance(0.5) { 0 } else { dice.between(-500_000, 500_000) };
        clocks.insert(node.0, Clock { offset_ns, drift_ppb });
    }
    // A client whose clock is right closes its rounds at moments at which datagrams arrive.
    if dice.chance(0.4) {
        clocks.insert(CLIENT.0, Clock::default());
    }
    clocks
}

fn partitions(plan: &Plan, dice: &mut Dice) -> Vec<Partition> {
    let count = if dice.chance(0.35) { 1 + dice.below(2) } else { 0 };
    let nodes = plan.nodes();
    let one = |dice: &mut Dice| {
        let from_ns = dice.between(0, plan.length_ns);
        let until_ns = from_ns + dice.between(20, 300) * MS;
        let nodes: BTreeSet<u32> = nodes.iter().filter(|_| dice.chance(0.4)).map(|node| node.0).collect();
        Partition { from_ns, until_ns, nodes }
    };
    (0..count).map(|_| one(dice)).collect()
}

fn happenings(plan: &Plan, dice: &mut Dice) -> Vec<(i64, NodeId, Happening)> {
    let mut all = Vec::new();
    let count = if dice.chance(0.5) { 1 + dice.below(4) } else { 0 };
    for _ in 0..count {
        let node = match dice.below(10) {
            0..3 => CLIENT,
            3..8 => replica_id(dice.below(plan.replicas)),
            _ => source_id(dice.below(plan.sources)),
        };
        let at_ns = dice.between(0, plan.length_ns);
        // Some are back in a moment: within the window that they went down in.
        let down_ns = if dice.chance(0.5) { dice.between(0, 20) * MS } else { dice.between(20, 400) * MS };
        let until_ns = at_ns + down_ns;
        match dice.below(6) {
            0 | 1 => all.push((at_ns, node, Happening::Pause { until_ns })),
            2 => all.push((at_ns, node, Happening::SetClock { by_ns: dice.between(-60, 60) * MS })),
            _ => {
                let slow_ns = if dice.chance(0.5) { dice.between(0, 40) * MS } else { 0 };
                all.push((at_ns, node, Happening::Crash { until_ns, slow_ns }));
            }
        }
    }
    if plan.pacing.catch_up_rounds_max < 3 && dice.chance(0.5) {
        let at_ns = dice.between(plan.length_ns / 4, plan.length_ns);
        all.push((at_ns, CLIENT, Happening::Pause { until_ns: at_ns + dice.between(150, 500) * MS }));
    }
    let crashed: BTreeSet<u32> =
        all.iter().filter(|(.., what)| is_crash(*what)).map(|(_, node, _)| node.0).collect();
    for (_, node, what) in &mut all {
        // Whoever loses its memory and finds its clock set back as well cannot know what it did in the time to come.
        if let Happening::SetClock { by_ns } = what
            && crashed.contains(&node.0)
        {
            *by_ns = by_ns.abs();
        }
    }
    all
}

/// Mostly so quick to judge that states change in a run of some ten rounds.
fn health(dice: &mut Dice) -> HealthPolicy {
    if dice.chance(0.2) {
        return HealthPolicy::default();
    }
    let dwell = dice.between(1, 3) as u16;
    HealthPolicy {
        rounds_between_false_alarms: dice.real(100.0, 300.0),
        rounds_between_false_recoveries: dice.real(2.0, 20.0),
        share: dice.real(0.5, 1.0),
        cap: dice.real(5.0, 9.5),
        dwell,
        temper: dice.real(0.5, 1.0),
        forgive: dwell + *dice.pick(&[2, 5, 20, 500]).unwrap_or(&5),
    }
}

fn disk(plan: &Plan, dice: &mut Dice) -> DiskPlan {
    let margin_ns = dice.between(20, 80) * MS;
    let reservation = ReservationPolicy {
        clock_ahead_ns: dice.between(10, 120) * MS,
        margin_ns,
        renew_after_ns: margin_ns / dice.between(2, 4),
    };
    let fails = dice.chance(0.5);
    let full = |dice: &mut Dice| {
        let from_ns = dice.between(1, plan.length_ns);
        (from_ns, from_ns + dice.between(20, 400) * MS)
    };
    DiskPlan {
        reservation,
        look_ns: dice.between(1, 12) * MS,
        write_ns: dice.between(0, 8_000) * 1_000,
        slow: if fails { dice.real(0.0, 0.1) } else { 0.0 },
        slow_ns: dice.between(10, 200) * MS,
        fail: if fails { dice.real(0.0, 0.6) } else { 0.0 },
        full: (0..if fails { dice.below(3) } else { 0 }).map(|_| full(dice)).collect(),
    }
}

/// It ends again and again, and its clock is set between: back, too, where the disk does not fail.
fn of_a_client_that_keeps(plan: &Plan, dice: &mut Dice) -> Vec<(i64, NodeId, Happening)> {
    let mut all = Vec::new();
    for _ in 0..1 + dice.below(4) {
        let at_ns = dice.between(50 * MS, plan.length_ns);
        let down_ns = if dice.chance(0.6) { dice.between(1, 20) * MS } else { dice.between(20, 200) * MS };
        let until_ns = at_ns + down_ns;
        all.push(match dice.below(4) {
            0 => (at_ns, CLIENT, Happening::End { until_ns }),
            _ => (at_ns, CLIENT, Happening::Crash { until_ns, slow_ns: 0 }),
        });
        if dice.chance(0.3) {
            let by_ns = dice.between(-60, 30) * MS;
            all.push((at_ns - dice.between(0, 4) * MS, CLIENT, Happening::SetClock { by_ns }));
        }
    }
    all
}

fn is_crash(what: Happening) -> bool {
    matches!(what, Happening::Crash { .. })
}

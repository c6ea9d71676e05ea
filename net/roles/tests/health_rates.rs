//! How often the ledger is wrong and how soon it is right, measured on decisions of the engine. `docs/NUMERICS.md`, section "The
//! health of replicas", has the tables: `cargo test -p centauri-roles --test health_rates -- --nocapture` prints them.

use centauri_engine::{
    Distribution, Fleet, Link, ModelSet, OutputSpec, PriorSpec, Quorum, Report, ScalarBackend, Session,
    StreamId, StreamSpec, Support,
};
use centauri_roles::SplitMix64;
use centauri_roles::health::{HealthEvent, HealthPolicy, HealthState, Ledger, StreamShape};

const SD: f64 = 2.0;
const POINTS: usize = 61;
const ON_TIME: f64 = 0.95;

/// A stream whose replicas report as the model says, but for those who lie.
struct World {
    session: Session,
    replicas: usize,
    rng: SplitMix64,
    truth: f64,
    follows: bool,
    round: i64,
    /// Deviation of the honest noise, in the model's.
    noise: f64,
    /// What the last round's decision says; empty without a quorum.
    honest: Vec<f64>,
}

/// What a replica does in a round.
#[derive(Clone, Copy, PartialEq)]
enum Act {
    Honest,
    /// It adds so many standard deviations of noise to its report.
    Off(f64),
    Silent,
}

impl World {
    fn new(replicas: usize, faults: usize, follows: bool, seed: u64) -> Self {
        let normal = |sd| Distribution::normal(0.0, sd).expect("legal");
        let prior = if follows { PriorSpec::following(normal(1.5)) } else { PriorSpec::Uniform };
        let spec = StreamSpec::builder("s", (0..replicas).map(|i| format!("r{i}")))
            .faults(faults)
            .support(Support::new(0.0, 1.0, POINTS).expect("legal"))
            .prior(prior)
            .output(OutputSpec::identity(normal(SD)))
            .link(Link::OnTime(ON_TIME))
            .build();
        let fleet = Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() }).expect("legal");
        let session = Session::new(fleet, Box::new(ScalarBackend::new()));
        let (truth, rng) = (30.0, SplitMix64::new(seed));
        Self { session, replicas, rng, truth, follows, round: 0, noise: 1.0, honest: Vec::new() }
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.rng.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.rng.unit()).cos()
    }

    /// Plays a round and shows it to the ledger.
    fn play(&mut self, ledger: &mut Ledger, act: impl Fn(usize) -> Act, on_event: impl FnMut(HealthEvent)) {
        self.round += 1;
        self.truth = if self.follows {
            // The next element by the model's own step, which stays on the support.
            loop {
                let next = self.truth + (1.5 * self.normal()).round();
                if (0.0..POINTS as f64).contains(&next) {
                    break next;
                }
            }
        } else {
            (self.rng.unit() * POINTS as f64).floor()
        };
        let reports: Vec<Report> = (0..self.replicas)
            .map(|replica| {
                let (value, late) =
                    (self.truth + SD * self.noise * self.normal(), self.rng.unit() >= ON_TIME);
                match act(replica) {
                    _ if late => Report::Missing,
                    Act::Honest => Report::Value(value),
                    Act::Off(sds) => Report::Value(value + SD * sds),
                    Act::Silent => Report::Missing,
                }
            })
            .collect();
        self.session.push(StreamId(0), self.round, &reports).expect("a legal round");
        self.session.flush().expect("a legal batch");
        let honest = self.session.decided().honest(0);
        self.honest = honest.unwrap_or_default().to_vec();
        ledger.observe(0, self.round, honest, Quorum::EMPTY, on_event);
    }
}

fn ledger(policy: HealthPolicy, replicas: usize, faults: usize) -> Ledger {
    Ledger::new(policy, &[StreamShape::new(replicas, faults)]).expect("legal")
}

/// At most what a Poisson variable of this mean is, but once in some ten thousand times.
fn at_most(mean: f64) -> f64 {
    mean + 4.0 * mean.sqrt() + 1.0
}

/// The premise of the rate: nobody gains by betting against an honest replica.
#[test]
fn a_bet_on_an_honest_replica_does_not_gain() {
    const ROUNDS: usize = 6_000;
    println!("mean of a bet against an honest replica: e, then as the default has it");
    println!("| n | f | prior | others | mean e | mean bet |");
    for (n, f, follows) in [(4, 1, false), (4, 1, true), (7, 2, false), (7, 2, true)] {
        for liar in [false, true] {
            let mut world = World::new(n, f, follows, 77);
            let mut ledger = ledger(HealthPolicy::default(), n, f);
            let honest = if liar { n - 1 } else { n };
            // P(faulty) before: a mean of f/2 of n.
            let prior = f as f64 / 2.0 / n as f64;
            let (mut ratios, mut bets) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                world.play(&mut ledger, |i| if i >= honest { Act::Off(5.0) } else { Act::Honest }, |_| {});
                for p in world.honest.iter().take(honest) {
                    let e = (1.0 - p) / p * (1.0 - prior) / prior;
                    ratios.push(e);
                    bets.push((0.75 + 0.25 * e.sqrt()).min(10.0));
                }
            }
            let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
            let (e, bet) = (mean(&ratios), mean(&bets));
            let prior = if follows { "following" } else { "uniform" };
            let others = if liar { "one liar" } else { "honest" };
            println!("| {n} | {f} | {prior} | {others} | {e:.2} | {bet:.2} |");
            assert!(bets.len() >= ROUNDS * honest * 9 / 10, "{}", bets.len());
            // A bet is at most 10, so that four standard errors of so many are below 0.05 for a mean around 1.
            assert!(bet <= 1.0, "{bet}");
        }
    }
}

/// False alarms about honest replicas, and how long they were watched.
#[derive(Default)]
struct Alarms {
    suspected: u32,
    convicted: u32,
    watched: usize,
}

impl Alarms {
    /// Of `rounds` rounds; the replicas from `honest` on lie by 5 sd.
    fn of(world: &mut World, ledger: &mut Ledger, honest: usize, rounds: usize) -> Self {
        let mut alarms = Self::default();
        for _ in 0..rounds {
            let good = |i| matches!(ledger.state(0, i), Some(HealthState::Healthy | HealthState::Suspect));
            alarms.watched += (0..honest).filter(|&i| good(i)).count();
            let act = |i| if i >= honest { Act::Off(5.0) } else { Act::Honest };
            let (suspected, convicted) = (&mut alarms.suspected, &mut alarms.convicted);
            world.play(ledger, act, |event| {
                if event.position < honest {
                    *suspected += u32::from(event.from == HealthState::Healthy);
                    *convicted +=
                        u32::from(event.from == HealthState::Suspect && event.to == HealthState::Faulty);
                }
            });
        }
        alarms
    }

    fn told(&self) -> String {
        let between = |alarms: u32| match alarms {
            0 => format!("none in {}", self.watched),
            alarms => format!("{:.0}", self.watched as f64 / f64::from(alarms)),
        };
        format!("{} | {}", between(self.suspected), between(self.convicted))
    }

    /// Whether there are no more than A allows, but for chance.
    fn as_set(&self, a: f64) -> bool {
        let watched = self.watched as f64;
        f64::from(self.suspected) <= at_most(watched / a.sqrt())
            && f64::from(self.convicted) <= at_most(watched / a)
    }
}

#[test]
fn false_alarms_are_as_rare_as_was_set() {
    const ROUNDS: usize = 6_000;
    const A: f64 = 1_000.0;
    let default = HealthPolicy { rounds_between_false_alarms: A, ..HealthPolicy::default() };
    // The likelihood ratio as it is.
    let plain = HealthPolicy { temper: 1.0, share: 1.0, cap: 30.0, ..default };
    println!(
        "A = {A}, {ROUNDS} rounds each: rounds of an honest replica between false alarms, suspect and faulty"
    );
    println!("| n | f | prior | others | default: √A = 32 | A = 1000 | λ = ε = 1: √A = 32 | A = 1000 |");
    let cases = [(4, 1, false), (4, 1, true), (5, 1, false), (7, 2, true), (7, 2, false), (6, 2, true)];
    for (case, (n, f, follows)) in cases.into_iter().enumerate() {
        for liars in 0..2 {
            let [a, b] = [default, plain].map(|policy| {
                let mut world = World::new(n, f, follows, 20_261_126 + case as u64);
                Alarms::of(&mut world, &mut ledger(policy, n, f), n - liars, ROUNDS)
            });
            let prior = if follows { "following" } else { "uniform" };
            let others = if liars == 1 { "one liar" } else { "honest" };
            println!("| {n} | {f} | {prior} | {others} | {} | {} |", a.told(), b.told());
            for alarms in [a, b] {
                assert!(alarms.watched > ROUNDS * (n - liars) / 2, "{}", alarms.watched);
                assert!(alarms.as_set(A), "{}", alarms.told());
            }
        }
    }
    // Not so where the model is wrong: the check above would say so.
    let mut world = World::new(5, 1, false, 1);
    world.noise = 2.5;
    let alarms = Alarms::of(&mut world, &mut ledger(plain, 5, 1), 5, ROUNDS);
    println!("| 5 | 1 | uniform | honest, noise 2.5 times the model's | – | – | {} |", alarms.told());
    assert!(!alarms.as_set(A), "{}", alarms.told());
}

/// Rounds until the last replica is faulty, by run; `most` where it is not found.
fn delays(n: usize, f: usize, follows: bool, most: usize, act: impl Fn(i64) -> Act) -> Vec<usize> {
    let mut delays: Vec<usize> = (0..9)
        .map(|run| {
            let mut world = World::new(n, f, follows, 4_711 + run);
            let mut ledger = ledger(HealthPolicy::default(), n, f);
            (1..=most)
                .find(|&round| {
                    world.play(
                        &mut ledger,
                        |i| if i + 1 == n { act(round as i64) } else { Act::Honest },
                        |_| {},
                    );
                    ledger.state(0, n - 1) == Some(HealthState::Faulty)
                })
                .unwrap_or(most)
        })
        .collect();
    delays.sort_unstable();
    delays
}

#[test]
fn liars_are_found_and_how_soon() {
    const MOST: usize = 1_500;
    println!("A = 1e6: rounds until faulty, median and longest of nine runs ({MOST}: not found)");
    println!("| what it does | n = 4, f = 1 | n = 7, f = 2 | n = 7, f = 2, following |");
    type Deed = (&'static str, fn(i64) -> Act, [usize; 3]);
    // The last numbers are what the longest run may take; 0 where it is not to be found.
    let deeds: [Deed; 8] = [
        ("1 sd off", |_| Act::Off(1.0), [0; 3]),
        ("2 sd off", |_| Act::Off(2.0), [MOST; 3]),
        ("3 sd off", |_| Act::Off(3.0), [MOST; 3]),
        ("5 sd off", |_| Act::Off(5.0), [60; 3]),
        ("10 sd off", |_| Act::Off(10.0), [20; 3]),
        (
            "10 sd off in one round of 4",
            |round| if round % 4 == 0 { Act::Off(10.0) } else { Act::Honest },
            [150; 3],
        ),
        (
            "10 sd off in one round of 8",
            |round| if round % 8 == 0 { Act::Off(10.0) } else { Act::Honest },
            [800; 3],
        ),
        ("always silent", |_| Act::Silent, [600; 3]),
    ];
    for (name, act, limits) in deeds {
        let settings = [(4, 1, false), (7, 2, false), (7, 2, true)];
        let found = settings.map(|(n, f, follows)| delays(n, f, follows, MOST, act));
        let told = found.each_ref().map(|delays| format!("{}, {}", delays[4], delays[8]));
        println!("| {name} | {} |", told.join(" | "));
        for (delays, limit) in found.iter().zip(limits) {
            match limit {
                0 => assert!(delays[4] == MOST, "{name}: {delays:?}"),
                limit => assert!(delays[8] <= limit && delays[4] < MOST, "{name}: {delays:?}"),
            }
        }
    }
}

#[test]
fn an_honest_replica_becomes_healthy_again_however_long_it_lied() {
    println!("| rounds of lies | rounds until healthy, of nine runs: median, longest |");
    for lies in [20, 3_000] {
        let mut back: Vec<usize> = (0..9)
            .map(|run| {
                let mut world = World::new(5, 1, run % 2 == 0, 99 + run);
                let mut ledger = ledger(HealthPolicy::default(), 5, 1);
                for _ in 0..lies {
                    world.play(&mut ledger, |i| if i == 4 { Act::Off(8.0) } else { Act::Honest }, |_| {});
                }
                assert_eq!(ledger.state(0, 4), Some(HealthState::Faulty));
                (1..2_000)
                    .find(|_| {
                        world.play(&mut ledger, |_| Act::Honest, |_| {});
                        ledger.state(0, 4) == Some(HealthState::Healthy)
                    })
                    .expect("healthy within 2000 rounds")
            })
            .collect();
        back.sort_unstable();
        println!("| {lies} | {}, {} |", back[4], back[8]);
        assert!(back[8] <= 500, "{back:?}");
    }
}

#[test]
fn a_borderline_replica_does_not_flap() {
    const ROUNDS: usize = 5_000;
    println!(
        "| noise of all replicas, in the model's | changes of state in {ROUNDS} rounds of five replicas |"
    );
    for (noise, most) in [(1.0, 2), (1.3, 20), (1.6, 100)] {
        let mut world = World::new(5, 1, false, 31);
        world.noise = noise;
        let mut ledger = ledger(HealthPolicy::default(), 5, 1);
        let mut changes = 0;
        for _ in 0..ROUNDS {
            world.play(&mut ledger, |_| Act::Honest, |_| changes += 1);
        }
        println!("| {noise} | {changes} |");
        assert!(changes <= most, "{noise}: {changes}");
    }
}

#[test]
fn a_round_takes_nanoseconds() {
    const ROUNDS: usize = 200_000;
    let shapes = vec![StreamShape::new(7, 2); 1_000];
    let mut ledger = Ledger::new(HealthPolicy::default(), &shapes).expect("legal");
    let mut rng = SplitMix64::new(5);
    let honest: Vec<f64> = (0..7 * 256).map(|_| 1.0 - 0.2 * rng.unit().powi(4)).collect();
    let begin = std::time::Instant::now();
    for round in 0..ROUNDS {
        let p = &honest[7 * (round % 256)..][..7];
        ledger.observe(round % 1_000, round as i64, Some(p), Quorum::EMPTY, |_| {});
    }
    let each = begin.elapsed().as_secs_f64() * 1e9 / (7 * ROUNDS) as f64;
    println!("{each:.1} ns a replica and round");
    assert_eq!(ledger.counts().iter().sum::<usize>(), 7_000);
    assert!(each < 50_000.0, "{each} ns: something is badly wrong");
}

//! The monitor as the world changes, and as it only seems to.

mod common;

use centauri_engine::Distribution;
use centauri_roles::*;
use centauri_wire::{NodeId, Sample, SampleKind};
use common::*;

/// Values in a frame, and the time between the frames of a sender.
const FRAME: usize = 32;
const EVERY: i64 = 100 * MS;

/// A monitor of one distribution, with what it told.
struct Bench {
    monitor: Monitor,
    rng: SplitMix64,
    now_ns: i64,
    effects: Effects,
    resets: u64,
    published: Vec<(i64, Distribution)>,
}

impl Bench {
    fn new(seed: u64, config: &MonitorConfig) -> Self {
        Self {
            monitor: Monitor::new(config, registry(), identity(MONITOR), 0).unwrap(),
            rng: SplitMix64::new(seed),
            now_ns: 0,
            effects: Effects::new(),
            resets: 0,
            published: Vec::new(),
        }
    }

    /// Each of the senders sends a frame of normal numbers around its centre.
    fn frame(&mut self, senders: &[(NodeId, f64)]) {
        self.now_ns += EVERY;
        let mut bytes = Vec::new();
        for (node, centre) in senders {
            let values: Vec<f64> = (0..FRAME).map(|_| centre + normal(&mut self.rng)).collect();
            let sample = Sample { kind: SampleKind::Output, distribution: "d", values: &values };
            sample.encode(self.now_ns, &identity(*node), &mut bytes).unwrap();
            self.monitor.handle(self.now_ns, address(*node), &bytes, &mut self.effects);
        }
        run_until(&mut self.monitor, self.now_ns, &mut self.effects);
        for effect in self.effects.iter() {
            match effect {
                Effect::Note(Note::Changed { name, .. }) => {
                    assert_eq!(name, "d");
                    self.resets += 1;
                }
                Effect::Published { distribution, .. } => {
                    self.published.push((self.now_ns, distribution.clone()));
                }
                _ => {}
            }
        }
        self.effects.clear();
    }

    fn last(&self) -> &Distribution {
        &self.published.last().unwrap().1
    }
}

fn config(faults: usize) -> MonitorConfig {
    let named = Monitored {
        faults: Some(faults),
        ..Monitored::new("d", SampleKind::Output, Estimated::Fitted(FamilyName::Normal))
    };
    MonitorConfig { monitored: vec![named], ..MonitorConfig::default() }
}

fn all(of: &[NodeId], centre: f64) -> Vec<(NodeId, f64)> {
    of.iter().map(|node| (*node, centre)).collect()
}

#[test]
fn a_step_is_found_within_four_windows_of_each_sender() {
    let mut waits = Vec::new();
    for seed in 0..10 {
        let mut bench = Bench::new(seed, &config(1));
        // The fourth sender notices nothing.
        let fleet = |centre: f64| {
            let mut all = all(&REPLICAS, centre);
            all[3].1 = 5.0;
            all
        };
        (0..20).for_each(|_| bench.frame(&fleet(5.0)));
        assert_eq!(bench.resets, 0);
        let mut frames = 0;
        while bench.resets == 0 {
            frames += 1;
            assert!(frames <= 8, "seed {seed}: not found in {} values", 8 * FRAME);
            bench.frame(&fleet(6.5));
        }
        waits.push(frames * FRAME);
        (0..30).for_each(|_| bench.frame(&fleet(6.5)));
        assert!((bench.last().mean() - 6.5).abs() < 0.15, "{:?}", bench.last());
        assert!((bench.last().variance().sqrt() - 1.0).abs() < 0.15, "{:?}", bench.last());
        assert_eq!(count(&bench.monitor, "distributions_reset"), bench.resets);
    }
    println!("values of each sender until a step of 1.5 sd is found: {waits:?}");
}

#[test]
fn a_slow_drift_is_followed_and_the_sooner_the_faster_values_fade() {
    // A thousandth of a standard deviation a value; half-lives in values.
    let behind = |half_life: i64, drift: Option<DriftPolicy>| {
        let half_life_ns = half_life * EVERY / FRAME as i64;
        let publish_every_min_ns = EVERY;
        let mut bench =
            Bench::new(3, &MonitorConfig { half_life_ns, drift, publish_every_min_ns, ..config(1) });
        let mut lags = Vec::new();
        for frame in 0..100 {
            let centre = (frame * FRAME) as f64 * 1e-3;
            bench.frame(&all(&REPLICAS, centre));
            if frame > 40 {
                lags.push(centre - bench.last().mean());
            }
        }
        let mean = lags.iter().sum::<f64>() / lags.len() as f64;
        println!("half-life of {half_life} values, {drift:?}: {mean:.3} sd behind, {} resets", bench.resets);
        mean
    };
    // Of values that fade the mean age is half-life/ln 2; of a full ring it is half of its 1,024 values.
    let (fading, lasting) = (behind(200, None), behind(1_000_000, None));
    assert!((fading - 0.289).abs() < 0.08, "{fading}");
    assert!((lasting - 0.512).abs() < 0.08, "{lasting}");
    assert!(behind(1_000_000, Some(DriftPolicy::default())) < lasting);
}

#[test]
fn without_a_change_nothing_is_forgotten() {
    for seed in 0..10 {
        let mut bench = Bench::new(seed, &config(1));
        (0..100).for_each(|_| bench.frame(&all(&REPLICAS, 0.0)));
        assert_eq!(bench.resets, 0, "seed {seed}");
    }
}

#[test]
fn a_liar_cannot_have_anything_forgotten() {
    for seed in 0..10 {
        let mut bench = Bench::new(seed, &config(1));
        for frame in 0..100 {
            let mut fleet = all(&REPLICAS, 0.0);
            // Every window a jump.
            fleet[0].1 = [0.0, 0.0, 50.0, 50.0, -9.0, -9.0, 1.0, 1.0][frame % 8];
            bench.frame(&fleet);
        }
        assert_eq!(bench.resets, 0, "seed {seed}");
        assert!(bench.last().mean().abs() < 0.15, "{:?}", bench.last());
    }
}

#[test]
fn with_a_liar_among_three_false_alarms_come_no_more_often_than_one_honest_sender_makes_them() {
    // With one of three always crying wolf, one false alarm of the two others is a majority.
    let alarm_rate = 0.01;
    let (mut tests, mut resets) = (0.0, 0);
    for seed in 0..20 {
        let drift = Some(DriftPolicy { window: 64, alarm_rate });
        let mut bench = Bench::new(seed, &MonitorConfig { drift, ..config(1) });
        for frame in 0..200 {
            let mut fleet = all(&REPLICAS[..3], 0.0);
            fleet[0].1 = [0.0, 0.0, 50.0, 50.0][frame % 4];
            bench.frame(&fleet);
            tests += 2.0 * FRAME as f64 / 64.0;
        }
        resets += bench.resets;
    }
    let expected: f64 = tests * alarm_rate;
    println!("{resets} resets in {tests} tests of honest senders at {alarm_rate}");
    assert!(resets > 0 && (resets as f64) < expected + 4.0 * expected.sqrt(), "{resets} {expected}");
}

#[test]
fn what_stays_is_told_seldom_and_what_moves_at_once() {
    let mut bench = Bench::new(1, &config(1));
    (0..1_000).for_each(|_| bench.frame(&all(&REPLICAS, 2.0)));
    let told: Vec<i64> = bench.published.iter().map(|(at, _)| at / (1_000 * MS)).collect();
    // In 100 s: the first, once more, and what comes of half a minute; the first estimates may still move.
    assert!((5..=12).contains(&told.len()), "{told:?}");
    assert!(told.windows(2).all(|pair| pair[1] - pair[0] <= 30), "{told:?}");
    let unchanged = count(&bench.monitor, "distributions_unchanged");
    assert!(unchanged >= 85, "{unchanged}");
    let before = told.len();
    (0..30).for_each(|_| bench.frame(&all(&REPLICAS, 4.0)));
    let news = &bench.published[before..];
    assert!(!news.is_empty() && news[0].0 <= 102_000 * MS, "{news:?}");
    assert!((bench.last().mean() - 4.0).abs() < 0.15, "{:?}", bench.last());
    let seconds = (bench.published.len() - before) as i64;
    assert!(seconds <= 3, "no more than one a second: {seconds}");
}

#[test]
fn a_restarted_monitor_waits_for_enough_samples() {
    let mut bench = Bench::new(1, &config(1));
    bench.now_ns = 500_000 * MS;
    bench.monitor = Monitor::new(&config(1), registry(), identity(MONITOR), bench.now_ns).unwrap();
    // A liar is the first that is heard, and two senders are too few.
    (0..20).for_each(|_| bench.frame(&[(REPLICAS[3], 1e6)]));
    (0..20).for_each(|_| bench.frame(&[(REPLICAS[3], 1e6), (REPLICAS[0], 2.0)]));
    assert_eq!(bench.published, []);
    assert!(count(&bench.monitor, "distributions_withheld") >= 3);
    (0..20).for_each(|_| bench.frame(&all(&REPLICAS[..3], 2.0)));
    for (_, found) in &bench.published {
        assert!((found.mean() - 2.0).abs() < 0.5 && (found.variance() - 1.0).abs() < 0.5, "{found:?}");
    }
    assert!(!bench.published.is_empty());
}

#[test]
fn of_many_distributions_one_is_estimated_in_a_tick() {
    let named = |at: usize| Monitored::new(format!("d{at}"), SampleKind::Output, Estimated::Normal);
    let config = MonitorConfig { monitored: (0..50).map(named).collect(), ..MonitorConfig::default() };
    let mut monitor = Monitor::new(&config, registry(), identity(MONITOR), 0).unwrap();
    let mut effects = Effects::new();
    for tick in 1..=50 {
        assert_eq!(monitor.next_deadline(), Some(1_000 * MS));
        monitor.tick(1_000 * MS, &mut effects);
        assert_eq!(count(&monitor, "distributions_withheld"), tick);
    }
    assert_eq!(monitor.next_deadline(), Some(2_000 * MS));
}

/// How long a tick takes that estimates a distribution of full senders, in milliseconds.
fn tick_ms(family: Estimated, senders: &[NodeId]) -> f64 {
    let named = Monitored::new("d", SampleKind::Output, family);
    let config = MonitorConfig { monitored: vec![named], drift: None, ..MonitorConfig::default() };
    let mut bench = Bench::new(1, &config);
    // Before the first is due, so that the tick below is the first.
    let mut bytes = Vec::new();
    for node in senders {
        for at in 0..2 {
            let values: Vec<f64> = (0..512).map(|_| 50.0 + normal(&mut bench.rng)).collect();
            let sample = Sample { kind: SampleKind::Output, distribution: "d", values: &values };
            sample.encode(at, &identity(*node), &mut bytes).unwrap();
            bench.monitor.handle(at, address(*node), &bytes, &mut bench.effects);
        }
    }
    let began = std::time::Instant::now();
    bench.monitor.tick(1_000 * MS, &mut bench.effects);
    assert_eq!(count(&bench.monitor, "distributions_published"), 1);
    began.elapsed().as_secs_f64() * 1e3
}

#[test]
#[ignore = "prints times; for a quiet machine"]
fn how_long_a_tick_takes() {
    for family in [
        Estimated::Normal,
        Estimated::Gamma,
        Estimated::Fitted(FamilyName::Normal),
        Estimated::Fitted(FamilyName::Gamma),
        Estimated::Fitted(FamilyName::StudentT),
        Estimated::Auto,
    ] {
        let mut times: Vec<f64> = (0..9).map(|_| tick_ms(family, &REPLICAS)).collect();
        times.sort_by(f64::total_cmp);
        println!("{family:?}: {:.1} ms, the median of 9", times[4]);
    }
}

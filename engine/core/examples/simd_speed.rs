//! Decisions a second of the SIMD backend, one thread, by thread CPU time (Linux):
//!
//!     cargo run --release -p centauri-engine --example simd_speed -- sABCDR2 [LEVEL]
//!
//! Letters pick the works: A 4,096 streams, n = 7, f = 2, 64 points, `evidence`; B the same, `marginal`; C n = 16, f = 5,
//! `evidence`; D n = 64, f = 21, `marginal`; R is A with regions, J and P are A with `joint` and `posterior`; `s` adds the scalar
//! backend, `2` what two threads would give.

use centauri_engine::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

struct Work {
    name: &'static str,
    n: usize,
    f: usize,
    points: usize,
    objective: Objective,
    region: bool,
    streams: usize,
}

fn fleet(work: &Work, models: usize) -> Fleet {
    let mut set = ModelSet::default();
    for m in 0..models {
        let names: Vec<String> = (0..work.n).map(|i| format!("r{i}")).collect();
        let sd = 2.5 + m as f64 / models as f64;
        let spec = StreamSpec::builder(format!("s{m}"), names.iter().map(String::as_str))
            .faults(work.f)
            .objective(work.objective)
            .support(Support::new(0.0, 1.0, work.points).unwrap())
            .output(OutputSpec::identity(Distribution::normal(0.0, sd).unwrap()))
            .link(Link::OnTime(0.97))
            .build();
        set.streams.push(spec);
    }
    Fleet::compile(&set).unwrap()
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random_range(0.0..1.0)).sum::<f64>() - 6.0
}

fn batch(work: &Work, fleet: &Fleet) -> Batch {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut batch = Batch::new();
    for stream in 0..work.streams {
        let model = ModelId((stream % fleet.models()) as u32);
        let support = *fleet.model(model).unwrap().support();
        let x = rng.random_range(0.2..0.8) * work.points as f64;
        let liars = if stream % 2 == 0 && work.f > 0 { rng.random_range(1..=work.f) } else { 0 };
        let first = rng.random_range(0..work.n);
        let observations: Vec<Observation> = (0..work.n)
            .map(|i| {
                if rng.random_range(0.0..1.0) < 0.03 {
                    Observation::Missing
                } else if (i + first) % work.n < liars {
                    Observation::Bin(support.bin(rng.random_range(0.0..work.points as f64)))
                } else {
                    Observation::Bin(support.bin(x + 3.0 * normal(&mut rng)))
                }
            })
            .collect();
        batch.push(Entry {
            model,
            objective: None,
            wants_marginal: false,
            wants_region: work.region,
            observations: &observations,
            ln_prior: None,
        });
    }
    batch
}

fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1e-9
}

/// Decisions a second of this thread's time: median of ten runs.
fn rate(backend: &mut dyn Backend, fleet: &Fleet, batch: &Batch, seconds: f64) -> f64 {
    let mut decisions = Decisions::new();
    backend.evaluate(fleet, batch, &mut decisions).unwrap();
    let mut rates = Vec::new();
    for _ in 0..10 {
        let (start, mut rounds) = (cpu(), 0);
        while cpu() - start < seconds / 10.0 {
            backend.evaluate(fleet, batch, &mut decisions).unwrap();
            rounds += batch.len();
        }
        rates.push(rounds as f64 / (cpu() - start));
    }
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Speed of two threads against one, from times of processors: what the caller does alone, and all together.
fn two_threads(fleet: &Fleet, batch: &Batch) -> f64 {
    let all = || -> f64 {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let time =
            |path: std::path::PathBuf| std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        let first =
            |text: String| text.split_whitespace().next().and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
        tasks.map(|task| first(time(task.unwrap().path())) * 1e-9).sum()
    };
    let mut decisions = Decisions::new();
    let mut spent = |threads: usize| {
        let mut backend = SimdBackend::new().with_threads(threads);
        backend.evaluate(fleet, batch, &mut decisions).unwrap();
        let (alone, total) = (cpu(), all());
        for _ in 0..200 {
            backend.evaluate(fleet, batch, &mut decisions).unwrap();
        }
        (cpu() - alone, all() - total)
    };
    let (one, (alone, both)) = (spent(1).1, spent(2));
    one / (alone + (both - alone) / 2.0)
}

fn main() {
    let pick = std::env::args().nth(1).unwrap_or_else(|| "ABCDR".into());
    let work =
        |name, n, f, objective, region, streams| Work { name, n, f, points: 64, objective, region, streams };
    let works = [
        work("A", 7, 2, Objective::Evidence, false, 4096),
        work("B", 7, 2, Objective::Marginal, false, 4096),
        work("C", 16, 5, Objective::Evidence, false, 1024),
        work("D", 64, 21, Objective::Marginal, false, 1024),
        work("R", 7, 2, Objective::Evidence, true, 4096),
        work("J", 7, 2, Objective::Joint, false, 4096),
        work("P", 7, 2, Objective::Posterior, false, 4096),
    ];
    for work in works.iter().filter(|w| pick.contains(w.name)) {
        let fleet = fleet(work, 64);
        let batch = batch(work, &fleet);
        let mut line = format!("{}:", work.name);
        if pick.contains('s') {
            let small = Work { streams: work.streams / 16, ..*work };
            let batch = self::batch(&small, &fleet);
            line += &format!(" scalar {:.1} k", rate(&mut ScalarBackend::new(), &fleet, &batch, 0.5) / 1e3);
        }
        for level in
            SimdLevel::present().into_iter().filter(|l| std::env::args().nth(2).is_none_or(|a| a == l.name()))
        {
            let mut backend = SimdBackend::with_level(level).with_threads(1);
            let rate = rate(&mut backend, &fleet, &batch, 1.0);
            let r = backend.rungs();
            let all = (r.single + r.double + r.scalar) as f64;
            line += &format!(
                "  {} {:.1} k ({:.2}% f64, {:.3}% scalar)",
                level.name(),
                rate / 1e3,
                100.0 * r.double as f64 / all,
                100.0 * r.scalar as f64 / all
            );
        }
        if pick.contains('2') {
            line += &format!("  two threads {:.2} ×", two_threads(&fleet, &batch));
        }
        println!("{line}");
    }
}

//! Edges that random rounds reach seldom or never, and batches that are wrong.

use crate::Make;
use crate::random::check;
use centauri_engine::*;

fn identity(name: &str, n: usize, f: usize, points: usize, sd: f64) -> StreamSpec {
    StreamSpec::builder(name, (0..n).map(|i| format!("r{i}")))
        .faults(f)
        .support(Support::new(0.0, 1.0, points).expect("legal"))
        .output(OutputSpec::identity(Distribution::normal(0.0, sd).expect("legal")))
        .link(Link::OnTime(0.95))
        .build()
}

fn bins(values: &[i64]) -> Vec<Observation> {
    values.iter().map(|&v| Observation::Bin(v)).collect()
}

/// Decides every round by every objective, with and without region and marginal, and compares.
fn decide(make: Make<'_>, name: &str, spec: StreamSpec, rounds: &[Vec<Observation>]) {
    let fleet = Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() })
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut batch = Batch::new();
    for observations in rounds {
        for objective in Objective::ALL {
            for wants in [false, true] {
                batch.push(Entry {
                    model: ModelId(0),
                    objective: Some(objective),
                    wants_marginal: wants,
                    wants_region: wants,
                    observations,
                    ln_prior: None,
                });
            }
        }
    }
    let (mut found, mut law) = (Decisions::new(), Decisions::new());
    make().evaluate(&fleet, &batch, &mut found).unwrap_or_else(|e| panic!("{name}: {e}"));
    check(name, &fleet, &batch, (&found, &mut law));
}

/// One replica, no faults, one point, everything missing, everything impossible, everything far away, ties of every
/// kind, equivocations down to nobody, many replicas, many points.
///
/// # Panics
/// Where a decision differs by more than it may.
pub fn edges(make: Make<'_>) {
    let (missing, liar) = (Observation::Missing, Observation::Equivocated);
    decide(
        make,
        "one replica",
        identity("s", 1, 0, 9, 1.0),
        &[bins(&[3]), vec![missing], vec![liar], bins(&[-400])],
    );
    decide(make, "no faults", identity("s", 3, 0, 9, 1.0), &[bins(&[3, 4, 8]), bins(&[0, 900, 1])]);
    for points in [1, 2, 3, 15, 16, 17, 255, 257] {
        let name = format!("{points} points");
        let rounds = [bins(&[0, 0, 1, 2]), bins(&[5, 200, 199, 7]), vec![missing; 4], bins(&[0, 1, 40, 41])];
        decide(make, &name, identity("s", 4, 1, points, 2.0), &rounds);
    }
    let far = [bins(&[1 << 40, -(1 << 40), 3, 4]), bins(&[500, 501, 499, 500]), bins(&[70, -70, 90, -90])];
    decide(make, "far outside", identity("s", 4, 1, 16, 1.0), &far);
    let mut lossless = identity("s", 4, 1, 16, 1.0);
    lossless.link = None;
    let rounds = [
        vec![missing; 4],
        vec![missing, missing, Observation::Bin(3), Observation::Bin(4)],
        bins(&[3, 3, 3, 3]),
    ];
    decide(make, "a message that cannot be lost", lossless, &rounds);
    let ties = [
        bins(&[3, 3, 3, 3, 3, 3]),
        bins(&[2, 2, 2, 5, 5, 5]),
        bins(&[2, 3, 4, 5, 6, 7]),
        bins(&[2, 2, 4, 4, 7, 7]),
        vec![missing, missing, Observation::Bin(2), Observation::Bin(3), missing, Observation::Bin(3)],
    ];
    for f in 0..6 {
        decide(make, "ties", identity("s", 6, f, 10, 1.5), &ties);
        let rounds: Vec<Vec<Observation>> = (1..=6)
            .map(|k| (0..6).map(|i| if i < k { liar } else { Observation::Bin(i64::from(i)) }).collect())
            .collect();
        decide(make, "equivocations", identity("s", 6, f, 10, 1.5), &rounds);
    }
    many(make);
}

fn many(make: Make<'_>) {
    let spread =
        |n: usize, of: i64| -> Vec<Observation> {
            (0..n as i64)
                .map(|i| {
                    if i % 11 == 3 {
                        Observation::Missing
                    } else {
                        Observation::Bin(20 + (i * 7 + i * i) % of)
                    }
                })
                .collect()
        };
    let rounds = |n: usize| [spread(n, 9), spread(n, 40), vec![Observation::Missing; n]];
    decide(make, "n = 12, f = 5", identity("s", 12, 5, 40, 3.0), &rounds(12));
    decide(make, "n = 40, f = 1", identity("s", 40, 1, 33, 3.0), &rounds(40));
    decide(make, "n = 128, f = 1", identity("s", 128, 1, 24, 3.0), &rounds(128));
    // Beyond enumeration; only the marginal model, for a search of this size takes its time.
    for (n, f, points) in [(64, 21, 64), (128, 42, 33), (40, 39, 20)] {
        let mut spec = identity("s", n, f, points, 3.0);
        spec.objective = Objective::Marginal;
        let fleet = Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() }).expect("legal");
        let mut batch = Batch::new();
        for observations in &rounds(n) {
            batch.push(Entry {
                model: ModelId(0),
                objective: None,
                wants_marginal: false,
                wants_region: true,
                observations,
                ln_prior: None,
            });
        }
        let (mut found, mut law) = (Decisions::new(), Decisions::new());
        make().evaluate(&fleet, &batch, &mut found).expect("a legal batch");
        check(&format!("n = {n}, f = {f}"), &fleet, &batch, (&found, &mut law));
    }
    let mut wide = identity("s", 5, 2, 4_096, 300.0);
    wide.objective = Objective::Evidence;
    decide(make, "4,096 points", wide, &[bins(&[2_000, 2_100, 1_800, 90, 4_000])]);
}

/// A batch that does not fit its fleet is refused with the round's number; an empty one is none.
///
/// # Panics
/// Where it is not.
pub fn errors(make: Make<'_>) {
    let set = ModelSet { streams: vec![identity("s", 3, 1, 8, 1.0)], ..ModelSet::default() };
    let fleet = Fleet::compile(&set).expect("legal");
    let good = bins(&[1, 2, 3]);
    let entry = Entry {
        model: ModelId(0),
        objective: None,
        wants_marginal: false,
        wants_region: true,
        observations: &good,
        ln_prior: None,
    };
    let mut backend = make();
    let mut decisions = Decisions::new();
    let mut evaluate = |second: Option<Entry<'_>>| {
        let mut batch = Batch::new();
        if let Some(second) = second {
            batch.push(entry);
            batch.push(second);
        }
        backend.evaluate(&fleet, &batch, &mut decisions).map(|()| decisions.len())
    };
    assert_eq!(evaluate(None), Ok(0), "an empty batch");
    let unknown = BackendError::UnknownModel { round: 1, model: ModelId(7) };
    assert_eq!(evaluate(Some(Entry { model: ModelId(7), ..entry })), Err(unknown));
    let short = BackendError::Shape { round: 1, what: "observations", found: 2, expected: 3 };
    assert_eq!(evaluate(Some(Entry { observations: &good[..2], ..entry })), Err(short));
    let prior = BackendError::Shape { round: 1, what: "prior masses", found: 2, expected: 8 };
    assert_eq!(evaluate(Some(Entry { ln_prior: Some(&[-0.5, -0.9]), ..entry })), Err(prior));
    assert_eq!(evaluate(Some(entry)), Ok(2), "a good batch after bad ones");
}

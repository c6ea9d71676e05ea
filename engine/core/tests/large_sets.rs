//! Replica sets of up to 128 and supports of up to 4,096 points.

use centauri_engine::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

fn fleet(n: usize, f: usize, points: usize) -> Fleet {
    let spec = StreamSpec::builder("large", (0..n).map(|i| format!("r{i}")))
        .faults(f)
        .support(Support::new(0.0, 1.0, points).unwrap())
        .output(OutputSpec::identity(Distribution::normal(0.0, 3.0).unwrap()))
        .link(Link::OnTime(0.9))
        .build();
    Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() }).unwrap()
}

/// Values around the middle, the first `liars` anywhere.
fn reports(rng: &mut ChaCha8Rng, n: usize, liars: usize, points: usize) -> Vec<Report> {
    let middle = points as f64 / 2.0;
    (0..n)
        .map(|i| {
            let noise: f64 = StandardNormal.sample(rng);
            match i {
                _ if rng.random_bool(0.05) => Report::Missing,
                i if i < liars => Report::Value(rng.random_range(0.0..points as f64)),
                _ => Report::Value(middle + 3.0 * noise),
            }
        })
        .collect()
}

fn decide(fleet: &Fleet, objective: Objective, reports: &[Report]) -> (Decision, Vec<f64>) {
    let mut session =
        Session::new(fleet.clone(), Box::new(ScalarBackend::new())).with_objective(Some(objective));
    session.push(StreamId(0), 0, reports).unwrap();
    let decisions = session.flush().unwrap();
    (*decisions.decision(0), decisions.honest(0).unwrap().to_vec())
}

fn ln_add(a: f64, b: f64) -> f64 {
    let top = a.max(b);
    if top == f64::NEG_INFINITY { top } else { top + ((a - top).exp() + (b - top).exp()).ln() }
}

/// The marginal distribution by elementary symmetric sums in logarithms, one grid point at a time.
fn ln_marginal(fleet: &Fleet, reports: &[Report], leave_out: Option<usize>) -> Vec<f64> {
    let model = fleet.model(ModelId(0)).unwrap();
    let (n, f, points) = (model.replicas(), model.faults(), model.support().points());
    let rows: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let mut row = vec![0.0; points];
            model.likelihood(i, reports[i].quantise(model.support()), &mut row);
            row
        })
        .collect();
    let ln_choose = |b: usize| (1..=b).map(|k| ((n - k + 1) as f64 / k as f64).ln()).sum::<f64>();
    (0..points)
        .map(|x| {
            let mut sums = vec![f64::NEG_INFINITY; f + 1];
            sums[0] = model.ln_prior()[x];
            for i in 0..n {
                let ln_u = model.ln_faulty(reports[i].quantise(model.support()));
                for b in (0..=f).rev() {
                    // A replica that is asked to be honest is in no set of faulty ones.
                    let faulty =
                        if b > 0 && leave_out != Some(i) { sums[b - 1] + ln_u } else { f64::NEG_INFINITY };
                    sums[b] = ln_add(sums[b] + rows[i][x], faulty);
                }
            }
            (0..=f).map(|b| sums[b] - ln_choose(b)).fold(f64::NEG_INFINITY, ln_add)
        })
        .collect()
}

#[test]
fn marginal_holds_for_128_replicas() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (n, f, points) = (128, 42, 64);
    let fleet = fleet(n, f, points);
    let reports = reports(&mut rng, n, f, points);
    let (decision, honest) = decide(&fleet, Objective::Marginal, &reports);
    let all = ln_marginal(&fleet, &reports, None);
    let total = all.iter().copied().fold(f64::NEG_INFINITY, ln_add);
    assert!((decision.confidence - (all[decision.point] - total).exp()).abs() < 1e-9);
    for i in [0, 1, 41, 42, 100, 127] {
        let with = ln_marginal(&fleet, &reports, Some(i)).into_iter().fold(f64::NEG_INFINITY, ln_add);
        assert!(
            (honest[i] - (with - total).exp()).abs() < 1e-9,
            "{i}: {} {}",
            honest[i],
            (with - total).exp()
        );
    }
    assert_eq!(decision.quorum.len(), n - f);
    assert_eq!(decision.region, None, "there are far more than 200,000 quorums");
    assert!((decision.value - 32.0).abs() <= 2.0);
}

#[test]
fn supports_of_4096_points_and_the_limits_next_to_them() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let fleet = fleet(16, 5, 4_096);
    let reports = reports(&mut rng, 16, 5, 4_096);
    let (decision, _) = decide(&fleet, Objective::Marginal, &reports);
    assert!((decision.value - 2_048.0).abs() <= 5.0, "{decision:?}");
    assert!(decision.region.is_some());
    assert!(Support::new(0.0, 1.0, 4_097).is_err());
    let spec = StreamSpec::builder("large", (0..129).map(|i| format!("r{i}")))
        .output(OutputSpec::identity(Distribution::normal(0.0, 3.0).unwrap()))
        .build();
    let error = Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() }).unwrap_err();
    assert_eq!(error.to_string(), "stream \"large\": replicas: found 129 replicas, expected 1 to 128");
}

#[test]
fn beyond_enumeration_a_decision_says_whether_it_is_proven() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (n, f, points) = (40, 13, 64);
    let fleet = fleet(n, f, points);
    let mut proven = 0;
    for _ in 0..6 {
        let reports = reports(&mut rng, n, 13, points);
        let (joint, _) = decide(&fleet, Objective::Joint, &reports);
        let (evidence, _) = decide(&fleet, Objective::Evidence, &reports);
        let (posterior, _) = decide(&fleet, Objective::Posterior, &reports);
        assert!(joint.exhaustive, "joint is separable");
        assert!(!posterior.exhaustive, "posterior is searched without proof");
        // Whether proven or not, evidence is at least what the other quorums have.
        let best = evidence.log_evidence.unwrap();
        for other in [joint, posterior] {
            assert!(best >= other.log_evidence.unwrap() - 1e-6, "{evidence:?} {other:?}");
        }
        proven += u32::from(evidence.exhaustive);
    }
    println!("{proven} of 6 searches for the evidence were proven");
}

#[test]
fn replicas_that_agree_make_a_large_search_small() {
    // Sixty replicas with three different reports: few quorums up to exchange, so the search is exact.
    let fleet = fleet(60, 19, 64);
    let reports: Vec<Report> = (0..60)
        .map(|i| match i % 4 {
            0 => Report::Value(50.0),
            3 => Report::Missing,
            _ => Report::Value(30.0),
        })
        .collect();
    for objective in Objective::ALL {
        let (decision, _) = decide(&fleet, objective, &reports);
        assert!(decision.exhaustive, "{objective}");
        assert_eq!(decision.quorum.len(), 41);
    }
}

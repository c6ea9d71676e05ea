use super::*;

/// Two routes that swing about each other, measured every 10 minutes and published 10 to 12 minutes later.
fn routes() -> Routes {
    let sample = |k: usize| Sample {
        at_s: k as f64 * 600.0,
        delay_s: if k.is_multiple_of(3) { 590.0 } else { 700.0 },
        times_s: [Some(1_000.0 + 100.0 * (k as f64 / 8.0).sin()), (k % 50 != 7).then_some(1_000.0)],
    };
    Routes {
        choice: "swing".to_owned(),
        names: ["a".to_owned(), "b".to_owned()],
        samples: (0..200).map(sample).collect(),
    }
}

fn of<'a>(lines: &'a [Route], attack: &str, estimator: &str, prior: &str) -> &'a Route {
    let wanted = |r: &&Route| {
        r.attack == attack && r.estimator == estimator && r.prior == prior && r.handicap_s == 0.0
    };
    lines.iter().find(wanted).unwrap()
}

#[test]
fn a_report_is_the_newest_that_was_published() {
    let samples = routes().samples;
    let delays = vec![700.0; 200];
    // Measured at 600·k, heard 700 s later: at sample 10 that of sample 8 is the newest.
    let (times, arrived) = newest(&samples, &delays, 10).unwrap();
    assert_eq!((times, arrived), (both(&samples[8]).unwrap(), 5_500.0));
    // Sample 7 has no time of one route, so that at sample 9 that of sample 6 is.
    assert_eq!(newest(&samples, &delays, 9).unwrap().0, both(&samples[6]).unwrap());
    assert_eq!(newest(&samples, &vec![1e6; 200], 10), None);
}

#[test]
fn choices_are_counted_by_hand() {
    // Errors of a known answer: it takes route b (1,000 s) always, and a was faster whenever the sine was below 0.
    let routes = routes();
    let lines = evaluate(&routes, &Options { repeats: 2, ..Options::default() }).unwrap();
    let always = of(&lines, "none", "always_the_same", "none");
    let truths: Vec<[f64; 2]> = routes.halves().1.iter().filter_map(both).collect();
    let average = routes.halves().0.iter().filter_map(|s| s.times_s[0]).sum::<f64>() / 100.0;
    let chosen = usize::from(1_000.0 < average);
    let right = truths.iter().filter(|t| t[chosen] <= t[1 - chosen]).count() as f64 / truths.len() as f64;
    let regret =
        truths.iter().map(|t| (t[chosen] - t[1 - chosen]).max(0.0)).sum::<f64>() / truths.len() as f64;
    assert_eq!((always.rounds, always.rmse_s), (2 * truths.len(), None));
    assert!((always.right - right).abs() < 1e-12 && (always.regret_s - regret).abs() < 1e-9);
}

#[test]
fn a_far_liar_misleads_the_mean_and_not_the_marginal() {
    let lines = evaluate(&routes(), &Options { repeats: 1, ..Options::default() }).unwrap();
    let again = evaluate(&routes(), &Options { repeats: 1, ..Options::default() }).unwrap();
    assert_eq!(lines, again, "one seed, one result");
    let right = |attack: &str, estimator: &str, prior: &str| of(&lines, attack, estimator, prior).right;
    assert!(right("none", "mean", "none") > 0.85);
    assert!(right("push_30sd", "mean", "none") < 0.3);
    assert!(right("push_30sd", "marginal", "none") > 0.8);
    assert!(right("push_30sd", "marginal", "following") > 0.8);
    // Both routes' last report is a lie as often as the liar's is the last.
    let last = right("push_30sd", "last_value", "none");
    assert!(last < right("none", "last_value", "none"), "{last}");
    assert!(lines.iter().all(|r| r.regret_s >= 0.0 && (0.0..=1.0).contains(&r.right)));
}

#[test]
fn more_faults_than_replicas_are_refused() {
    assert!(evaluate(&routes(), &Options { faults: 4, ..Options::default() }).is_err());
}

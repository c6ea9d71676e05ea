//! The choice of routes through the whole system over sockets, against the offline evaluation.

use centauri_bench::routes::data::{Routes, Sample};
use centauri_bench::routes::lie::Lie;
use centauri_bench::routes::{Options, data, live};
use std::path::Path;

fn check(routes: &Routes, lie: Lie) -> live::Live {
    let found = live::compare(routes, &Options::default(), lie).unwrap();
    println!("{}: {found:?}", routes.choice);
    assert_eq!(found.departures, routes.halves().1.len());
    // Loopback loses nothing at this pace; if it does, decisions may differ, and it is told instead.
    if found.lost > 0 {
        println!("skipped the comparison: {} times something was lost on the way", found.lost);
        return found;
    }
    assert_eq!(found.reports_same, found.departures, "{found:?}");
    assert_eq!(found.same, [found.departures; 2], "{found:?}");
    // Some 1e-9 of the times has been seen.
    assert!(found.difference_max_s < 1e-4, "{found:?}");
    found
}

#[test]
fn real_routes_are_chosen_as_by_the_offline_evaluation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let Some(folder) = data::within(&folder) else {
        println!("skipped: there are no real readings here");
        return;
    };
    let routes = &data::read(&folder).unwrap()[0];
    let found = check(routes, Lie::FarPush);
    // Each route is chosen now and then, so that the same choices mean something.
    assert!(found.first[1] > 20 && found.first[1] < found.departures - 20, "{found:?}");
    assert!(found.published > 0 && found.taken > 0, "{found:?}");
}

/// Two routes that swing about each other, with delays of up to three measurements, in no order, and measurements that are missing.
fn swinging() -> Routes {
    let sample = |k: usize| Sample {
        at_s: k as f64 * 600.0 + if k > 70 { 9_000.0 } else { 0.0 },
        delay_s: [590.0, 1_700.0, 60.0, 700.0, 600.0][k * 7 % 5],
        times_s: [Some(1_000.0 + 100.0 * (k as f64 / 8.0).sin()), (k % 20 != 7).then_some(1_000.0)],
    };
    Routes {
        choice: "swing".to_owned(),
        names: ["a".to_owned(), "b".to_owned()],
        samples: (0..120).map(sample).collect(),
    }
}

#[test]
fn every_lie_is_told_alike() {
    for lie in Lie::ALL {
        check(&swinging(), lie);
    }
}

//! What the benches measure, from the works of the harness.
//!
//! `cargo bench -p centauri-benches` measures; the tests run each bench's body once at a small size, so that it cannot rot, and
//! print a hash of its result.

use centauri_bench::speed::contenders::{self, Wanted};
use centauri_bench::speed::measure::Contender;
use centauri_bench::speed::work::Work;
use centauri_engine::{Distribution, DistributionError, Objective};

/// The works that are measured: A to D, A by every objective, a large support, and sets too large to enumerate.
#[must_use]
pub fn works() -> Vec<Work> {
    let named = |name: &str| Work::named(name).into_iter();
    let a = || named("A");
    let mut works: Vec<Work> = ["A", "B", "C", "D"].into_iter().flat_map(named).collect();
    works.extend(a().map(|work| Work { objective: Objective::Posterior, ..work.called("A_posterior") }));
    works.extend(a().map(|work| Work { objective: Objective::Joint, ..work.called("A_joint") }));
    works.extend(a().map(|work| Work { region: true, ..work.called("A_region") }));
    let large = |name: &'static str, n, f, points, objective| {
        a().map(move |work| Work { n, f, points, objective, ..work.called(name) })
    };
    works.extend(large("n128_f63_4096_marginal", 128, 63, 4_096, Objective::Marginal));
    works.extend(large("n48_f15_64_evidence", 48, 15, 64, Objective::Evidence));
    works.extend(large("n48_f15_64_joint", 48, 15, 64, Objective::Joint));
    works
}

/// Rounds of a batch of a work, so that a batch takes milliseconds.
#[must_use]
pub fn rounds(work: &Work) -> usize {
    if work.n > 32 { 4 } else { 64 }
}

/// Every backend on one thread: scalar, SIMD at each level there is, and the GPU where there is one.
///
/// # Errors
/// A backend that cannot be opened.
pub fn backends() -> anyhow::Result<Vec<Contender>> {
    contenders::open(&Wanted { backends: &[], level: None, threads: 1 })
}

/// A name of a backend for a bench.
#[must_use]
pub fn label(contender: &Contender) -> String {
    match &contender.by.level {
        Some(level) => format!("{}-{level}", contender.by.backend),
        None => contender.by.backend.clone(),
    }
}

/// Distributions whose masses are tabulated.
///
/// # Errors
/// Never: the parameters are legal.
pub fn distributions() -> Result<[(&'static str, Distribution); 6], DistributionError> {
    Ok([
        ("normal", Distribution::normal(0.0, 1.0)?),
        ("laplace", Distribution::laplace(0.0, 1.0)?),
        ("logistic", Distribution::logistic(0.0, 1.0)?),
        ("gamma", Distribution::gamma(3.5, 1.0)?),
        ("student_t", Distribution::student_t(4.0, 0.0, 1.0)?),
        ("binomial", Distribution::binomial(64, 0.3)?),
    ])
}

/// A table of `cells` log-masses of bins from −8 on, and their sum.
#[must_use]
pub fn table(distribution: &Distribution, cells: usize) -> f64 {
    let width = 24.0 / cells as f64;
    let mass = |i: usize| distribution.ln_mass(-8.0 + i as f64 * width, -8.0 + (i + 1) as f64 * width);
    (0..cells).map(mass).filter(|ln| ln.is_finite()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use centauri_bench::speed::work::{MODELS, digest};
    use centauri_engine::{Decisions, Status};

    #[test]
    fn evaluation_decides_alike_by_every_backend() {
        let mut contenders = backends().unwrap();
        for work in works() {
            let rounds = if work.points > 1_000 { 1 } else { 4 };
            let (fleet, batch) = (work.fleet().unwrap(), work.batch(rounds, 1).unwrap());
            let mut digests = Vec::new();
            for contender in &mut contenders {
                let mut decisions = Decisions::new();
                contender.backend.evaluate(&fleet, &batch, &mut decisions).unwrap();
                for i in 0..rounds {
                    let decision = decisions.decision(i);
                    assert_eq!(decision.status, Status::Decided, "{}", work.name);
                    assert_eq!(decision.quorum.len(), work.n - work.f, "{}", work.name);
                }
                digests.push(digest(&decisions, rounds));
            }
            println!("evaluation/{}: {:016x}", work.name, digests[0]);
            assert!(digests.iter().all(|digest| *digest == digests[0]), "{}: {digests:x?}", work.name);
        }
    }

    #[test]
    fn compilation_gives_the_models() {
        for work in works() {
            let fleet = work.fleet().unwrap();
            assert_eq!(fleet.models(), MODELS);
            println!("compilation/{}: {} bytes of tables", work.name, fleet.table_bytes());
        }
    }

    #[test]
    fn tables_hold_what_they_should() {
        for (name, distribution) in distributions().unwrap() {
            let sum = table(&distribution, 64);
            println!("table/{name}: {:016x}", sum.to_bits());
            assert!(sum.is_finite() && sum < 0.0, "{name}: {sum}");
        }
    }
}

//! Many seeds, on several threads.

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{Finding, Outcome, Plan, Sabotage, Violation, run};

/// Runs what a seed stands for. A panic is a violation too: nothing that comes from outside may cause one.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run_seed(seed: u64, sabotage: Sabotage, log: Option<&mut dyn Write>) -> Result<Outcome, Violation> {
    let plan = Plan::of_seed(seed);
    // Nothing that the run has touched is looked at after a panic.
    let ran = std::panic::catch_unwind(AssertUnwindSafe(|| match log {
        Some(log) => run(&plan, sabotage, Some(log)),
        None => run(&plan, sabotage, None),
    }));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message");
        let finding = Finding::new("nothing panics", "", text);
        Err(Violation::new(seed, finding, sabotage))
    })
}

/// What many runs came to.
#[derive(Debug, Clone, Default)]
pub struct Swept {
    /// How many seeds were run.
    pub seeds: u64,
    /// How many steps all of them took.
    pub steps: u64,
    /// How often what happened, by name.
    pub tally: BTreeMap<&'static str, u64>,
    /// Of the seeds whose run broke an invariant the smallest that was found.
    pub violation: Option<Box<Violation>>,
}

/// Runs `count` seeds from `first` on, on so many threads; ends early once a violation is found. `progress` is told from time to
/// time how many are done.
pub fn sweep(
    first: u64,
    count: u64,
    threads: usize,
    sabotage: Sabotage,
    progress: &(dyn Fn(u64) + Sync),
) -> Swept {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let swept = Mutex::new(Swept::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    let ran = run_seed(first.wrapping_add(at), sabotage, None);
                    if ran.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    // A thread that panicked has lost its own run only.
                    let mut swept = swept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    swept.enter(ran);
                    let done = swept.seeds;
                    drop(swept);
                    progress(done);
                }
            });
        }
    });
    swept.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Swept {
    fn enter(&mut self, ran: Result<Outcome, Violation>) {
        self.seeds += 1;
        match ran {
            Ok(outcome) => {
                self.steps += outcome.steps;
                for (name, count) in outcome.tally {
                    *self.tally.entry(name).or_default() += count;
                }
            }
            Err(violation) => {
                let earlier = self.violation.as_ref().is_some_and(|known| known.seed < violation.seed);
                if !earlier {
                    self.violation = Some(Box::new(violation));
                }
            }
        }
    }
}

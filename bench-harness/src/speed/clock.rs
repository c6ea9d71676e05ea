//! Clocks. On a machine that others use too, processor time says what a computation costs, and time on the wall what was
//! waited for.

use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::time::Instant;

/// Readings of all clocks at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    wall: Instant,
    process_s: f64,
    own_s: f64,
    others_s: BTreeMap<u32, f64>,
}

/// What passed between two readings, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elapsed {
    /// On the wall.
    pub wall_s: f64,
    /// Processor time of all threads together.
    pub cpu_s: f64,
    /// Processor time of the thread that had most: what would be waited for if nobody else used the machine.
    pub busiest_s: f64,
}

impl Reading {
    /// Reads the clocks of the process, of the calling thread and of every other one.
    #[must_use]
    pub fn now() -> Self {
        Self {
            wall: Instant::now(),
            process_s: seconds(ClockId::ProcessCPUTime),
            own_s: thread_cpu_s(),
            others_s: threads(),
        }
    }

    /// What has passed since. Called by the thread that made the reading.
    #[must_use]
    pub fn elapsed(&self) -> Elapsed {
        let now = Self::now();
        let others = now.others_s.iter().map(|(id, s)| s - self.others_s.get(id).copied().unwrap_or(0.0));
        Elapsed {
            wall_s: now.wall.duration_since(self.wall).as_secs_f64(),
            cpu_s: now.process_s - self.process_s,
            busiest_s: others.fold(now.own_s - self.own_s, f64::max),
        }
    }
}

/// Processor time of the calling thread, user and system together, in seconds.
#[must_use]
pub fn thread_cpu_s() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Processor time of every thread but the calling one, by id. The system keeps it up to date for threads that wait, as those
/// of a pool do when their batch is done; nothing where it does not keep it at all.
fn threads() -> BTreeMap<u32, f64> {
    let own = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return BTreeMap::new() };
    let time = |task: std::fs::DirEntry| {
        let id = task.file_name().to_str()?.parse::<u32>().ok()?;
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        let nanoseconds = text.split_whitespace().next()?.parse::<u64>().ok()?;
        (id != own).then_some((id, nanoseconds as f64 * 1e-9))
    };
    tasks.flatten().filter_map(time).collect()
}

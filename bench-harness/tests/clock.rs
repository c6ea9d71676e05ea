//! The clocks, in a process of their own: the threads of other tests would count as busy ones of this process.

use centauri_bench::speed::clock::{Reading, thread_cpu_s};
use std::sync::mpsc::channel;
use std::time::Duration;

#[test]
fn the_busiest_thread_is_found_and_sleep_costs_nothing() {
    let work = || {
        let until = thread_cpu_s() + 0.03;
        while thread_cpu_s() < until {}
    };
    std::thread::scope(|scope| {
        let (begin, begun) = channel();
        let (end, ended) = channel();
        scope.spawn(move || {
            while begun.recv().is_ok() {
                work();
                let _ = end.send(());
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let reading = Reading::now();
        begin.send(()).unwrap();
        ended.recv().unwrap();
        std::thread::sleep(Duration::from_millis(10));
        let elapsed = reading.elapsed();
        assert!(elapsed.wall_s >= 0.04, "{elapsed:?}");
        assert!((0.025..0.06).contains(&elapsed.busiest_s), "{elapsed:?}");
        assert!(elapsed.cpu_s >= 0.03, "{elapsed:?}");
        drop(begin);
    });
}

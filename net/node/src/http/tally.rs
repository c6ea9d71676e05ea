//! What a thread that decides has counted, for others to read.

use centauri_roles::count_of_both;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The counters of one thread, as it last told them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<Map<String, Value>>>);

impl Tally {
    /// Tells the counters, unless somebody reads the last ones at this moment.
    pub(super) fn tell(&self, counters: Map<String, Value>) {
        if let Ok(mut told) = self.0.try_lock() {
            *told = counters;
        }
    }

    /// What was told under a name.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn read(&self) -> Map<String, Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What all threads counted: sums, and of the largest values the largest; and the texts among the counters. The parts of a name
/// are joined by `_`.
pub(super) fn sum(tallies: &[Tally]) -> (BTreeMap<String, u64>, BTreeMap<String, String>) {
    let (mut numbers, mut texts) = (BTreeMap::new(), BTreeMap::new());
    for tally in tallies {
        let mut waiting: Vec<(String, Value)> = tally.read().into_iter().collect();
        while let Some((name, value)) = waiting.pop() {
            match value {
                Value::Object(parts) => {
                    waiting.extend(parts.into_iter().map(|(part, value)| (format!("{name}_{part}"), value)));
                }
                Value::String(text) => drop(texts.insert(name, text)),
                other => {
                    let Some(count) = other.as_u64() else { continue };
                    let sum: &mut u64 = numbers.entry(name.clone()).or_default();
                    *sum = count_of_both(&name, *sum, count);
                }
            }
        }
    }
    (numbers, texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_all_threads_are_one() {
        let tallies = [Tally::default(), Tally::default(), Tally::default()];
        for (tally, n) in tallies.iter().zip([3_u64, 5]) {
            let counters = serde_json::json!({"a": n, "late_max_ns": n, "verifier": "strict", "driver": {"b": 1, "c": {"d": n}}, "no": 0.5});
            tally.tell(counters.as_object().unwrap().clone());
        }
        let (numbers, texts) = sum(&tallies);
        let expected = [("a", 8), ("driver_b", 2), ("driver_c_d", 8), ("late_max_ns", 5)];
        assert_eq!(numbers, expected.map(|(name, n)| (name.to_owned(), n)).into());
        assert_eq!(texts, [("verifier".to_owned(), "strict".to_owned())].into());
    }
}

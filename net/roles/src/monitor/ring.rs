//! The newest values of one sender.

/// A ring of the newest values.
#[derive(Debug)]
pub(super) struct Ring {
    values: Vec<f64>,
    values_max: usize,
    oldest: usize,
    /// When the sender was last heard.
    pub(super) heard_ns: i64,
}

impl Ring {
    pub(super) fn new(values_max: usize) -> Self {
        Self { values: Vec::new(), values_max, oldest: 0, heard_ns: i64::MIN }
    }

    pub(super) fn push(&mut self, value: f64) {
        if self.values.len() < self.values_max {
            self.values.push(value);
        } else if let Some(oldest) = self.values.get_mut(self.oldest) {
            *oldest = value;
            self.oldest = (self.oldest + 1) % self.values_max;
        }
    }

    /// The values, in no order.
    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_values_are_kept() {
        let mut ring = Ring::new(3);
        for value in 0..8 {
            ring.push(f64::from(value));
        }
        let mut kept = ring.values().to_vec();
        kept.sort_by(f64::total_cmp);
        assert_eq!(kept, [5.0, 6.0, 7.0]);
    }
}

//! Random choices that a seed determines.

use centauri_roles::SplitMix64;

/// A generator with the choices that a simulation makes.
///
/// ```
/// use centauri_sim::Dice;
/// let mut dice = Dice::new(7, 1);
/// assert!((3..=5).contains(&dice.between(3, 5)));
/// assert_eq!(Dice::new(7, 1).bits(), Dice::new(7, 1).bits());
/// ```
#[derive(Debug, Clone)]
pub struct Dice(SplitMix64);

impl Dice {
    /// The choices of `seed` for one `purpose`: what is drawn for another does not shift them.
    #[must_use]
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mixed = SplitMix64::new(seed).bits() ^ SplitMix64::new(purpose.wrapping_mul(0x9e37)).bits();
        Self(SplitMix64::new(mixed))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.bits()
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        self.0.unit()
    }

    /// A whole number below `count`; 0 where that is 0. The bias of the remainder does not matter here.
    pub fn below(&mut self, count: usize) -> usize {
        (self.bits() % (count.max(1) as u64)) as usize
    }

    /// A whole number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low).saturating_add(1);
        low.saturating_add_unsigned(self.bits() % span)
    }

    /// A number in `[low, high)`.
    pub fn real(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the items; `None` of none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let at = self.below(items.len());
        items.get(at)
    }

    /// An exponential time of this mean, in nanoseconds; at most twenty times the mean.
    pub fn exponential(&mut self, mean_ns: i64) -> i64 {
        let mean = mean_ns as f64;
        (-(1.0 - self.unit()).ln() * mean).min(20.0 * mean) as i64
    }

    /// A standard normal number, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

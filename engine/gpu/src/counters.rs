//! What was decided where, and why.

/// Why a round was decided by the fallback and not on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// There was no working device.
    Device,
    /// The round has a prior of its own, or its marginal distribution is to be kept.
    Following,
    /// A replica equivocated.
    Equivocated,
    /// A report for which the tables have no row in advance.
    Outside,
    /// More replicas, faults, points or quorums than the kernels take, or an objective they do not know.
    Large,
    /// The model has fault groups, which the kernels do not know.
    Grouped,
    /// Likelihoods or priors whose range float32 cannot hold, or a device without room for the tables.
    Range,
    /// On the device all weights fell below what float32 can be trusted with; nothing is possible, perhaps.
    Unsound,
    /// The choice of the quorum does not stand beyond float32's error.
    Uncertain,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 9] = [
        Self::Device,
        Self::Following,
        Self::Equivocated,
        Self::Outside,
        Self::Large,
        Self::Grouped,
        Self::Range,
        Self::Unsound,
        Self::Uncertain,
    ];

    /// The name in listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Device => "no device",
            Self::Following => "following prior",
            Self::Equivocated => "equivocation",
            Self::Outside => "report outside the tables",
            Self::Large => "beyond the kernels",
            Self::Grouped => "fault groups",
            Self::Range => "beyond float32 or device memory",
            Self::Unsound => "underflow",
            Self::Uncertain => "quorum within float32's error",
        }
    }
}

/// Sums over the life of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Rounds decided on the device.
    pub on_device: u64,
    /// Of these, rounds whose value or quorum was settled in float64 among the few within float32's error.
    pub settled: u64,
    /// Rounds decided by the fallback, by [`Reason`].
    fallback: [u64; Reason::ALL.len()],
    /// Bytes of rounds that went to the device, and of decisions that came back; tables are not counted.
    pub bytes_up: u64,
    /// See `bytes_up`.
    pub bytes_down: u64,
    /// Bytes of tables and headers of models that went to the device.
    pub table_bytes: u64,
    /// Submissions to the device.
    pub submissions: u64,
}

impl Counters {
    /// Rounds decided by the fallback for `reason`.
    #[must_use]
    pub fn fallback(&self, reason: Reason) -> u64 {
        self.fallback[reason as usize]
    }

    /// All rounds decided by the fallback.
    #[must_use]
    pub fn fallbacks(&self) -> u64 {
        self.fallback.iter().sum()
    }

    pub(crate) fn fell_back(&mut self, reason: Reason) {
        self.fallback[reason as usize] += 1;
    }
}

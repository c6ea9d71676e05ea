//! The shaders' text, put together for the shapes that occur.

/// Most replicas that any kernel takes.
pub(crate) const REPLICAS_MAX: usize = 128;
/// Most replicas of a search over quorums: a quorum is the bits of a word.
pub(crate) const SEARCH_REPLICAS_MAX: usize = 32;
/// Most faulty replicas: an invocation for each number left out.
pub(crate) const FAULTS_MAX: usize = 63;
/// Most points of a support: their weights lie in workgroup memory.
pub(crate) const POINTS_MAX: usize = 2_048;
/// Most turns of loops of one invocation. Mesa's software driver ends every loop after 65,535 turns of all loops together,
/// and cards are reset when a kernel takes too long.
pub(crate) const TURNS_MAX: u64 = 60_000;
/// Replicas and faults up to which an invocation holds all sums of its grid point.
const FEW_REPLICAS_MAX: usize = 12;
const FEW_FAULTS_MAX: usize = 3;

/// A program for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kernel {
    /// The marginal model with few faults: an invocation a grid point.
    MarginalFew,
    /// The marginal model: an invocation for a grid point and a number of faults.
    MarginalMany,
    /// The search over quorums.
    Search,
    /// The hull of the most probable points over all quorums.
    Region,
}

/// A kernel with its sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variant {
    /// The program.
    pub kernel: Kernel,
    /// Invocations of a workgroup.
    pub workgroup: u32,
    /// Most replicas.
    pub replicas: u32,
    /// Most points.
    pub points: u32,
    /// Most numbers of faulty replicas (a power of two), or points of a tile, where the kernel has them.
    pub extra: u32,
}

/// How many times along the replicas the recurrence is kept: less where the weights need the room.
fn marks(points: u32) -> u32 {
    if points <= 64 { 4 } else { 2 }
}

fn points_class(points: usize) -> u32 {
    [64, 256, 1024].into_iter().find(|&class| points <= class as usize).unwrap_or(POINTS_MAX as u32)
}

impl Variant {
    /// The kernel of the marginal model for `n` replicas of which `f` may lie.
    #[must_use]
    pub fn marginal(n: usize, f: usize, points: usize) -> Self {
        let points = points_class(points);
        if n <= FEW_REPLICAS_MAX && f <= FEW_FAULTS_MAX {
            let replicas = if n <= 8 { 8 } else { FEW_REPLICAS_MAX as u32 };
            return Self { kernel: Kernel::MarginalFew, workgroup: 64, replicas, points, extra: 0 };
        }
        let replicas = if n <= 64 { 64 } else { 128 };
        let extra = ((f + 1).next_power_of_two() as u32).max(4);
        Self { kernel: Kernel::MarginalMany, workgroup: 128, replicas, points, extra }
    }

    /// The search over quorums of `n` replicas.
    #[must_use]
    pub fn search(n: usize, points: usize) -> Self {
        let points = points_class(points);
        let (workgroup, replicas, extra) = match n {
            0..=8 => (64, 8, 64),
            9..=16 => (128, 16, 64),
            _ => (128, SEARCH_REPLICAS_MAX as u32, 32),
        };
        Self { kernel: Kernel::Search, workgroup, replicas, points, extra }
    }

    /// The region over quorums of `n` replicas.
    #[must_use]
    pub fn region(n: usize, points: usize) -> Self {
        Self { kernel: Kernel::Region, points: 1, ..Self::search(n, points) }
    }

    /// Whether the weights of so many points fit into workgroup memory beside what else the kernel keeps there.
    pub(crate) fn fits(&self) -> bool {
        let most = match (self.kernel, self.replicas) {
            (Kernel::MarginalMany, 128) => 256,
            (Kernel::MarginalMany, _) => 1_024,
            _ => POINTS_MAX as u32,
        };
        self.points <= most
    }

    /// Turns of all loops that one invocation may take for a round, at most.
    pub(crate) fn turns(&self, n: usize, f: usize, points: usize, quorums: u64) -> u64 {
        let [n, f, points] = [n, f, points].map(|size| size as u64);
        let (workgroup, extra) = (u64::from(self.workgroup), u64::from(self.extra));
        let tail = 6 * points.div_ceil(workgroup) + 8 * n + 60;
        match self.kernel {
            Kernel::MarginalFew => points.div_ceil(workgroup) * (n * (n + 5) / 2 + n + 40) + tail,
            Kernel::MarginalMany => {
                let groups = points.div_ceil(workgroup / extra);
                // The recurrence twice forwards, once more from the marks, within blocks and backwards.
                let marks = n.div_ceil(8) * u64::from(self.replicas / marks(self.points) / 2);
                groups * (4 * n + marks + 3 * n.div_ceil(8) * 10 + f + workgroup / extra) + tail
            }
            Kernel::Search | Kernel::Region => {
                let tiles = points.div_ceil(extra);
                let tile = extra / 16 * (n - f + 1)
                    + if tiles > 1 { (n + 1) * extra / 4 / workgroup + 2 } else { 0 };
                quorums.div_ceil(workgroup) * (tiles * tile + n + 2) + points.div_ceil(workgroup) * n + tail
            }
        }
    }

    /// Every variant there is, the one for the smallest sets and supports of each kernel first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for points in [64, 256, 1024, POINTS_MAX] {
            for (n, f) in
                [(7, 2), (12, 3), (32, 3), (16, 5), (32, 10), (64, 21), (64, 40), (100, 33), (128, 63)]
            {
                all.push(Self::marginal(n, f, points));
            }
            for n in [7, 16, 32] {
                all.extend([Self::search(n, points), Self::region(n, points)]);
            }
        }
        all.retain(Self::fits);
        all.sort();
        all.dedup();
        all
    }

    /// What is put in front of the kernel's text.
    fn constants(&self) -> String {
        let Self { workgroup, replicas, points, extra, .. } = *self;
        let (scratch, own) = match self.kernel {
            Kernel::MarginalFew => (replicas * (workgroup + 1), String::new()),
            Kernel::MarginalMany => {
                let spacing = replicas / marks(points);
                (9 * workgroup, format!("const J: u32 = {extra}u;\nconst SPACING: u32 = {spacing}u;\n"))
            }
            Kernel::Search | Kernel::Region => (0, format!("const TILE: u32 = {extra}u;\n")),
        };
        let scratch = scratch.max(2 * workgroup);
        // Each recurrence step rounds a few times; twice the worst that all steps together can amount to.
        let band = match (self.kernel, replicas) {
            (Kernel::MarginalMany, 128) => "0.00048828125",
            (Kernel::MarginalMany, _) => "0.000244140625",
            (_, 32) => "0.0001220703125",
            _ => "0.00006103515625",
        };
        format!(
            "const WG: u32 = {workgroup}u;\nconst N: u32 = {replicas}u;\nconst P: u32 = {points}u;\n\
             const SCRATCH: u32 = {scratch}u;\nconst BAND: f32 = {band};\n{own}"
        )
    }

    /// The whole WGSL text. Its entry point is `main`.
    #[must_use]
    pub fn text(&self, subgroups: bool) -> String {
        let reduce = if subgroups {
            include_str!("../../../shaders/reduce_subgroup.wgsl")
        } else {
            include_str!("../../../shaders/reduce_shared.wgsl")
        };
        let common = include_str!("../../../shaders/common.wgsl");
        let honest = include_str!("../../../shaders/honest.wgsl");
        let (shared, kernel) = match self.kernel {
            Kernel::MarginalFew => (honest, include_str!("../../../shaders/marginal_few.wgsl")),
            Kernel::MarginalMany => (honest, include_str!("../../../shaders/marginal_many.wgsl")),
            Kernel::Search => ("", include_str!("../../../shaders/search.wgsl")),
            Kernel::Region => ("", include_str!("../../../shaders/region.wgsl")),
        };
        [self.constants().as_str(), reduce, common, shared, kernel].join("\n")
    }
}

impl std::fmt::Display for Variant {
    /// A short name, such as `search-16x64`: replicas and points, and faults or points of a tile.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { replicas, points, extra, .. } = self;
        match self.kernel {
            Kernel::MarginalFew => write!(f, "marginal_few-{replicas}x{points}"),
            Kernel::MarginalMany => write!(f, "marginal_many-{replicas}x{points}-{extra}"),
            Kernel::Search => write!(f, "search-{replicas}x{points}-{extra}"),
            Kernel::Region => write!(f, "region-{replicas}-{extra}"),
        }
    }
}

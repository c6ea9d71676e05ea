//! Seeds of a cell's own.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// A seed made of the run's seed and a name: FNV-1a over both, mixed by SplitMix64's finisher.
#[must_use]
pub fn of(seed: u64, name: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
    let mut x =
        bytes.fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    // A result file's numbers go through readers that know no integers beyond 2⁵³.
    (x ^ (x >> 31)) >> 11
}

/// The generator of `seed`.
#[must_use]
pub fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

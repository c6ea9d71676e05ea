//! Which vector instructions there are.

use fearless_simd::Level;

/// A set of vector instructions for which the backend has code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SimdLevel {
    /// AVX-512 as of Ice Lake and Zen 4: 512 bits, 32 registers.
    Avx512,
    /// AVX2 with fused multiply-add: 256 bits.
    Avx2,
    /// NEON: 128 bits, on every 64-bit ARM.
    Neon,
    /// What every machine of the target has: SSE2 on 64-bit x86.
    Baseline,
}

impl SimdLevel {
    /// The levels that this machine has, the fastest first.
    ///
    /// ```
    /// let levels = centauri_engine::SimdLevel::present();
    /// assert_eq!(levels[0], centauri_engine::SimdLevel::best());
    /// ```
    #[must_use]
    pub fn present() -> Vec<Self> {
        [Self::Avx512, Self::Avx2, Self::Neon, Self::Baseline]
            .into_iter()
            .filter(|l| l.is_present())
            .collect()
    }

    /// The fastest level that this machine has.
    #[must_use]
    pub fn best() -> Self {
        Self::present().first().copied().unwrap_or(Self::Baseline)
    }

    /// The name, as `centauri backends` prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Baseline if cfg!(any(target_arch = "x86", target_arch = "x86_64")) => "sse2",
            Self::Baseline => "baseline",
        }
    }

    fn is_present(self) -> bool {
        match self {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::Avx512 => Level::new().as_avx512().is_some(),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::Avx2 => Level::new().as_avx2().is_some(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Level::new().as_neon().is_some(),
            Self::Baseline => !cfg!(target_arch = "aarch64"),
            #[cfg_attr(
                not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")),
                expect(unreachable_patterns, reason = "every other level belongs to one of these")
            )]
            _ => false,
        }
    }

    /// The token that lets this level's code run; the baseline's where the machine lacks the level.
    pub(super) fn token(self) -> Level {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        match self {
            Self::Avx512 => {
                if let Some(token) = Level::new().as_avx512() {
                    return Level::Avx512(token);
                }
            }
            Self::Avx2 => {
                if let Some(token) = Level::new().as_avx2() {
                    return Level::Avx2(token);
                }
            }
            Self::Neon | Self::Baseline => {}
        }
        Level::baseline()
    }
}

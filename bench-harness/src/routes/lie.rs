//! What a replica says of two routes when it lies.

/// What the liar does. It always lies of both routes, and is as late as it would be if it were honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It does not.
    None,
    /// The faster route's time is told 3 sd too long, the slower one's 3 sd too short.
    Push,
    /// The same with 30 sd.
    FarPush,
    /// Each route's time is told of the other.
    Swap,
    /// The first times that it had.
    Stuck,
    /// The times of 24 hours before.
    Yesterday,
    /// Nothing.
    Silent,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Push, Self::FarPush, Self::Swap, Self::Stuck, Self::Yesterday, Self::Silent];

    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Push => "push_3sd",
            Self::FarPush => "push_30sd",
            Self::Swap => "swap",
            Self::Stuck => "stuck",
            Self::Yesterday => "yesterday",
            Self::Silent => "silent",
        }
    }
}

/// What the liar knows when it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knowledge {
    /// Its own honest report of each route.
    pub own: [f64; 2],
    /// The routes' true times now.
    pub truth: [f64; 2],
    /// Its first report.
    pub first: [f64; 2],
    /// Times of a day before, where there are any.
    pub yesterday: Option<[f64; 2]>,
    /// Standard deviation of an honest report's error, of each route.
    pub sd: [f64; 2],
}

impl Lie {
    /// The lie about each route; none if it is silent.
    #[must_use]
    pub fn told(self, known: &Knowledge) -> Option<[f64; 2]> {
        let slower = usize::from(known.truth[1] > known.truth[0]);
        let pushed = |sds: f64| {
            [0, 1].map(|route| {
                let towards = if route == slower { -1.0 } else { 1.0 };
                // No travel time is less than nothing.
                (known.truth[route] + towards * sds * known.sd[route]).max(0.0)
            })
        };
        match self {
            Self::None => Some(known.own),
            Self::Push => Some(pushed(3.0)),
            Self::FarPush => Some(pushed(30.0)),
            Self::Swap => Some([known.own[1], known.own[0]]),
            Self::Stuck => Some(known.first),
            Self::Yesterday => Some(known.yesterday.unwrap_or(known.own)),
            Self::Silent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_make_the_slower_route_look_faster() {
        let known = Knowledge {
            own: [101.0, 199.0],
            truth: [100.0, 200.0],
            first: [1.0, 2.0],
            yesterday: None,
            sd: [10.0, 5.0],
        };
        for (lie, told) in [
            (Lie::None, Some([101.0, 199.0])),
            (Lie::Push, Some([130.0, 185.0])),
            (Lie::FarPush, Some([400.0, 50.0])),
            (Lie::Swap, Some([199.0, 101.0])),
            (Lie::Stuck, Some([1.0, 2.0])),
            (Lie::Yesterday, Some([101.0, 199.0])),
            (Lie::Silent, None),
        ] {
            assert_eq!(lie.told(&known), told, "{lie:?}");
        }
        let other = Knowledge { truth: [200.0, 100.0], ..known };
        assert_eq!(Lie::Push.told(&other), Some([170.0, 115.0]));
    }
}

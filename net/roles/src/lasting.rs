//! What of a role outlives its process.

use centauri_engine::Distribution;
use centauri_wire::NodeId;

use crate::{Client, Follower, Monitor, Relay, Replica, Role, Source};

/// A role of which a driver with a journal keeps what must outlive the process.
///
/// - Nonces of others: the driver tells how far timestamps are reserved ([`crate::Reservation`]), and the next process begins above what
///   was.
/// - Its own nonces, timestamps and rounds begin at the time at which it is made. A driver makes it when its clock has passed
///   what was reserved before, so that none is given out twice.
/// - The requests that it serves, and the distributions that were published: the driver keeps them and hands them back.
pub trait Lasting: Role {
    /// Accepts no timestamp from now on that is both after `reserved_ns` and ahead of the clock.
    fn reserve_until(&mut self, reserved_ns: i64);

    /// The newest timestamp of a frame that was accepted.
    fn newest_accepted_ns(&self) -> Option<i64>;

    /// The requests that it serves as bytes, by node and number; none unless the role serves any.
    fn kept_requests(&self) -> Vec<((NodeId, u64), Vec<u8>)> {
        Vec::new()
    }

    /// Takes up a request that was kept, until it expires; says whether it could: what it asks for may be gone.
    fn restore_request(&mut self, _now_ns: i64, _kept: &[u8]) -> bool {
        false
    }

    /// The distributions that were published last, by name, and when; none unless the role has to do with any.
    fn published(&self) -> Box<dyn Iterator<Item = (&str, &Distribution, i64)> + '_> {
        Box::new(std::iter::empty())
    }
}

/// All of it by the methods of the same names.
macro_rules! lasting {
    ($role:ident: $($what:ident)*) => {
        impl Lasting for $role {
            fn reserve_until(&mut self, reserved_ns: i64) {
                Self::reserve_until(self, reserved_ns);
            }

            fn newest_accepted_ns(&self) -> Option<i64> {
                Self::newest_accepted_ns(self)
            }

            $(lasting!(@$what);)*
        }
    };
    (@requests) => {
        fn kept_requests(&self) -> Vec<((NodeId, u64), Vec<u8>)> {
            Self::kept_requests(self).collect()
        }

        fn restore_request(&mut self, now_ns: i64, kept: &[u8]) -> bool {
            Self::restore_request(self, now_ns, kept)
        }
    };
    (@distributions) => {
        fn published(&self) -> Box<dyn Iterator<Item = (&str, &Distribution, i64)> + '_> {
            Box::new(Self::published(self))
        }
    };
}

lasting!(Client: requests distributions);
lasting!(Relay: requests distributions);
lasting!(Replica: requests);
lasting!(Source: requests);
lasting!(Monitor: distributions);
lasting!(Follower:);

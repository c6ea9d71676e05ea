//! The works: what is sent, and how it is received.

use super::traffic::Mix;
use centauri_wire::{RECORDS_MAX, VerifierChoice};

/// What carries the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A datagram each.
    Datagrams,
    /// One TCP connection.
    Connection,
}

/// One way to load a receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in words.
    pub about: &'static str,
    /// What carries the frames.
    pub carrier: Carrier,
    /// Groups of replicas, where frames are so large that fewer than usual will do.
    pub groups: Option<usize>,
    /// Records of a frame.
    pub records: usize,
    /// How honest the traffic is.
    pub mix: Mix,
    /// What verifies.
    pub verifier: VerifierChoice,
    /// Rounds of a sample at full effort, each with a datagram of every replica.
    pub rounds: usize,
    /// The work whose rate this one's is compared with.
    pub against: Option<&'static str>,
}

/// All works from datagram to decided rounds.
pub const ALL: [Work; 10] = [
    Work { name: "single", about: "one record a datagram", records: 1, ..MESSAGE },
    MESSAGE,
    Work {
        name: "forged-1",
        about: "1 % of the datagrams forged",
        mix: Mix { forged: 0.01, hostile: 0.0 },
        against: Some("message"),
        ..MESSAGE
    },
    Work {
        name: "forged-50",
        about: "50 % of the datagrams forged",
        mix: Mix { forged: 0.5, hostile: 0.0 },
        against: Some("message"),
        ..MESSAGE
    },
    Work {
        name: "hostile",
        about: "5 % forged, and 30 % more that are replays, stale, malformed, misdirected or badly signed",
        mix: Mix { forged: 0.05, hostile: 0.3 },
        against: Some("message"),
        ..MESSAGE
    },
    Work {
        name: "packed",
        about: "37 records a datagram, a full Ethernet packet",
        records: 37,
        rounds: 24,
        ..MESSAGE
    },
    Work {
        name: "strict",
        about: "one signature at a time, as where the processor has no AVX-512",
        verifier: VerifierChoice::Strict,
        rounds: 24,
        against: Some("message"),
        ..MESSAGE
    },
    Work {
        name: "single-strict",
        about: "one record a datagram, one signature at a time",
        records: 1,
        verifier: VerifierChoice::Strict,
        rounds: 24,
        against: Some("single"),
        ..MESSAGE
    },
    Work {
        name: "tcp-message",
        about: "five records a frame, on a TCP connection",
        carrier: Carrier::Connection,
        against: Some("message"),
        ..MESSAGE
    },
    Work {
        name: "tcp",
        about: "1,816 records a frame, the longest there is, on a TCP connection",
        carrier: Carrier::Connection,
        groups: Some(4),
        records: RECORDS_MAX,
        rounds: 24,
        ..MESSAGE
    },
];

/// A signed message of at least 264 bytes a datagram.
const MESSAGE: Work = Work {
    name: "message",
    about: "five records a datagram",
    carrier: Carrier::Datagrams,
    groups: None,
    records: 5,
    mix: Mix::CLEAN,
    verifier: VerifierChoice::Auto,
    rounds: 100,
    against: None,
};

/// The name of verification alone.
pub const VERIFY: &str = "verify";

/// Names of all works.
pub const NAMES: [&str; 11] = [
    VERIFY,
    "single",
    "message",
    "forged-1",
    "forged-50",
    "hostile",
    "packed",
    "strict",
    "single-strict",
    "tcp-message",
    "tcp",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_works_and_comparisons_are_among_them() {
        let names: Vec<&str> = std::iter::once(VERIFY).chain(ALL.iter().map(|work| work.name)).collect();
        assert_eq!(names, NAMES);
        for work in ALL {
            assert!(work.against.is_none_or(|other| ALL.iter().any(|work| work.name == other)), "{work:?}");
        }
    }
}

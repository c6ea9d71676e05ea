//! Several sockets on one address, among which the kernel divides datagrams by a field of their payload.
//!
//! The sockets make a `SO_REUSEPORT` group, whose members the kernel numbers in the order in which they were bound, with a
//! classic BPF program that gives the number of the member that gets a datagram.

use crate::limits::GROUP_MAX;
use crate::opening::{Features, ask_for_ring, serve};
use crate::ring::probe_io_uring;
use crate::socket::{BindAs, Socket, let_lookups_end};
use crate::{ConfigError, DatagramDriver, DriverConfig, OpenError, RingFeatures, RingUnavailable};
use std::net::SocketAddr;

/// An odd number near 2^32 divided by the golden ratio: multiples of it lie far apart, whatever their distance.
const SPREAD: u32 = 0x9e37_79b1;

/// By which field of a payload a group's sockets divide the datagrams among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Steering {
    /// Where the field lies: four bytes from here, the sender's number for example.
    pub offset: u16,
}

impl Steering {
    /// Which of `count` sockets gets a datagram with this payload: by [`shard_of`] the field, or the first where the payload
    /// is too short to have it.
    ///
    /// ```
    /// use centauri_uring::{Steering, shard_of};
    /// let steering = Steering { offset: 4 };
    /// assert_eq!(steering.shard(&[9, 9, 9, 9, 7, 1, 0, 0, 9], 8), shard_of(0x0107, 8));
    /// assert_eq!(steering.shard(&[9, 9, 9, 9, 7, 1, 0], 8), 0);
    /// ```
    #[must_use]
    pub fn shard(self, payload: &[u8], count: usize) -> usize {
        let field = payload.get(usize::from(self.offset)..).and_then(|rest| rest.first_chunk());
        field.map_or(0, |field| shard_of(u32::from_le_bytes(*field), count))
    }

    /// The program by which the kernel computes [`shard`](Self::shard) for a group of `count`.
    fn program(self, count: u32) -> [libc::sock_filter; 8] {
        let step = |code: u32, k: u32| libc::sock_filter {
            // Codes are below 256.
            code: u16::try_from(code).unwrap_or(0),
            jt: 0,
            jf: 0,
            k,
        };
        [
            // Reads big-endian; past the end of the payload the program ends with 0.
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, u32::from(self.offset)),
            step(libc::BPF_MISC | libc::BPF_TAX, 0),
            step(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 16),
            step(libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X, 0),
            step(libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K, SPREAD),
            step(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 16),
            step(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, count),
            step(libc::BPF_RET | libc::BPF_A, 0),
        ]
    }
}

/// Which of `count` sockets of a group gets the datagrams whose field, read as little-endian, is `sender_word_le`.
///
/// With `w` the field's four bytes read as big-endian (the field with its bytes reversed), and all arithmetic on 32 bits
/// without sign: `h = ((w xor (w >> 16)) × 0x9e3779b1 modulo 2^32) >> 16`, and the socket's index is `h modulo count`. Consecutive
/// numbers, and numbers with a common factor, are spread evenly. A `count` of zero gives zero.
///
/// ```
/// use centauri_uring::shard_of;
/// let w = 0x2a_u32.swap_bytes();
/// let h = (w ^ (w >> 16)).wrapping_mul(0x9e37_79b1) >> 16;
/// assert_eq!(shard_of(0x2a, 6), (h % 6) as usize);
/// ```
#[must_use]
pub fn shard_of(sender_word_le: u32, count: usize) -> usize {
    let word = sender_word_le.swap_bytes();
    let hash = (word ^ (word >> 16)).wrapping_mul(SPREAD) >> 16;
    // The hash has 16 bits.
    (hash as usize).checked_rem(count).unwrap_or(0)
}

/// Binds `count` sockets to `addr` and opens a driver for each, as [`open`](crate::open) does for one; the kernel gives each
/// datagram to the driver whose index in the result is [`Steering::shard`] of its payload. So all frames that claim a sender
/// come to one driver, from whatever address, and each driver can run on a thread of its own with the state of its senders.
///
/// The address must be free, as for `open`: the first socket is bound alone, and only then lets others of this function join.
/// So a second group, or a plain socket, is refused while a group has the address. As long as it has, another program *of the
/// same user* that sets `SO_REUSEPORT` can bind to the address too; nothing is steered to it, unless it attaches a program of
/// its own. Datagrams that come while the group is being opened are thrown away, as they would be before, since not all of the
/// sockets are there to be steered to; this takes some tens of milliseconds.
///
/// Three things to know:
/// - Keep the drivers of a group as long as any of them is in use: when one is dropped, the last takes its index, and datagrams
///   for an index that is gone go to any of the others.
/// - A train (see [`DriverConfig::gro`]) is steered whole, by its first datagram. A group of more than one therefore takes no
///   trains, whatever `gro` says. But a program on this machine, or a virtual machine on it, can send a train whose datagrams
///   claim different senders, and the kernel divides it only after it has been steered. Where it matters that no other driver
///   gets a sender's frames (a guard against replays, say), compare [`Steering::shard`] with the driver's own index and drop
///   what is not its own: no well-behaved sender puts frames of several senders in one train.
/// - The field is what the datagram claims: whoever sends garbage in a sender's name keeps that sender's driver busy, and no
///   other.
///
/// A `count` of 1 is `open`.
///
/// # Errors
/// [`OpenError`] as with `open`; also when `count` is zero or more than [`GROUP_MAX`], or the kernel lacks
/// `SO_ATTACH_REUSEPORT_CBPF`.
///
/// ```
/// use centauri_uring::{DriverConfig, Steering, open, open_group};
/// use std::time::Duration;
///
/// let steering = Steering { offset: 0 };
/// let config = DriverConfig { buffers: 16, wait_completions: 8, ..DriverConfig::default() };
/// let mut group = open_group("127.0.0.1:0".parse()?, &config, steering, 3)?;
/// let mut sender = open("127.0.0.1:0".parse()?, &config)?;
/// let frame = *b"\x07\0\0\0 from sender 7";
/// sender.send_to(&frame, group[0].local_addr())?;
/// let mine = &mut group[steering.shard(&frame, 3)];
/// assert_eq!(mine.receive(Duration::from_secs(5), &mut |datagram| assert_eq!(datagram.bytes, frame))?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open_group(
    addr: SocketAddr,
    config: &DriverConfig,
    steering: Steering,
    count: usize,
) -> Result<Vec<Box<dyn DatagramDriver>>, OpenError> {
    open_group_with_probe(addr, config, steering, count, &probe_io_uring)
}

/// As [`open_group`], with another way to find out what io_uring can do here; see
/// [`open_with_probe`](crate::open_with_probe).
///
/// # Errors
/// As [`open_group`].
pub fn open_group_with_probe(
    addr: SocketAddr,
    config: &DriverConfig,
    steering: Steering,
    count: usize,
    probe: &dyn Fn() -> Result<RingFeatures, RingUnavailable>,
) -> Result<Vec<Box<dyn DatagramDriver>>, OpenError> {
    config.validate().map_err(|cause| OpenError::Config { addr, cause })?;
    if !(1..=GROUP_MAX).contains(&count) {
        return Err(OpenError::Config { addr, cause: ConfigError::GroupCount { found: count } });
    }
    let config = DriverConfig { gro: config.gro && count == 1, ..*config };
    let sockets = bind_group(addr, &config, steering, count)?;
    let features: Features = ask_for_ring(&config, probe);
    sockets.into_iter().map(|socket| serve(addr, socket, &config, &features)).collect()
}

fn bind_group(
    addr: SocketAddr,
    config: &DriverConfig,
    steering: Steering,
    count: usize,
) -> Result<Vec<Socket>, OpenError> {
    if count == 1 {
        return Ok(vec![Socket::bind(addr, config)?]);
    }
    let mut sockets = vec![Socket::bind_as(BindAs::FirstOfGroup, addr, config)?];
    // With the port that the system chose, if it was to choose.
    let local = sockets.first().map_or(addr, Socket::local_addr);
    for _ in 1..count {
        sockets.push(Socket::bind_as(BindAs::OtherOfGroup, local, config)?);
    }
    let setup = |step| move |cause| OpenError::Setup { addr, step, cause };
    // Fits: `count` is at most GROUP_MAX.
    let mut program = steering.program(u32::try_from(count).unwrap_or(1));
    if let Some(first) = sockets.first() {
        first.steer_group(&mut program).map_err(setup("steering datagrams by sender"))?;
    }
    // Datagrams for which a socket was chosen before the group was whole are refused by it as long as it is mute.
    let_lookups_end();
    for socket in &mut sockets {
        socket.unmute().map_err(setup("letting datagrams in"))?;
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_spread_evenly() {
        let sets: [(&str, Vec<u32>); 6] = [
            ("from zero", (0..4_096).collect()),
            ("from a million", (1_000_000..1_004_096).collect()),
            ("every 16th", (0..4_096).map(|n| n * 16).collect()),
            ("every 256th", (0..4_096).map(|n| n * 256).collect()),
            ("every 1,000th", (0..4_096).map(|n| n * 1_000).collect()),
            ("every 65,536th", (0..4_096).map(|n| n << 16).collect()),
        ];
        for (name, senders) in sets {
            for count in [2, 3, 4, 6, 8, 12, 16] {
                let mut counts = vec![0usize; count];
                for sender in &senders {
                    counts[shard_of(*sender, count)] += 1;
                }
                let fair = senders.len() / count;
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                println!("{name}, {count}: {least} to {most}, fair is {fair}");
                assert!(*least >= fair / 2 && *most <= fair * 3 / 2, "{name}, {count}: {counts:?}");
            }
        }
    }

    #[test]
    fn a_group_of_none_is_no_panic() {
        assert_eq!(shard_of(7, 0), 0);
        assert_eq!(Steering { offset: u16::MAX }.shard(&[0; 10], 4), 0);
    }
}

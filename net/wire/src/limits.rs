//! Every limit of the protocol in one place, and the limits a receiver sets for itself.

/// The frame's magic: seven letters and the version of the protocol, which includes the rule for signatures.
///
/// It is the first thing signed, so it is also the signature's domain tag: a signature over anything
/// that does not begin with these bytes is no signature over a frame.
pub const MAGIC: [u8; 8] = *b"CENTAUR\x01";
/// Bytes of the header.
pub const HEADER_BYTES: usize = 32;
/// Bytes of the signature that ends a frame.
pub const SIGNATURE_BYTES: usize = 64;
/// The longest frame: what one UDP datagram over IPv4 can carry.
pub const FRAME_BYTES_MAX: usize = 65_507;
/// Bytes of the length that goes before each frame on a byte stream.
pub const STREAM_LENGTH_BYTES: usize = 4;
/// The longest frame that one Ethernet packet carries over IPv6 and IPv4 alike: 1500 − 40 − 8.
pub const FRAME_BYTES_DATAGRAM: usize = 1_452;
/// Up to this length (without the signature) the frame itself is signed; beyond it, its BLAKE3 digest is.
pub const DIRECT_SIGNED_BYTES_MAX: usize = 2_048;
/// What is signed in place of a long frame begins with this tag; the BLAKE3 digest follows.
///
/// It differs from [`MAGIC`] in its first byte, so no short frame can be read as the digest of a long one.
pub const DIGEST_TAG: [u8; 32] = *b"centauri frame digest blake3 v1\0";
/// Bytes of one record of a stream frame.
pub const RECORD_BYTES: usize = 36;
/// The most records in one stream frame.
pub const RECORDS_MAX: usize = (FRAME_BYTES_MAX - HEADER_BYTES - SIGNATURE_BYTES) / RECORD_BYTES;
/// Bytes of one record of a decision frame.
pub const DECISION_BYTES: usize = 96;
/// The most decisions in one frame.
pub const DECISIONS_MAX: usize = (FRAME_BYTES_MAX - HEADER_BYTES - SIGNATURE_BYTES) / DECISION_BYTES;
/// The longest reason of an answer, in bytes.
pub const REASON_BYTES_MAX: usize = 512;
/// The longest query of a request, in bytes.
pub const QUERY_BYTES_MAX: usize = 1_024;
/// The longest name of a distribution, in bytes.
pub const DISTRIBUTION_NAME_BYTES_MAX: usize = 64;
/// The most values in one sample.
pub const SAMPLE_VALUES_MAX: usize = 512;
/// How deep mixtures nest: a mixture of plain families has depth 1.
pub const MIXTURE_DEPTH_MAX: usize = 4;
/// The most nodes in a distribution's tree, mixtures and leaves together.
pub const DISTRIBUTION_NODES_MAX: usize = 64;
/// The most bins of an empirical distribution.
pub const EMPIRICAL_BINS_MAX: usize = 512;
/// The longest name of a node in the registry, in bytes.
pub const NODE_NAME_BYTES_MAX: usize = 64;
/// The most nodes in a registry.
pub const REGISTRY_NODES_MAX: usize = 65_536;
/// Nonces behind the newest that a receiver still tells apart, per sender and stream.
///
/// A frame brings several nonces of one stream at once: 256 is 6 full datagrams of one stream, or a quarter of a second of
/// a stream of 1 kHz, and costs 56 bytes a stream.
pub const NONCE_WINDOW: u64 = 256;
/// Timestamps remembered per sender and message kind, for messages without a nonce.
pub const TIMESTAMP_WINDOW: usize = 32;

/// What a receiver sets for itself.
///
/// ```
/// use centauri_wire::Limits;
/// let limits = Limits { past_ns: 2_000_000_000, ..Limits::default() };
/// assert_eq!(limits.future_ns, 5_000_000_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A frame is stale when its timestamp lies more than this before now, in nanoseconds.
    pub past_ns: u64,
    /// A frame is from the future when its timestamp lies more than this after now, in nanoseconds.
    pub future_ns: u64,
    /// A frame timestamped before this is stale, whatever the time.
    ///
    /// A receiver that starts has forgotten which nonces it saw. Set to the time it started, this keeps a
    /// frame accepted before the restart from being accepted once more.
    pub not_before_ns: i64,
    /// The most (sender, stream) pairs tracked, which bounds the memory for nonces.
    pub tracked_pairs_max: usize,
}

impl Default for Limits {
    /// Five seconds either way, no floor, 65,536 pairs (9.5 MiB).
    fn default() -> Self {
        Self {
            past_ns: 5_000_000_000,
            future_ns: 5_000_000_000,
            not_before_ns: i64::MIN,
            tracked_pairs_max: 65_536,
        }
    }
}

const _: () = assert!(HEADER_BYTES + 37 * RECORD_BYTES + SIGNATURE_BYTES <= FRAME_BYTES_DATAGRAM);
const _: () = assert!(HEADER_BYTES + 14 * DECISION_BYTES + SIGNATURE_BYTES <= FRAME_BYTES_DATAGRAM);
const _: () = assert!(RECORDS_MAX == 1_816 && DECISIONS_MAX == 681 && DECISIONS_MAX <= RECORDS_MAX);
const _: () = assert!(DIGEST_TAG[0] != MAGIC[0]);

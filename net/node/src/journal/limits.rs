//! Every bound of the journal in one place.

/// The version of the file: of the tables and of what is in them.
pub const VERSION: i64 = 1;
/// A block with this many bytes is full. With its key it fits a page of 64 KiB, and pages have powers of two.
pub const BLOCK_FULL_BYTES: usize = 60 << 10;
/// The longest decision: 128 replicas, and every number as long as it can be.
pub const DECISION_BYTES_MAX: usize = 1_160;
/// The longest block.
pub const BLOCK_BYTES_MAX: usize = BLOCK_FULL_BYTES + DECISION_BYTES_MAX;
/// Bytes that may wait for the writer, and as many again that it may hold while it cannot write.
pub const WAITING_BYTES_MAX: usize = 64 << 20;
/// Messages that may wait for the writer.
pub const WAITING_MESSAGES_MAX: usize = 4_096;
/// Entries in the list of streams; every change of a stream's name, replicas or timing makes a new one.
pub const STREAMS_MAX: u32 = 1 << 20;
/// Replicas of a stream.
pub const REPLICAS_MAX: usize = 128;
/// The longest name of a stream or replica, in bytes.
pub const NAME_BYTES_MAX: usize = 4_096;
/// The longest name of a kind of state, in bytes.
pub const STATE_KIND_BYTES_MAX: usize = 32;
/// The longest key of a state, in bytes.
pub const STATE_KEY_BYTES_MAX: usize = 256;
/// The longest value of a state, in bytes: two of the longest frames, or the longest distribution in words.
pub const STATE_VALUE_BYTES_MAX: usize = 256 << 10;
/// Entries of one kind of state.
pub const STATE_ENTRIES_MAX: usize = 65_536;
/// Bytes of one kind of state, keys and values: what fills its own room takes none from the others.
pub const STATE_BYTES_MAX: usize = 32 << 20;
/// Kinds of state.
pub const STATE_KINDS_MAX: usize = 16;
/// Gaps that are remembered; the oldest go.
pub const GAPS_MAX: usize = 256;
/// Runs of streams that one gap tells apart; of the others only the number is kept.
pub const GAP_RUNS_MAX: usize = 4_096;
/// So many bytes of blocks are read at a start to find each stream's newest round.
pub const LOOK_BACK_BYTES_MAX: u64 = 256 << 20;
/// Blocks that one transaction removes at most, so that none takes long.
pub const REMOVED_AT_ONCE_MAX: usize = 1_024;
/// Memory for pages of the file.
pub const CACHE_BYTES: usize = 32 << 20;

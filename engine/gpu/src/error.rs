//! What can go wrong with a device.

/// Why there is no device, or why it failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// No adapter fits what was asked for.
    #[error("no adapter: found {found}, expected {expected}")]
    NoAdapter {
        /// The adapters there are.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// The adapter gives no device.
    #[error("adapter {adapter}: no device: {message}")]
    NoDevice {
        /// The adapter's name.
        adapter: String,
        /// What the driver said.
        message: String,
    },
    /// The device is gone.
    #[error("device lost: {0}")]
    Lost(String),
    /// The device has no memory left.
    #[error("device out of memory: {0}")]
    OutOfMemory(String),
    /// The driver refused a command or failed.
    #[error("device failed: {0}")]
    Failed(String),
}

//! What can be wrong with a model.

/// A model that cannot be compiled: the stream, the key (in the terms of the model file), what was found there
/// and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError {
    /// The stream's name; empty where the fault is not in a stream.
    pub stream: String,
    /// The key below the stream, for example `support.step`.
    pub key: String,
    /// What was found and what was expected.
    pub problem: String,
}

impl std::fmt::Display for ModelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.stream.is_empty() {
            write!(f, "stream {:?}: ", self.stream)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for ModelError {}

impl ModelError {
    pub(crate) fn in_stream(mut self, name: &str) -> Self {
        name.clone_into(&mut self.stream);
        self
    }
}

/// An error about `key` whose stream is filled in by whoever knows it.
pub(crate) fn problem(key: impl Into<String>, problem: impl Into<String>) -> ModelError {
    ModelError { stream: String::new(), key: key.into(), problem: problem.into() }
}

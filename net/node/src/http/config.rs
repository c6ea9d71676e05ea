//! The configuration file's table for HTTP.

use crate::serve::positive;
use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// `[http]`: what is decided can be read and followed by HTTP. Paths are relative to the configuration's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Who may read: a line `name = "hash"` for each client, as `centauri token` makes it.
    pub tokens: Option<PathBuf>,
    /// Whether who has no token may read, too. Without tokens, and without this, only the machine itself is listened to.
    #[serde(default)]
    pub allow_anonymous: bool,
    /// The server's certificates (PEM), its own first: with it and `tls_key` HTTP is HTTPS.
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key (PEM).
    pub tls_key: Option<PathBuf>,
    /// Most connections at a time; half of them may be those of one client that follows decisions.
    #[serde(default = "clients_max")]
    pub clients_max: usize,
    /// So many decisions wait for one who follows and is slow; those beyond are missed, and told to be.
    #[serde(default = "queue_decisions")]
    pub queue_decisions: usize,
    /// So often one who follows hears something when nothing is decided, in seconds.
    #[serde(default = "heartbeat_s")]
    pub heartbeat_s: f64,
    /// So long a request's head may take to come, and a client may take nothing of what it is sent, in seconds.
    #[serde(default = "stall_s")]
    pub stall_s: f64,
}

fn clients_max() -> usize {
    256
}

fn queue_decisions() -> usize {
    1_024
}

fn heartbeat_s() -> f64 {
    15.0
}

fn stall_s() -> f64 {
    30.0
}

/// The limit of `clients_max`: each takes a descriptor and some hundred KiB of buffers.
const CLIENTS_MAX: usize = 16_384;
/// The limit of `queue_decisions`.
const QUEUE_MAX: usize = 65_536;

impl HttpConfig {
    /// All its paths, to make them absolute.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.tokens, &mut self.tls_certificate, &mut self.tls_key].into_iter().flatten()
    }

    /// Both files of TLS, where it is asked for.
    pub(super) fn tls(&self) -> Option<(&Path, &Path)> {
        self.tls_certificate.as_deref().zip(self.tls_key.as_deref())
    }

    /// # Errors
    /// A number out of its range, by its key; keys that do not go together.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for (key, found, most) in [
            ("clients_max", self.clients_max, CLIENTS_MAX),
            ("queue_decisions", self.queue_decisions, QUEUE_MAX),
        ] {
            ensure!((1..=most).contains(&found), "http.{key}: found {found}, expected 1 to {most}");
        }
        positive("http.heartbeat_s", self.heartbeat_s)?;
        positive("http.stall_s", self.stall_s)?;
        match (&self.tls_certificate, &self.tls_key) {
            (Some(_), None) => bail!("http.tls_key: found none, expected it with tls_certificate"),
            (None, Some(_)) => bail!("http.tls_certificate: found none, expected it with tls_key"),
            _ => {}
        }
        ensure!(
            self.tokens.is_some() || self.allow_anonymous || self.listen.ip().is_loopback(),
            "http.listen: found {} without tokens, expected a loopback address, `tokens`, or `allow_anonymous = true`",
            self.listen
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &str) -> anyhow::Result<()> {
        toml::from_str::<HttpConfig>(lines)?.check()
    }

    #[test]
    fn who_may_listen_where() {
        for good in [
            "listen = \"127.0.0.1:1\"",
            "listen = \"[::1]:1\"",
            "listen = \"0.0.0.0:1\"\ntokens = \"t\"",
            "listen = \"0.0.0.0:1\"\nallow_anonymous = true",
            "listen = \"[::]:1\"\ntokens = \"t\"\ntls_certificate = \"c\"\ntls_key = \"k\"",
        ] {
            check(good).unwrap();
        }
        for (bad, expected) in [
            (
                "listen = \"0.0.0.0:8\"",
                "http.listen: found 0.0.0.0:8 without tokens, expected a loopback address",
            ),
            ("listen = \"10.0.0.1:8\"\ntls_certificate = \"c\"\ntls_key = \"k\"", "without tokens"),
            ("listen = \"[::1]:8\"\nclients_max = 0", "http.clients_max: found 0, expected 1 to 16384"),
            (
                "listen = \"[::1]:8\"\nqueue_decisions = 65537",
                "http.queue_decisions: found 65537, expected 1 to 65536",
            ),
            (
                "listen = \"[::1]:8\"\ntls_key = \"k\"",
                "http.tls_certificate: found none, expected it with tls_key",
            ),
            ("listen = \"[::1]:8\"\ntls_certificate = \"k\"", "http.tls_key: found none"),
            ("listen = \"[::1]:8\"\nheartbeat_s = 0", "http.heartbeat_s: found 0, expected seconds"),
            ("listen = \"[::1]:8\"\nstall_s = inf", "http.stall_s: found inf"),
            ("listen = \"[::1]:8\"\nport = 8", "unknown field `port`"),
        ] {
            let error = format!("{:#}", check(bad).expect_err(bad));
            assert!(error.contains(expected), "{bad:?}: {error}");
        }
    }
}

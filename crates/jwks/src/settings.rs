//! Settings of an issuer's keys.

use std::time::Duration;

use crate::url::JwksUrl;

/// Issuer of keys, and the refresh of its key set.
#[derive(Debug, Clone)]
pub struct JwksSettings {
    /// URL of the key set.
    pub url: JwksUrl,
    /// Time between two fetches while the issuer answers, and so for how long a withdrawn key is still accepted.
    pub refresh: Duration,
    /// Minimum time between two fetches for unknown key ids.
    pub unknown_key_interval: Duration,
    /// Time for which the last keys are used while the issuer does not answer. After it no token is accepted.
    pub max_stale: Duration,
    /// Timeout of a fetch.
    pub fetch_timeout: Duration,
}

impl JwksSettings {
    /// Defaults of docs/operations for this issuer.
    #[must_use]
    pub fn new(url: JwksUrl) -> Self {
        Self {
            url,
            refresh: Duration::from_secs(5 * 60),
            unknown_key_interval: Duration::from_secs(60),
            max_stale: Duration::from_secs(24 * 60 * 60),
            fetch_timeout: Duration::from_secs(3),
        }
    }
}

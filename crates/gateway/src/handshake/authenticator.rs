//! Authentication by token on connect and on `auth:refresh`, with metrics and a rate-limited log of refused tokens.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifecycle::{Clock, PeriodicLoop};
use protocol::answer::Failure;
use tokio_util::sync::CancellationToken;

use super::token::{Identity, TokenVerifier};
use crate::label::Label;
use crate::metrics::Metrics;
use crate::token_error::TokenError;

pub(crate) use crate::metrics::TokenPurpose;

/// Verifies tokens; counts and logs the refused ones.
pub(crate) struct Authenticator {
    verifier: TokenVerifier,
    log: RefusalLog,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Authenticator {
    /// Builds an authenticator around a verifier.
    pub(crate) fn new(verifier: TokenVerifier, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            verifier,
            log: RefusalLog::default(),
            clock,
            metrics,
        }
    }

    /// Verifies a token. For an unknown key id, the JWKS is fetched first.
    ///
    /// # Errors
    /// [`Failure`] to send to the client.
    pub(crate) async fn authenticate(&self, token: &str, purpose: TokenPurpose) -> Result<Identity, Failure> {
        self.verifier.fetch_unknown_key(token).await;
        self.verifier.verify(token, self.clock.now()).map_err(|error| {
            self.metrics.token_refused(purpose, error);
            if self.log.admits(error) {
                tracing::info!(
                    kind = error.kind(),
                    reason = error.fault().as_str(),
                    purpose = purpose.label(),
                    "token refused: {}",
                    error.cause()
                );
            }
            self.verifier.failure(error)
        })
    }

    /// Logs the number of suppressed refusals once per period and when the node stops.
    pub(crate) async fn report_refusals(self: Arc<Self>, period: Duration, soft: CancellationToken) {
        let mut ticks = PeriodicLoop::new(period, soft);
        // The first tick comes at once: the first period begins.
        ticks.next().await;
        while ticks.next().await {
            self.log_suppressed();
        }
        self.log_suppressed();
    }

    fn log_suppressed(&self) {
        for (error, suppressed) in self.log.begin_period() {
            tracing::info!(
                kind = error.kind(),
                reason = error.fault().as_str(),
                suppressed,
                "token refusals suppressed in the log: {}",
                error.cause()
            );
        }
    }
}

/// Rate limit of the log: one line per error and period, further refusals are counted. It has at most one entry per error.
#[derive(Debug, Default)]
struct RefusalLog {
    suppressed: Mutex<HashMap<TokenError, u64>>,
}

impl RefusalLog {
    /// Reports whether this refusal is logged; else counts it.
    fn admits(&self, error: TokenError) -> bool {
        match self.suppressed().entry(error) {
            Entry::Vacant(first) => {
                first.insert(0);
                true
            }
            Entry::Occupied(mut counted) => {
                *counted.get_mut() += 1;
                false
            }
        }
    }

    /// Begins a period and returns the suppressed refusals of the last one. An error that was suppressed stays suppressed in the new
    /// period: its next line is the next count.
    fn begin_period(&self) -> Vec<(TokenError, u64)> {
        let mut errors = self.suppressed();
        errors.retain(|_, suppressed| *suppressed > 0);
        let counts = errors.iter_mut();
        counts
            .map(|(error, suppressed)| (*error, std::mem::take(suppressed)))
            .collect()
    }

    fn suppressed(&self) -> MutexGuard<'_, HashMap<TokenError, u64>> {
        self.suppressed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_refusal_is_logged_and_further_ones_counted() {
        let log = RefusalLog::default();
        assert!(log.admits(TokenError::Expired) && log.admits(TokenError::Issuer));
        for _ in 0..1_000 {
            assert!(!log.admits(TokenError::Expired));
        }
        assert_eq!(log.begin_period(), [(TokenError::Expired, 1_000)]);
        // `Expired` continued and stays suppressed. `Issuer` stopped and is logged again.
        assert!(!log.admits(TokenError::Expired) && log.admits(TokenError::Issuer));
        assert_eq!(log.begin_period(), [(TokenError::Expired, 1)]);
        assert_eq!(log.begin_period(), []);
        assert!(log.admits(TokenError::Expired));
    }
}

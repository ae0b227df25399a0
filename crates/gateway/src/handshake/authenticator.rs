//! Proof of callers wherever they bring a token, and what an operator learns of refused ones.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifecycle::Clock;
use protocol::answer::Failure;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use super::token::{Identity, Refused, Tokens};
use crate::metrics::Metrics;

/// Verifies tokens; refused ones are counted and logged.
pub(crate) struct Authenticator {
    tokens: Tokens,
    log: RefusalLog,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

/// Where a token is brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenPurpose {
    /// By a new socket.
    Connect,
    /// By `auth:refresh`.
    Refresh,
}

impl TokenPurpose {
    fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Refresh => "refresh",
        }
    }
}

impl Authenticator {
    /// Takes these tokens.
    pub(crate) fn new(tokens: Tokens, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            tokens,
            log: RefusalLog::default(),
            clock,
            metrics,
        }
    }

    /// Proves who brings this token. A key that its issuer has not published before is asked for once.
    ///
    /// # Errors
    /// The refusal, as its owner may read it.
    pub(crate) async fn authenticate(&self, token: &str, purpose: TokenPurpose) -> Result<Identity, Failure> {
        self.tokens.look_for_key(token).await;
        self.tokens.verify(token, self.clock.now()).map_err(|refused| {
            self.metrics.token_refused(purpose.label(), refused.kind());
            if purpose == TokenPurpose::Connect {
                self.metrics.refused(refused.label());
            }
            if self.log.admits(refused) {
                tracing::info!(
                    kind = refused.kind(),
                    reason = refused.fault().as_str(),
                    purpose = purpose.label(),
                    "token refused: {}",
                    refused.cause()
                );
            }
            self.tokens.failure(refused)
        })
    }

    /// Logs how many refusals had no line of their own, once in each period and when the node is done.
    pub(crate) async fn report_refusals(self: Arc<Self>, period: Duration, soft: CancellationToken) {
        let mut tick = interval_at(Instant::now() + period, period);
        loop {
            let is_last = tokio::select! {
                () = soft.cancelled() => true,
                _ = tick.tick() => false,
            };
            for (refused, left_out) in self.log.begin_period() {
                tracing::info!(
                    kind = refused.kind(),
                    reason = refused.fault().as_str(),
                    left_out,
                    "tokens refused without a line of their own: {}",
                    refused.cause()
                );
            }
            if is_last {
                return;
            }
        }
    }
}

/// Rate limit of the log: one line of each kind in a period, the others are counted. There are no more entries than kinds.
#[derive(Debug, Default)]
struct RefusalLog {
    left_out: Mutex<HashMap<Refused, u64>>,
}

impl RefusalLog {
    /// Whether this refusal has a line of its own.
    fn admits(&self, refused: Refused) -> bool {
        match self.left_out().entry(refused) {
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

    /// How many of each kind were left out in the period that is over. A kind that goes on has no line of its own in the next one.
    fn begin_period(&self) -> Vec<(Refused, u64)> {
        let mut kinds = self.left_out();
        kinds.retain(|_, left_out| *left_out > 0);
        let counts = kinds.iter_mut();
        counts
            .map(|(refused, left_out)| (*refused, std::mem::take(left_out)))
            .collect()
    }

    fn left_out(&self) -> MutexGuard<'_, HashMap<Refused, u64>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusal_of_a_kind_has_a_line_and_the_others_are_counted() {
        let log = RefusalLog::default();
        assert!(log.admits(Refused::Expired) && log.admits(Refused::Issuer));
        for _ in 0..1_000 {
            assert!(!log.admits(Refused::Expired));
        }
        assert_eq!(log.begin_period(), [(Refused::Expired, 1_000)]);
        // It went on: its next line is the next count. The other kind was quiet.
        assert!(!log.admits(Refused::Expired) && log.admits(Refused::Issuer));
        assert_eq!(log.begin_period(), [(Refused::Expired, 1)]);
        assert_eq!(log.begin_period(), []);
        assert!(log.admits(Refused::Expired));
    }
}

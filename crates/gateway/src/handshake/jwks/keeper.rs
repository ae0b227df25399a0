//! The one task that asks the issuer: at the start until it answers, then every few minutes, and out of turn when a token names an
//! unknown key.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Backoff, Condition, Entropy};
use protocol::fault::chain;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::fetch::{FetchError, Issuer};
use super::metrics::Metrics;
use super::{Asks, JwksSettings, KeySet, Known};

/// Keeps what is known of an issuer's keys as the issuer says.
pub(crate) struct JwksRefresher {
    issuer: Issuer,
    refresh: Duration,
    max_stale: Duration,
    known: watch::Sender<Known>,
    asks: Arc<Asks>,
    /// Whether tokens can be verified.
    usable: Condition,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
}

impl JwksRefresher {
    pub(super) fn new(
        issuer: Issuer,
        settings: &JwksSettings,
        known: watch::Sender<Known>,
        asks: Arc<Asks>,
        usable: Condition,
        entropy: Arc<dyn Entropy>,
        metrics: Metrics,
    ) -> Self {
        Self {
            issuer,
            refresh: settings.refresh,
            max_stale: settings.max_stale,
            known,
            asks,
            usable,
            entropy,
            metrics,
        }
    }

    /// Asks again and again until the node drains.
    pub(crate) async fn run(self, soft: CancellationToken) {
        let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY.min(self.refresh));
        loop {
            let ask = self.asks.number();
            let fetched = tokio::select! {
                () = soft.cancelled() => return,
                fetched = self.issuer.fetch() => fetched,
            };
            let pause = if fetched.is_ok() {
                backoff.reset();
                self.refresh
            } else {
                backoff.next(&*self.entropy)
            };
            self.take(fetched, ask);
            tokio::select! {
                () = soft.cancelled() => return,
                () = sleep(pause) => {}
                () = self.asks.after(ask) => {}
            }
        }
    }

    /// Takes an answer for what the issuer says now: a key that is no longer in it is withdrawn. A failure changes nothing but the
    /// age of what is known.
    fn take(&self, fetched: Result<KeySet, FetchError>, ask: u64) {
        let keys = match fetched {
            Ok(keys) => {
                self.metrics.fetched(keys.len());
                if keys.len() == 0 {
                    tracing::warn!(
                        unusable = keys.unusable(),
                        "the issuer publishes no usable key: no token is taken"
                    );
                }
                Some(Arc::new(keys))
            }
            Err(error) => {
                self.metrics.failed(error.label());
                tracing::warn!(
                    error = chain(&error),
                    "the issuer's keys could not be fetched, the old ones stay"
                );
                None
            }
        };
        self.known.send_modify(|known| {
            if let Some(keys) = keys {
                known.keys = keys;
                known.fetched = Some(Instant::now());
            }
            known.answered = ask;
        });
        let known = self.known.borrow();
        self.usable.set(known.is_fresh(self.max_stale) && known.keys.len() > 0);
    }
}

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

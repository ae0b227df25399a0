//! The keys that an issuer publishes (JWKS, RFC 7517): one task keeps them, whoever verifies a token looks them up without
//! waiting.

mod address;
mod fetch;
mod keeper;
mod metrics;
mod set;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lifecycle::{Condition, Entropy};
use opentelemetry::metrics::Meter;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

pub use self::address::{InvalidJwksUrl, JwksUrl};
pub use self::fetch::JwksError;
pub(crate) use self::keeper::JwksRefresher;
pub(crate) use self::set::KeySet;

use self::fetch::Issuer;
use self::metrics::Metrics;

/// Whose keys, and how they are kept.
#[derive(Debug, Clone)]
pub struct JwksSettings {
    /// Where they are published.
    pub url: JwksUrl,
    /// From one fetch to the next while the issuer answers: how long a withdrawn key is still taken.
    pub refresh: Duration,
    /// The least pause between two fetches that tokens with unknown key ids cause.
    pub unknown_key_interval: Duration,
    /// How long the last keys serve while the issuer does not answer. After it no token is taken.
    pub max_stale: Duration,
    /// For a whole answer of the issuer.
    pub fetch_timeout: Duration,
}

impl JwksSettings {
    /// The defaults of docs/operations for this issuer.
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

/// The keys as they were last read.
#[derive(Debug)]
pub(crate) struct Jwks {
    known: watch::Receiver<Known>,
    asks: Arc<Asks>,
    unknown_key_interval: Duration,
    max_stale: Duration,
    /// For a fetch that is under way when it is asked for, and the one after it.
    job_timeout: Duration,
}

/// What the keeper knows.
#[derive(Debug, Default)]
struct Known {
    keys: Arc<KeySet>,
    /// When the issuer last said so.
    fetched: Option<Instant>,
    /// The last ask that a fetch has answered, well or badly.
    answered: u64,
}

/// Asks for a fetch out of turn. All who ask within the pause share one, and one answer.
#[derive(Debug, Default)]
struct Asks {
    last: Mutex<Ask>,
    wake: Notify,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ask {
    number: u64,
    at: Option<Instant>,
}

impl Jwks {
    /// The keys of an issuer, none yet, and who is to fetch them. `known` says whether there are any to verify with.
    ///
    /// # Errors
    /// [`JwksError`].
    pub(crate) fn new(
        settings: &JwksSettings,
        known: Condition,
        entropy: Arc<dyn Entropy>,
        meter: &Meter,
    ) -> Result<(Self, JwksRefresher), JwksError> {
        let issuer = Issuer::new(&settings.url, settings.fetch_timeout)?;
        let (sender, receiver) = watch::channel(Known::default());
        let asks = Arc::new(Asks::default());
        let published = Self {
            known: receiver.clone(),
            asks: Arc::clone(&asks),
            unknown_key_interval: settings.unknown_key_interval,
            max_stale: settings.max_stale,
            job_timeout: settings.fetch_timeout * 2,
        };
        let metrics = Metrics::new(meter, receiver);
        let keeper = JwksRefresher::new(issuer, settings, sender, asks, known, entropy, metrics);
        Ok((published, keeper))
    }

    /// The keys, as long as they are recent enough to be believed; else none.
    pub(crate) fn keys(&self) -> Option<Arc<KeySet>> {
        let known = self.known.borrow();
        known.is_fresh(self.max_stale).then(|| Arc::clone(&known.keys))
    }

    /// Has the issuer asked for a key that is not known, and waits for its answer. That happens at most once in a pause; until the
    /// next one, unknown keys cost nothing and nobody waits.
    pub(crate) async fn look_for(&self, kid: &str) {
        if self.known.borrow().keys.knows(kid) {
            return;
        }
        let ask = self.asks.put(Instant::now(), self.unknown_key_interval);
        let mut known = self.known.clone();
        let answered = known.wait_for(|known| known.answered >= ask);
        if timeout(self.job_timeout, answered).await.is_err() {
            tracing::debug!("the issuer's keys did not come in time");
        }
    }
}

impl Known {
    fn is_fresh(&self, max_stale: Duration) -> bool {
        self.fetched.is_some_and(|at| at.elapsed() < max_stale)
    }
}

impl Asks {
    /// The number of the ask that this one is part of: a new one, if the pause since the last is over.
    fn put(&self, now: Instant, pause: Duration) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.is_none_or(|at| at + pause <= now) {
            last.number += 1;
            last.at = Some(now);
            self.wake.notify_one();
        }
        last.number
    }

    fn number(&self) -> u64 {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).number
    }

    /// Resolves when there is an ask after this one.
    async fn after(&self, number: u64) {
        while self.number() <= number {
            self.wake.notified().await;
        }
    }
}

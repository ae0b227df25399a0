//! GitHub's primary rate limit: so many requests an hour for each payer, told on every answer.

use std::collections::HashMap;

use http::HeaderMap;
use time::{Duration, UtcDateTime};

use crate::fault::Limit;

/// Whose limit a request is charged to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Payer {
    /// The account with this login, whatever its token.
    Account(String),
    /// The application itself.
    Application,
    /// Whoever brings no credentials, or dead ones.
    Stranger,
}

/// Every payer's current window.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    windows: HashMap<Payer, Standing>,
}

/// How a payer stands within its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    limit: u32,
    used: u32,
    resets_at: UtcDateTime,
}

impl Meter {
    /// Charges one request. The standing that comes back includes it.
    pub(crate) fn charge(&mut self, payer: &Payer, now: UtcDateTime) -> Standing {
        let window = self.window(payer, now);
        window.used = window.used.saturating_add(1);
        *window
    }

    /// Takes one charge back.
    pub(crate) fn refund(&mut self, payer: &Payer, now: UtcDateTime) -> Standing {
        let window = self.window(payer, now);
        window.used = window.used.saturating_sub(1);
        *window
    }

    fn window(&mut self, payer: &Payer, now: UtcDateTime) -> &mut Standing {
        let fresh = Standing {
            limit: if *payer == Payer::Stranger { 60 } else { 5_000 },
            used: 0,
            resets_at: now + Duration::HOUR,
        };
        let window = self.windows.entry(payer.clone()).or_insert(fresh);
        if window.resets_at <= now {
            *window = fresh;
        }
        window
    }
}

impl Standing {
    /// What a payer would be told who hit this limit and has to wait so long.
    pub(super) fn pretended(limit: Limit, seconds: u32, now: UtcDateTime) -> Self {
        match limit {
            Limit::Primary => Self {
                limit: 5_000,
                used: 5_000,
                resets_at: now + Duration::seconds(seconds.into()),
            },
            Limit::Secondary => Self {
                limit: 5_000,
                used: 20,
                resets_at: now + Duration::HOUR,
            },
        }
    }

    /// Whether the last charge was one too many.
    pub(super) fn exhausted(&self) -> bool {
        self.used > self.limit
    }

    /// Puts the standing on an answer.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let used = self.used.min(self.limit);
        headers.insert("x-ratelimit-limit", self.limit.into());
        headers.insert("x-ratelimit-remaining", (self.limit - used).into());
        headers.insert("x-ratelimit-used", used.into());
        headers.insert("x-ratelimit-reset", self.resets_at.unix_timestamp().into());
        headers.insert("x-ratelimit-resource", http::HeaderValue::from_static("core"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_for_an_hour_and_then_starts_anew() {
        let (mut meter, start) = (Meter::default(), UtcDateTime::UNIX_EPOCH);
        for _ in 0..60 {
            assert!(!meter.charge(&Payer::Stranger, start).exhausted());
        }
        assert!(
            meter
                .charge(&Payer::Stranger, start + Duration::minutes(59))
                .exhausted()
        );
        assert!(
            !meter.charge(&Payer::Application, start).exhausted(),
            "another payer has a limit of its own"
        );
        assert!(!meter.charge(&Payer::Stranger, start + Duration::HOUR).exhausted());
    }
}

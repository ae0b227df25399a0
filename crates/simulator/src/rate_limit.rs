//! GitHub's primary rate limit: requests per hour and payer, reported in every answer.

use std::collections::HashMap;

use http::HeaderMap;
use time::{Duration, UtcDateTime};

use crate::fault::Limit;

/// Payer whose limit a request is charged to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Payer {
    /// Account with this login, whatever its token.
    Account(String),
    /// Application itself.
    Application,
    /// Caller without valid credentials.
    Unauthenticated,
}

/// Current windows of all payers.
#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    windows: HashMap<Payer, RateUsage>,
}

/// Usage of a payer's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateUsage {
    limit: u32,
    used: u32,
    resets_at: UtcDateTime,
}

impl RateLimits {
    /// Charges one request and returns the usage including it.
    pub(crate) fn charge(&mut self, payer: &Payer, now: UtcDateTime) -> RateUsage {
        let window = self.window(payer, now);
        window.used = window.used.saturating_add(1);
        *window
    }

    /// Refunds one charge.
    pub(crate) fn refund(&mut self, payer: &Payer, now: UtcDateTime) -> RateUsage {
        let window = self.window(payer, now);
        window.used = window.used.saturating_sub(1);
        *window
    }

    fn window(&mut self, payer: &Payer, now: UtcDateTime) -> &mut RateUsage {
        let fresh = RateUsage {
            limit: if *payer == Payer::Unauthenticated { 60 } else { 5_000 },
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

impl RateUsage {
    /// Usage of a payer who has reached this limit and has to wait this long.
    pub(crate) fn simulated(limit: Limit, seconds: u32, now: UtcDateTime) -> Self {
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

    /// Reports whether the last charge exceeded the limit.
    pub(crate) fn exhausted(&self) -> bool {
        self.used > self.limit
    }

    /// Writes the usage into the headers of an answer.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
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
    fn limit_lasts_an_hour_and_then_restarts() {
        let (mut meter, start) = (RateLimits::default(), UtcDateTime::UNIX_EPOCH);
        for _ in 0..60 {
            assert!(!meter.charge(&Payer::Unauthenticated, start).exhausted());
        }
        assert!(
            meter
                .charge(&Payer::Unauthenticated, start + Duration::minutes(59))
                .exhausted()
        );
        assert!(
            !meter.charge(&Payer::Application, start).exhausted(),
            "another payer has a limit of its own"
        );
        assert!(
            !meter
                .charge(&Payer::Unauthenticated, start + Duration::HOUR)
                .exhausted()
        );
    }
}

//! Limits of a caller of the internal API, on each gateway.

use std::num::NonZeroU32;

/// Limits of a caller, which each gateway counts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallerLimits {
    /// Requests per second, also the most at one instant. Each event of a batch counts as a request.
    pub(crate) requests_per_second: NonZeroU32,
    /// Requests that are served at the same time.
    pub(crate) requests_in_flight: NonZeroU32,
}

impl CallerLimits {
    /// Limits of an entry that leaves some or all of them out. None if one is 0 or too large.
    pub(super) fn of(requests_per_second: Option<u32>, requests_in_flight: Option<u32>) -> Option<Self> {
        let check = |limit: Option<u32>, default: NonZeroU32| match limit {
            None => Some(default),
            Some(limit) => NonZeroU32::new(limit).filter(|limit| limit.get() <= MAX_LIMIT),
        };
        Some(Self {
            requests_per_second: check(requests_per_second, Self::DEFAULT.requests_per_second)?,
            requests_in_flight: check(requests_in_flight, Self::DEFAULT.requests_in_flight)?,
        })
    }

    /// Limits of a caller without limits of its own: above what a gateway with two cores can serve of single publishes, so that they
    /// slow no back end, and below what makes others wait for long.
    pub(crate) const DEFAULT: Self = Self {
        requests_per_second: NonZeroU32::MIN.saturating_add(19_999),
        requests_in_flight: NonZeroU32::MIN.saturating_add(511),
    };
}

/// Greatest value of a limit.
pub(super) const MAX_LIMIT: u32 = 1_000_000;

//! Rate limits of callback and webhook requests, per address and per platform.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::code::ErrorCode;
use tokio::time::Instant;

use crate::listener::client::Client;
use crate::rate::Limits;
use crate::settings::Rate;

/// Rate limits of one route on this gateway.
pub(super) struct CallRates(Mutex<CallLimits>);

struct CallLimits {
    addresses: Limits<IpAddr>,
    platforms: Limits<AccountType>,
}

impl CallRates {
    /// Creates full buckets.
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(CallLimits {
            addresses: Limits::new(per_second(PER_ADDRESS), now),
            platforms: Limits::new(per_second(PER_PLATFORM), now),
        }))
    }

    /// Takes a token from both buckets, or refuses. A trusted proxy that names no client has no bucket of its own.
    pub(super) fn admit(&self, client: &Client, platform: AccountType, now: Instant) -> Result<(), Failure> {
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The address comes first, so that a flooding address does not drain the platform's bucket.
        let address = client.limited_address();
        let admitted = address.map_or(Ok(()), |address| limits.addresses.admit(&address, now));
        let admitted = admitted.and_then(|()| limits.platforms.admit(&platform, now));
        admitted.map_err(|wait| Failure {
            retry_after: Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            ..Failure::of(ErrorCode::RateLimited)
        })
    }
}

/// Returns a rate whose burst is one second's worth.
fn per_second(count: u32) -> Rate {
    let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    Rate {
        per_second: count,
        burst: count,
    }
}

const PER_ADDRESS: u32 = 50;
const PER_PLATFORM: u32 = 500;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use AccountType::{Discord, Github};

    use super::*;
    use crate::settings::Proxies;

    fn address(last: u8) -> Client {
        Client::of_peer((Ipv4Addr::new(192, 0, 2, last), 4_711).into(), &Proxies::default())
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_is_limited_to_fifty_requests_per_second() {
        let now = Instant::now();
        let rates = CallRates::new(now);
        for nth in 0..50 {
            let platform = if nth % 2 == 0 { Github } else { Discord };
            assert!(rates.admit(&address(1), platform, now).is_ok());
        }
        let refused = rates.admit(&address(1), Github, now).unwrap_err();
        assert_eq!((refused.error, refused.retry_after), (ErrorCode::RateLimited, Some(1)));
        assert!(rates.admit(&address(2), Github, now).is_ok());
        let later = now + std::time::Duration::from_millis(20);
        assert!(rates.admit(&address(1), Github, later).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn one_platform_is_limited_to_five_hundred_requests_per_second() {
        let now = Instant::now();
        let rates = CallRates::new(now);
        for nth in 0..500 {
            let from = address(u8::try_from(nth % 20).unwrap());
            assert!(rates.admit(&from, Github, now).is_ok(), "{nth}");
        }
        assert!(rates.admit(&address(99), Github, now).is_err());
        assert!(rates.admit(&address(99), Discord, now).is_ok());
    }
}

//! Concurrency permits per platform: a platform that is slow, or never answers, delays only the work of its own.

use std::sync::Arc;
use std::time::Duration;

use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::call::{Call, Refusal, whole_seconds};
use crate::metrics::Metrics;
use crate::settings::PlatformConcurrency;

/// Permits of every platform for one kind of work. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct PlatformPermits {
    platforms: Arc<ByPlatform<PermitPool>>,
    metrics: Metrics,
}

#[derive(Debug)]
struct PermitPool {
    running: Arc<Semaphore>,
    waiting: Semaphore,
}

impl PlatformPermits {
    /// Creates permits with these bounds for each platform.
    pub(crate) fn new(bounds: PlatformConcurrency, metrics: Metrics) -> Self {
        let permits = || PermitPool {
            running: Arc::new(Semaphore::new(bounds.running)),
            waiting: Semaphore::new(bounds.waiting),
        };
        Self {
            platforms: Arc::new(ByPlatform::new(permits)),
            metrics,
        }
    }

    /// Acquires a permit for a call, which releases the permit of its lane: while it waits and while it calls the platform, it delays
    /// no job of another kind. Acquired before anything is consumed, so that a refused call can be repeated.
    pub(crate) async fn acquire(
        &self,
        call: &Call,
        platform: AccountType,
    ) -> Result<OwnedSemaphorePermit, PlatformBusy> {
        let permit = self.platforms.get(platform).take(call).await;
        if permit.is_none() {
            self.metrics.platform_busy(platform);
        }
        permit.ok_or(PlatformBusy(platform))
    }

    /// Acquires a permit if one is free now.
    pub(crate) fn try_acquire(&self, platform: AccountType) -> Option<OwnedSemaphorePermit> {
        self.platforms.get(platform).free()
    }

    /// Number of permits of a platform that are free now.
    pub(crate) fn available(&self, platform: AccountType) -> usize {
        self.platforms.get(platform).running.available_permits()
    }
}

impl PermitPool {
    /// Returns no permit where too many calls wait already, or the deadline of the call is near.
    async fn take(&self, call: &Call) -> Option<OwnedSemaphorePermit> {
        let latest = call.platform_deadline().checked_sub(LEAST_TIME)?;
        if Instant::now() >= latest {
            return None;
        }
        if let Some(permit) = self.free() {
            call.release_lane();
            return Some(permit);
        }
        let _waiting = self.waiting.try_acquire().ok()?;
        call.release_lane();
        let free = Arc::clone(&self.running).acquire_owned();
        timeout_at(latest, free).await.ok()?.ok()
    }

    fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.running).try_acquire_owned().ok()
    }
}

/// One value for each platform.
#[derive(Debug)]
struct ByPlatform<T> {
    discord: T,
    github: T,
    telegram: T,
    x_twitter: T,
}

impl<T> ByPlatform<T> {
    fn new(one: impl Fn() -> T) -> Self {
        Self {
            discord: one(),
            github: one(),
            telegram: one(),
            x_twitter: one(),
        }
    }

    fn get(&self, platform: AccountType) -> &T {
        match platform {
            AccountType::Discord => &self.discord,
            AccountType::Github => &self.github,
            AccountType::Telegram => &self.telegram,
            AccountType::XTwitter => &self.x_twitter,
        }
    }
}

/// Refusal of a call whose platform has too many calls before it. Nothing was sent, and nothing was consumed.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("too many calls to {0} are running")]
pub(crate) struct PlatformBusy(AccountType);

impl Fault for PlatformBusy {
    fn code(&self) -> ErrorCode {
        ErrorCode::PlatformUnavailable
    }
}

impl Refusal for PlatformBusy {
    fn failure(&self) -> Failure {
        Failure {
            retry_after: Some(whole_seconds(LEAST_TIME)),
            ..Failure::with_message(
                self.code(),
                "The platform answers too slowly; nothing was sent, try again.",
            )
        }
    }
}

/// Minimum time that a call needs for its platform: the limit of one request.
const LEAST_TIME: Duration = Duration::from_secs(4);

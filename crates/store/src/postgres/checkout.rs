//! Checkout of a connection by one caller, and the wait for it.

use std::pin::pin;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Object};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};

use super::connection::Opener;
use super::error::Failure;
use super::permits::ConnectionPermits;
use super::settings::CONNECT_TIMEOUT;
use crate::metrics::OperationTimer;

/// Connections of one pool with the permits to use them. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    pub(super) pool: managed::Pool<Opener>,
    pub(super) permits: ConnectionPermits,
}

/// Connection in use, and the deadline of its caller. When dropped, it first returns the connection, then the permit.
pub(super) struct Checkout {
    pub(super) connection: Object<Opener>,
    pub(super) until: Instant,
    _permit: OwnedSemaphorePermit,
}

/// Time limits of a caller.
#[derive(Clone, Copy)]
pub(super) struct WaitLimits {
    started: Instant,
    /// Limit of the whole operation while the server accepts as many connections as the pool wants.
    all: Duration,
    /// Limit of the wait for a connection while the server accepts fewer.
    degraded: Instant,
}

impl WaitLimits {
    /// Limits of an operation that may take `all`, for a job with this deadline.
    pub(super) fn new(all: Duration, deadline: Option<Instant>) -> Self {
        let started = Instant::now();
        let latest = deadline.and_then(|deadline| deadline.checked_sub(TO_ANSWER));
        Self {
            started,
            all,
            degraded: latest.unwrap_or(started + DEGRADED).max(started + all),
        }
    }

    fn normal(self) -> Instant {
        self.started + self.all
    }
}

impl Connections {
    pub(super) fn new(opener: Opener, size: usize) -> Self {
        let pool = managed::Pool::builder(opener)
            .runtime(Runtime::Tokio1)
            .max_size(size)
            .create_timeout(Some(CONNECT_TIMEOUT))
            .build();
        #[expect(clippy::expect_used, reason = "fails only when timeouts are set without a runtime")]
        let pool = pool.expect("the pool has a runtime");
        Self {
            pool,
            permits: ConnectionPermits::new(size),
        }
    }

    /// Checks out an idle connection, or opens one more. If the server refuses one more, waits for another caller's. The timer measures
    /// how long the server takes to open one.
    pub(super) async fn check_out(&self, limits: WaitLimits, timer: &OperationTimer<'_>) -> Result<Checkout, Failure> {
        let mut refusal = None;
        loop {
            let Some(permit) = self.permit(limits).await else {
                return Err(refusal.unwrap_or(Failure::NoConnection));
            };
            let until = if self.permits.are_reduced() {
                Instant::now() + limits.all
            } else {
                limits.normal()
            };
            let failure = match within(until, timer.measure(self.pool.get())).await {
                Ok(connection) => {
                    return Ok(Checkout {
                        connection,
                        until,
                        _permit: permit,
                    });
                }
                Err(failure) => failure,
            };
            if failure.is_refused_connection() && self.pool.status().size > 0 {
                self.permits.withhold(permit);
            } else if failure.is_too_many_connections() && Instant::now() < limits.degraded {
                // Other clients have all connections, and this pool has none that could become free.
                sleep(RETRY_AFTER).await;
            } else {
                return Err(failure);
            }
            refusal = Some(failure);
        }
    }

    async fn permit(&self, limits: WaitLimits) -> Option<OwnedSemaphorePermit> {
        let mut permit = pin!(self.permits.acquire());
        let permit = match timeout_at(limits.normal(), &mut permit).await {
            Err(_elapsed) if self.permits.are_reduced() => timeout_at(limits.degraded, permit).await,
            permit => permit,
        };
        permit.ok()?.ok()
    }
}

/// Waits for an answer of the server until this instant.
pub(super) async fn within<T, E: Into<Failure>>(
    until: Instant,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match timeout_at(until, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_elapsed) => Err(Failure::Silent),
    }
}

/// Wait for a connection without a job's deadline: as long as clients wait.
const DEGRADED: Duration = Duration::from_secs(10);

/// Time that the wait for a connection leaves before a job's deadline, for the answer or for what must be undone.
const TO_ANSWER: Duration = Duration::from_millis(500);

/// Delay before a server without a free connection is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

//! Maximum number of sockets of a gateway, for which its memory suffices.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifecycle::Condition;
use tokio::time::Instant;

/// Permits of sockets, from the upgrade to the close.
///
/// At the limit the gateway is unready, so that balancers send new clients elsewhere, and it stays so until a part of the permits is
/// free: sockets that come and go at the limit do not make it ready and unready in turn.
pub(crate) struct SocketLimit {
    /// Maximum number of sockets, if any.
    max: Option<usize>,
    /// Number of sockets that counts as saturated: the limit, or the connections for which there are file descriptors.
    capacity: usize,
    state: Mutex<State>,
    below: Condition,
}

#[derive(Default)]
struct State {
    sockets: usize,
    full: Option<Full>,
}

/// Time at the limit.
struct Full {
    since: Instant,
    refused: u64,
}

/// Permit of one WebSocket. Dropping it releases it.
pub(crate) struct SocketPermit(Arc<SocketLimit>);

impl SocketLimit {
    /// Creates the permits; `below` is met while sockets are accepted, and `max_connections` bounds them without a limit.
    pub(crate) fn new(max: Option<NonZeroUsize>, max_connections: usize, below: Condition) -> Arc<Self> {
        below.set(true);
        let max = max.map(NonZeroUsize::get);
        Arc::new(Self {
            max,
            capacity: max.unwrap_or(usize::MAX).min(max_connections),
            state: Mutex::default(),
            below,
        })
    }

    /// Acquires a permit, or counts a refusal.
    pub(crate) fn acquire(self: &Arc<Self>) -> Option<SocketPermit> {
        let mut state = self.state();
        let max = self.max.unwrap_or(usize::MAX);
        if state.sockets >= max {
            if let Some(full) = &mut state.full {
                full.refused += 1;
            }
            return None;
        }
        state.sockets += 1;
        if state.sockets == max && state.full.is_none() {
            state.full = Some(Full {
                since: Instant::now(),
                refused: 0,
            });
            self.below.set(false);
            tracing::warn!(sockets = max, "socket limit reached, refusing upgrades");
        }
        Some(SocketPermit(Arc::clone(self)))
    }

    /// Returns the share of the sockets in use, 0 to 1. Without a bound it is 0.
    pub(crate) fn saturation(&self) -> f64 {
        let sockets = self.state().sockets;
        match self.capacity {
            usize::MAX => 0.0,
            0 => 1.0,
            capacity => (sockets as f64 / capacity as f64).min(1.0),
        }
    }

    fn release(&self) {
        let mut state = self.state();
        state.sockets = state.sockets.saturating_sub(1);
        let free = self.max.map_or(usize::MAX, |max| max.saturating_sub(state.sockets));
        if free < self.max.unwrap_or(0).div_ceil(READY_SHARE) {
            return;
        }
        if let Some(full) = state.full.take() {
            self.below.set(true);
            tracing::info!(
                sockets = state.sockets,
                refused = full.refused,
                seconds = full.since.elapsed().as_secs(),
                "sockets below the limit, accepting upgrades"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SocketPermit {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// Time after which a refused client may try again. Its balancer has noticed by then, and other gateways have room.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Share of the permits that is free before the gateway is ready again: a twentieth.
const READY_SHARE: usize = 20;

#[cfg(test)]
mod tests {
    use lifecycle::Readiness;

    use super::*;

    fn limit(max: usize, max_connections: usize) -> (Arc<SocketLimit>, Readiness) {
        let readiness = Readiness::new();
        let below = readiness.condition("sockets");
        (
            SocketLimit::new(NonZeroUsize::new(max), max_connections, below),
            readiness,
        )
    }

    fn acquire(limit: &Arc<SocketLimit>, count: usize) -> Vec<SocketPermit> {
        (0..count).map_while(|_| limit.acquire()).collect()
    }

    #[test]
    fn sockets_up_to_the_limit_are_accepted_and_counted_until_they_end() {
        let (limit, _readiness) = limit(40, usize::MAX);
        let mut permits = acquire(&limit, 41);
        assert_eq!(permits.len(), 40);
        assert!(limit.acquire().is_none());
        permits.pop();
        assert!(limit.acquire().is_some());
    }

    #[test]
    fn gateway_is_unready_at_the_limit_until_a_twentieth_is_free() {
        let (limit, readiness) = limit(40, usize::MAX);
        let mut permits = acquire(&limit, 39);
        assert!(readiness.is_ready());
        permits.extend(limit.acquire());
        assert!(!readiness.is_ready());
        permits.pop();
        assert!(!readiness.is_ready(), "one free permit would be taken at once");
        permits.extend(limit.acquire());
        permits.truncate(38);
        assert!(readiness.is_ready());
    }

    #[test]
    fn limit_of_one_socket_is_ready_when_it_is_free() {
        let (limit, readiness) = limit(1, usize::MAX);
        let permit = limit.acquire();
        assert!(!readiness.is_ready());
        drop(permit);
        assert!(readiness.is_ready());
    }

    #[test]
    fn saturation_is_the_share_of_the_smaller_bound() {
        let share = |max, max_connections, sockets| {
            let (limit, _readiness) = limit(max, max_connections);
            let permits = acquire(&limit, sockets);
            let saturation = limit.saturation();
            drop(permits);
            assert!(limit.saturation() < 0.01);
            (saturation * 100.0).round()
        };
        assert_eq!(share(40, usize::MAX, 10), 25.0);
        assert_eq!(share(40, 20, 10), 50.0);
        assert_eq!(share(40, 20, 30), 100.0);
        assert_eq!(share(0, 100, 30), 30.0);
        assert_eq!(share(0, usize::MAX, 30), 0.0);
    }
}

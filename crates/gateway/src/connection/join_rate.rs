//! Rate limit of new sockets per user on this gateway, over all its sockets: neither a reconnect nor another CONNECT on an open socket
//! resets it.

use std::sync::{Mutex, PoisonError};

use protocol::id::UserId;
use tokio::time::Instant;

use crate::rate::Limits;
use crate::settings::Rate;

/// Counts of all users with recent joins.
pub(crate) struct JoinRate {
    limits: Option<Mutex<Limits<UserId>>>,
}

impl JoinRate {
    /// Limits new sockets of one user to this rate; `None` is no limit.
    pub(crate) fn new(rate: Option<Rate>, now: Instant) -> Self {
        Self {
            limits: rate.map(|rate| Mutex::new(Limits::new(rate, now))),
        }
    }

    /// Counts a socket whose token was verified. False if the user has exceeded the rate.
    pub(super) fn admit(&self, user: &UserId, now: Instant) -> bool {
        let Some(limits) = &self.limits else {
            return true;
        };
        let mut limits = limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.admit(user, now).is_ok()
    }
}

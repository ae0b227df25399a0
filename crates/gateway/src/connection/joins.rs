//! How often one user may come to this gateway, counted over all its sockets: neither a reconnect nor another CONNECT on a socket
//! that was left gives it a new allowance.

use std::sync::{Mutex, PoisonError};

use protocol::id::UserId;
use tokio::time::Instant;

use crate::rate::Limits;
use crate::settings::Rate;

/// The counts of all users that have come lately.
pub(crate) struct Joins {
    limits: Option<Mutex<Limits<UserId>>>,
}

impl Joins {
    /// Sockets of one user that may come; none is no limit.
    pub(crate) fn new(rate: Option<Rate>, now: Instant) -> Self {
        Self {
            limits: rate.map(|rate| Mutex::new(Limits::new(rate, now))),
        }
    }

    /// Counts a socket of this user that has proven its token; false when too many have come.
    pub(super) fn admit(&self, user: &UserId, now: Instant) -> bool {
        let Some(limits) = &self.limits else {
            return true;
        };
        let mut limits = limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.admit(user, now).is_ok()
    }
}

//! Pauses of whole platforms.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use protocol::account::AccountType;

use super::MemoryStore;
use super::state::State;
use crate::StoreError;
use crate::pauses::Pauses;

#[async_trait]
impl Pauses for MemoryStore {
    async fn pause_platform(&self, platform: AccountType, wait: Duration) -> Result<(), StoreError> {
        let until = self.now() + wait;
        self.state().pause_platform(platform, until);
        Ok(())
    }
}

impl State {
    pub(super) fn pause_platform(&mut self, platform: AccountType, until: SystemTime) {
        let all = self.pauses.entry(platform.as_str()).or_insert(until);
        *all = until.max(*all);
    }

    /// Remaining pause of a platform; zero if there is none.
    pub(super) fn pause_left(&self, platform: AccountType, now: SystemTime) -> Duration {
        left(self.pauses.get(platform.as_str()).copied(), now)
    }
}

/// Remaining time until an instant; zero if it has passed.
pub(super) fn left(until: Option<SystemTime>, now: SystemTime) -> Duration {
    until
        .and_then(|until| until.duration_since(now).ok())
        .unwrap_or_default()
}

//! Announcement of session ends in Redis, before they are committed.

use async_trait::async_trait;
use bus::{BusError, EndAnnouncement, SessionRegistry};
use protocol::fault::chain;
use protocol::id::{SessionId, UserId};
use store::{AnnounceError, AnnouncedEnd, EndAnnouncer};

use super::key;

/// [`EndAnnouncer`] over the bus.
pub(super) struct BusEndAnnouncer<'a, B: ?Sized>(pub(super) &'a B);

#[async_trait]
impl<B: SessionRegistry + ?Sized> EndAnnouncer for BusEndAnnouncer<'_, B> {
    async fn announce(&self, user: &UserId, sessions: &[SessionId]) -> Result<Vec<AnnouncedEnd>, AnnounceError> {
        let keys: Vec<_> = sessions.iter().map(|session| key(user, session)).collect();
        let announced = self.0.announce_end(&keys).await.map_err(|error| refused(&error))?;
        let end = |announced: EndAnnouncement| AnnouncedEnd {
            was_alive: announced.was_alive,
            newest_token: announced.tokens.issued_at,
            latest_expiry: announced.tokens.expires_at,
        };
        Ok(announced.into_iter().map(end).collect())
    }
}

fn refused(error: &BusError) -> AnnounceError {
    tracing::warn!(error = chain(error), "session ends not announced, no session ended");
    AnnounceError
}

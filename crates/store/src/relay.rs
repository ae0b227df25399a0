//! Relay of one user's events, page by page: unsent ones, and before them those of the last minutes where the publisher has lost
//! them.

use async_trait::async_trait;
use protocol::cluster::offset::Epoch;
use protocol::id::UserId;

use crate::StoreError;
use crate::outbox::{Publisher, Relayed};

/// Restore of an event log: events are published in the sequence of their numbers, whether or not they were sent before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restore {
    /// Epoch of the event log.
    pub(crate) epoch: Epoch,
    /// Number of the last event that was published in it.
    pub(crate) after: i64,
}

/// Published page of events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelayedPage {
    pub(crate) sent: u64,
    pub(crate) resent: u64,
    /// Number of the last accepted event.
    pub(crate) last: Option<i64>,
    pub(crate) end: PageEnd,
}

/// Reason for the end of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageEnd {
    /// The page was full, or took long enough.
    Page,
    /// The outbox has no more events.
    Outbox,
    /// The publisher refused an event.
    Refusal,
    /// The next event is of a newer version, for workers of a newer release.
    Newer,
    /// The event log of the publisher is unrestored.
    Unrestored,
}

/// Pages of one user's outbox.
#[async_trait]
pub(crate) trait RelayPages: Send + Sync {
    /// Publishes the next page and marks its events as sent: the unsent ones, or in a restore the recent ones too.
    async fn publish_page(&self, restore: Option<&Restore>) -> Result<RelayedPage, StoreError>;
}

/// Relays the unsent events of a user. The caller excludes other relays of the user in this process; those of other processes may
/// run between two pages, and restore the same event log: each publishes by number, and the publisher drops what it has.
pub(crate) async fn relay(
    user: &UserId,
    publisher: &dyn Publisher,
    pages: &dyn RelayPages,
) -> Result<Relayed, StoreError> {
    run(user, publisher, pages, None).await
}

/// Restores the event log of a user, if it is unrestored.
pub(crate) async fn restore(
    user: &UserId,
    publisher: &dyn Publisher,
    pages: &dyn RelayPages,
) -> Result<Relayed, StoreError> {
    match begin_restore(user, publisher).await {
        Ok(Some(restore)) => run(user, publisher, pages, Some(restore)).await,
        Ok(None) => Ok(Relayed::default()),
        Err(Stopped) => Ok(Relayed {
            stopped: true,
            ..Relayed::default()
        }),
    }
}

async fn run(
    user: &UserId,
    publisher: &dyn Publisher,
    pages: &dyn RelayPages,
    mut restore: Option<Restore>,
) -> Result<Relayed, StoreError> {
    let mut relayed = Relayed::default();
    let mut starts = 0;
    loop {
        let page = pages.publish_page(restore.as_ref()).await?;
        relayed.sent += page.sent;
        relayed.resent += page.resent;
        if let Some((restore, last)) = restore.as_mut().zip(page.last) {
            restore.after = last;
        }
        let is_restarted = match page.end {
            PageEnd::Page => false,
            PageEnd::Unrestored => true,
            PageEnd::Refusal | PageEnd::Newer => break,
            PageEnd::Outbox => match &restore {
                None => return Ok(relayed),
                Some(restore) => match publisher.mark_restored(user, &restore.epoch).await {
                    Ok(true) => return Ok(relayed),
                    Ok(false) => true,
                    Err(_reported) => break,
                },
            },
        };
        if is_restarted {
            starts += 1;
            restore = match begin_restore(user, publisher).await {
                Ok(restore) if starts <= MAX_STARTS => restore,
                Ok(_) | Err(Stopped) => break,
            };
        }
    }
    relayed.stopped = true;
    Ok(relayed)
}

/// The publisher did not answer.
struct Stopped;

async fn begin_restore(user: &UserId, publisher: &dyn Publisher) -> Result<Option<Restore>, Stopped> {
    let epoch = publisher.unrestored_epoch(user).await.map_err(|_reported| Stopped)?;
    Ok(epoch.map(|epoch| Restore { epoch, after: i64::MIN }))
}

/// Bound of the restores of one relay: each follows another loss.
const MAX_STARTS: usize = 8;

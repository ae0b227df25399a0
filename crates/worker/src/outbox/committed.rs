//! Publication of events that were just committed, from memory.

use std::collections::HashMap;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;
use store::{OutboxId, Publication, Publisher, Relayed, SentEvent};
use tokio::time::Instant;

use super::relay::OutboxRelay;

/// Event of a transaction that has just committed, with no unsent event of its user before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommittedEvent<'a> {
    pub(crate) id: OutboxId,
    pub(crate) user: &'a UserId,
    pub(crate) event: &'a Envelope,
}

/// Result of [`OutboxRelay::publish_committed`].
#[derive(Debug, Default)]
pub(crate) struct CommittedEvents {
    /// Published events.
    pub(crate) sent: Vec<SentEvent>,
    /// Events of users whose event logs are unrestored: a relay publishes them after the recent ones.
    pub(crate) unrestored: Vec<OutboxId>,
}

impl OutboxRelay {
    /// Publishes committed events without reading them from the outbox: those of one user in their order, up to the first that
    /// the bus refuses. The others stay in the outbox, for the sweep.
    pub(crate) async fn publish_committed(&self, events: Vec<CommittedEvent<'_>>) -> CommittedEvents {
        let committed = Instant::now();
        let mut of_users: HashMap<_, Vec<_>> = HashMap::new();
        for event in events {
            of_users.entry(event.user).or_default().push(event);
        }
        let publications = of_users
            .into_values()
            .map(|events| self.publish_in_sequence(events, committed));
        let mut publications: FuturesUnordered<_> = publications.collect();
        let mut all = CommittedEvents::default();
        while let Some(of_user) = publications.next().await {
            all.sent.extend(of_user.sent);
            all.unrestored.extend(of_user.unrestored);
        }
        all
    }

    async fn publish_in_sequence(&self, events: Vec<CommittedEvent<'_>>, committed: Instant) -> CommittedEvents {
        let mut published = CommittedEvents::default();
        for CommittedEvent { id, user, event } in &events {
            match self.publisher.publish(user, event, None).await {
                Ok(Publication::Accepted) => {
                    let age = committed.elapsed();
                    published.sent.push(SentEvent { id: *id, age });
                }
                Ok(Publication::Unrestored) => {
                    let left = events.iter().skip(published.sent.len());
                    published.unrestored = left.map(|event| event.id).collect();
                    break;
                }
                Err(_reported) => break,
            }
        }
        self.metrics.relay(Relayed {
            sent: published.sent.len() as u64,
            resent: 0,
            stopped: published.sent.len() + published.unrestored.len() < events.len(),
        });
        published
    }
}

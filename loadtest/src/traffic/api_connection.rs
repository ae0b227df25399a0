//! Connection to an API, by which the events of some users are published: each when it is due, alone or in a batch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::ledger::{Ledger, Series, add_reason};
use super::numbered_events::{DueEvent, NumberedEvents};
use crate::publisher::{Accepted, Publisher};

/// Connection to an API with its share of the users.
pub(super) struct ApiConnection {
    number: usize,
    publisher: Publisher,
    events: Arc<NumberedEvents>,
    ledger: Arc<Ledger>,
    /// Events that may not have been accepted, by user and number.
    uncertain: BTreeSet<(usize, u64)>,
}

impl ApiConnection {
    /// Connection of this number.
    pub(super) fn new(number: usize, publisher: Publisher, events: &Arc<NumberedEvents>, ledger: &Arc<Ledger>) -> Self {
        Self {
            number,
            publisher,
            events: Arc::clone(events),
            ledger: Arc::clone(ledger),
            uncertain: BTreeSet::new(),
        }
    }

    /// Publishes what becomes due; returns what may not have been accepted.
    pub(super) async fn run(mut self, mut due: mpsc::Receiver<u64>) -> BTreeSet<(usize, u64)> {
        loop {
            let mut events = Vec::with_capacity(self.events.batch);
            while events.len() < self.events.batch
                && let Some(number) = due.recv().await
            {
                events.push(self.events.event(number));
            }
            if events.is_empty() {
                return self.uncertain;
            }
            self.publish(events).await;
        }
    }

    /// Publishes events; those with an idempotency key are repeated until they are accepted or 30 s have passed.
    async fn publish(&mut self, mut events: Vec<DueEvent>) {
        loop {
            let results = self.request(&events).await;
            let mut left = Vec::new();
            for (event, accepted) in events.into_iter().zip(results) {
                let age = self.ledger.epoch().elapsed().saturating_sub(event.stamp.due);
                match accepted {
                    Ok(()) => {
                        self.ledger.ended(self.number, Series::Accepted, event.stamp.due);
                        self.ledger.count(|counts| counts.accepted += 1);
                    }
                    Err(_) if event.can_be_repeated && age <= GIVE_UP => {
                        self.ledger.count(|counts| counts.retries += 1);
                        left.push(event);
                    }
                    Err(reason) => {
                        self.uncertain.insert((event.user, event.stamp.number));
                        self.ledger.count(|counts| add_reason(&mut counts.refused, reason));
                    }
                }
            }
            if left.is_empty() {
                return;
            }
            events = left;
            sleep(RETRY).await;
        }
    }

    /// Sends one request with all events; one that fails as a whole accepts none.
    async fn request(&mut self, events: &[DueEvent]) -> Vec<Accepted> {
        let sent = timeout(PATIENCE, self.send(events)).await;
        sent.unwrap_or_else(|elapsed| Err(elapsed.into()))
            .unwrap_or_else(|error| vec![Err(format!("{error:#}")); events.len()])
    }

    async fn send(&mut self, events: &[DueEvent]) -> anyhow::Result<Vec<Accepted>> {
        if let ([event], 1) = (events, self.events.batch) {
            let name = self.events.shape.name(event.user);
            self.publisher.publish(&name, &event.body).await?;
            return Ok(vec![Ok(())]);
        }
        let bodies: Vec<&Value> = events.iter().map(|event| &event.body).collect();
        self.publisher.publish_batch(&bodies).await
    }
}

/// Timeout of a request.
const PATIENCE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(200);
/// Age at which an event that is not accepted is given up.
const GIVE_UP: Duration = Duration::from_secs(30);

//! Publishing of events in an open loop: each is due at its time, whether earlier ones were accepted or not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::ledger::{Ledger, Series, add_reason};
use super::shape::Shape;
use crate::event::{Kind, Stamp};
use crate::pacer::Schedule;
use crate::publisher::{Api, Publisher};
use crate::random::Random;

/// Shares of the kinds of published events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    /// Share of notifications, of 1.
    pub(crate) notifications: f64,
    /// Share of alerts, of 1.
    pub(crate) alerts: f64,
    pub(crate) seed: u64,
}

impl Mix {
    /// Only events of one kind.
    pub(crate) fn only(kind: Kind) -> Self {
        Self {
            notifications: if kind == Kind::Notification { 1.0 } else { 0.0 },
            alerts: if kind == Kind::Alert { 1.0 } else { 0.0 },
            seed: 0,
        }
    }

    /// Kind of a numbered event.
    fn kind(&self, number: u64) -> Kind {
        let draw = Random::new(self.seed ^ number).fraction();
        if draw < self.alerts {
            Kind::Alert
        } else if draw < self.alerts + self.notifications {
            Kind::Notification
        } else {
            Kind::Status
        }
    }
}

/// Events to publish: event n goes to user n modulo their count.
#[derive(Clone)]
pub(crate) struct Publishing {
    /// APIs: connection n uses number n modulo their count.
    pub(crate) apis: Vec<Api>,
    pub(crate) shape: Shape,
    pub(crate) schedule: Schedule,
    pub(crate) mix: Mix,
    /// Length of an event, in bytes.
    pub(crate) bytes: usize,
    /// Number of connections to the APIs. All events of a user use the same one.
    pub(crate) connections: usize,
    /// Gives every event an idempotency key, so that it can be repeated until it is accepted; alerts always have one.
    pub(crate) keyed: bool,
    /// Part of idempotency keys that distinguishes this run.
    pub(crate) run: u64,
    /// Events of an earlier part: numbers continue behind them.
    pub(crate) first: Published,
}

/// Account of the published events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// Number of events of each user.
    counts: Vec<u64>,
    /// Events that may not have been accepted, by user and number.
    uncertain: BTreeSet<(usize, u64)>,
}

impl Published {
    /// Number of events published to a user.
    pub(crate) fn count(&self, user: usize) -> u64 {
        self.counts.get(user).copied().unwrap_or_default()
    }

    /// Numbers of the user's events that may not have been accepted.
    pub(crate) fn uncertain(&self, user: usize) -> BTreeSet<u64> {
        let of_user = self.uncertain.range((user, 0)..(user + 1, 0));
        of_user.map(|(_, number)| *number).collect()
    }

    /// Number of events published to all users.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Publishing {
    /// Publishes all events of the schedule; returns the account, with that of the earlier phase.
    pub(crate) async fn run(self, ledger: &Arc<Ledger>) -> anyhow::Result<Published> {
        let mut published = self.first.clone();
        published.counts.resize(self.shape.users, 0);
        let (users, connections) = (self.shape.users as u64, self.connections.clamp(1, self.shape.users));
        let mut tasks = JoinSet::new();
        let mut lanes = Vec::new();
        let counts = Arc::new(published.counts.clone());
        for connection in 0..connections {
            let (lane, due) = mpsc::channel(QUEUE);
            lanes.push(lane);
            let connection = Connection::new(&self, connection, ledger, &counts)?;
            tasks.spawn(connection.run(due));
        }
        let (total, schedule) = (self.schedule.total, self.schedule);
        let pacer = schedule.release(lanes, move |number| index(number % users) % connections);
        while let Some(uncertain) = tasks.join_next().await {
            published.uncertain.extend(uncertain?);
        }
        pacer.await?;
        for (user, count) in published.counts.iter_mut().enumerate() {
            // Events of the user below the total: user, user + users, and so on.
            *count += (total + users - 1 - user as u64) / users;
        }
        Ok(published)
    }
}

/// Index of a number that is below the count of something in memory.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Connection to an API with its share of the users.
struct Connection {
    publisher: Publisher,
    publishing: Publishing,
    number: usize,
    ledger: Arc<Ledger>,
    first: Arc<Vec<u64>>,
    uncertain: BTreeSet<(usize, u64)>,
}

impl Connection {
    fn new(
        publishing: &Publishing,
        number: usize,
        ledger: &Arc<Ledger>,
        first: &Arc<Vec<u64>>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            publisher: Publisher::new(publishing.apis.clone(), number)?,
            publishing: publishing.clone(),
            number,
            ledger: Arc::clone(ledger),
            first: Arc::clone(first),
            uncertain: BTreeSet::new(),
        })
    }

    /// Publishes what becomes due; returns what may not have been accepted.
    async fn run(mut self, mut due: mpsc::Receiver<u64>) -> BTreeSet<(usize, u64)> {
        while let Some(number) = due.recv().await {
            let users = self.publishing.shape.users as u64;
            let user = index(number % users);
            let stamp = Stamp {
                kind: self.publishing.mix.kind(number),
                number: self.first.get(user).copied().unwrap_or_default() + number / users,
                due: self.publishing.schedule.due(number),
            };
            match self.publish(user, stamp).await {
                Ok(()) => {
                    self.ledger.ended(self.number, Series::Accepted, stamp.due);
                    self.ledger.count(|counts| counts.accepted += 1);
                }
                Err(error) => {
                    self.uncertain.insert((user, stamp.number));
                    self.ledger
                        .count(|counts| add_reason(&mut counts.refused, format!("{error:#}")));
                }
            }
        }
        self.uncertain
    }

    /// Publishes an event; one with an idempotency key is repeated until it is accepted or 30 s have passed.
    async fn publish(&mut self, user: usize, stamp: Stamp) -> anyhow::Result<()> {
        let name = self.publishing.shape.name(user);
        let (event, data) = (stamp.kind.event(), stamp.kind.data(stamp, self.publishing.bytes));
        if stamp.kind != Kind::Alert && !self.publishing.keyed {
            let event = json!({ "event": event, "data": data });
            return timeout(PATIENCE, self.publisher.publish(&name, &event)).await?;
        }
        let key = format!("{name}-{}-{}", self.publishing.run, stamp.number);
        let event = json!({ "event": event, "data": data, "idempotencyKey": key });
        let ledger = Arc::clone(&self.ledger);
        let repeated = async {
            loop {
                let attempt = timeout(PATIENCE, self.publisher.publish(&name, &event)).await;
                let age = ledger.epoch().elapsed().saturating_sub(stamp.due);
                match attempt.unwrap_or_else(|elapsed| Err(elapsed.into())) {
                    Ok(()) => return Ok(()),
                    Err(error) if age > GIVE_UP => return Err(error),
                    Err(_) => ledger.count(|counts| counts.retries += 1),
                }
                sleep(RETRY).await;
            }
        };
        repeated.await
    }
}

/// Most due events that wait for one connection; the pacer waits while it is full.
const QUEUE: usize = 65_536;
/// Timeout of a request.
const PATIENCE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(200);
/// Age at which an event that is not accepted is given up.
const GIVE_UP: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn mix_has_its_shares_and_repeats_with_its_seed() {
        let mix = Mix {
            notifications: 0.3,
            alerts: 0.1,
            seed: 7,
        };
        let mut counts: BTreeMap<Kind, i32> = BTreeMap::new();
        for number in 0..10_000 {
            *counts.entry(mix.kind(number)).or_insert(0) += 1;
            assert_eq!(mix.kind(number), mix.kind(number));
        }
        for (kind, share) in [(Kind::Status, 6_000), (Kind::Notification, 3_000), (Kind::Alert, 1_000)] {
            assert!((counts[&kind] - share).abs() < 300, "{kind:?}: {}", counts[&kind]);
        }
        for kind in Kind::ALL {
            assert!((0..100).all(|number| Mix::only(kind).kind(number) == kind));
        }
    }

    #[test]
    fn uncertain_events_are_those_of_the_user_and_not_accepted() {
        let published = Published {
            counts: vec![3, 2],
            uncertain: [(0, 2), (1, 0), (1, 1)].into(),
        };
        assert_eq!(published.uncertain(1), [0, 1].into());
        assert_eq!(published.uncertain(0), [2].into());
        assert_eq!((published.count(0), published.total()), (3, 5));
    }
}

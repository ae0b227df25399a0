//! Publishing of events in an open loop: each is due at its time, whether earlier ones were accepted or not.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::api_connection::ApiConnection;
use super::ledger::Ledger;
use super::numbered_events::NumberedEvents;
use crate::publisher::{Api, Publisher};

/// Publishing of events by several connections.
pub(crate) struct Publishing {
    /// APIs: connection n uses number n modulo their count.
    pub(crate) apis: Vec<Api>,
    pub(crate) events: NumberedEvents,
    /// Number of connections to the APIs.
    pub(crate) connections: usize,
    /// True if all events of a user use the same connection, else requests are spread over all.
    pub(crate) in_sequence: bool,
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
        let (mut published, mut events) = (self.first, self.events);
        let users = events.shape.users;
        published.counts.resize(users, 0);
        events.first.clone_from(&published.counts);
        let most = if self.in_sequence { users } else { usize::MAX };
        let (events, connections, in_sequence) = (Arc::new(events), self.connections.clamp(1, most), self.in_sequence);
        let mut tasks = JoinSet::new();
        let mut lanes = Vec::new();
        for connection in 0..connections {
            let (lane, due) = mpsc::channel(QUEUE);
            lanes.push(lane);
            let publisher = Publisher::new(self.apis.clone(), connection)?;
            let connection = ApiConnection::new(connection, publisher, &events, ledger);
            tasks.spawn(connection.run(due));
        }
        let (total, batch) = (events.schedule.total, events.batch);
        let lane = {
            let events = Arc::clone(&events);
            move |number| {
                let index = if in_sequence {
                    events.user(number)
                } else {
                    usize::try_from(number).unwrap_or_default()
                };
                index / batch % connections
            }
        };
        let pacer = events.schedule.release(lanes, lane);
        while let Some(uncertain) = tasks.join_next().await {
            published.uncertain.extend(uncertain?);
        }
        pacer.await?;
        for (user, count) in published.counts.iter_mut().enumerate() {
            *count += events_of(user as u64, users as u64, total);
        }
        Ok(published)
    }
}

/// Number of a user's events below the total: those with the numbers user, user + users, and so on.
fn events_of(user: u64, users: u64, total: u64) -> u64 {
    (total + users - 1 - user) / users
}

/// Most due events that wait for one connection; the pacer waits while it is full.
const QUEUE: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_all_users_are_the_total_and_the_first_users_have_one_more() {
        let events = [0, 1, 2].map(|user| events_of(user, 3, 8));
        assert_eq!(events, [3, 3, 2]);
        assert_eq!([0, 1, 2].map(|user| events_of(user, 3, 1)), [1, 0, 0]);
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

//! Record of what a node receives: each event of a user in its sequence, or a notice before the gap.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bus::{Bus, ChannelMessage, UserSubscriptions};
use protocol::cluster::offset::Offset;
use protocol::id::UserId;
use testkit::wait;

use crate::nodes::TestSubscriptions;
use crate::sample::event;

/// Subscribed users, with what they have received.
pub(super) struct Tracker {
    bus: Arc<dyn Bus>,
    handle: Arc<dyn UserSubscriptions>,
    state: Mutex<State>,
}

struct State {
    subscriptions: TestSubscriptions,
    users: HashSet<UserId>,
    /// Number of the last event that was published to each user.
    published: HashMap<UserId, u64>,
    /// Offset of the last event that each user received.
    received: HashMap<UserId, Offset>,
    /// Users who were notified of a loss.
    notified: HashSet<UserId>,
}

impl Tracker {
    /// Subscribes users.
    pub(super) async fn open(bus: &Arc<dyn Bus>, users: &[UserId]) -> Self {
        let subscriptions = TestSubscriptions::open(&**bus).await;
        let tracker = Self {
            bus: Arc::clone(bus),
            handle: Arc::clone(&subscriptions.handle),
            state: Mutex::new(State {
                subscriptions,
                users: HashSet::new(),
                published: HashMap::new(),
                received: HashMap::new(),
                notified: HashSet::new(),
            }),
        };
        for user in users {
            tracker.subscribe(user).await;
        }
        tracker
    }

    pub(super) fn handle(&self) -> &dyn UserSubscriptions {
        &*self.handle
    }

    pub(super) async fn subscribe(&self, user: &UserId) {
        self.handle.subscribe(user).await.unwrap();
        self.state().users.insert(user.clone());
    }

    pub(super) fn unsubscribe(&self, user: &UserId) {
        self.handle.unsubscribe(user);
        self.state().users.remove(user);
    }

    /// Subscribed users.
    pub(super) fn users(&self) -> Vec<UserId> {
        self.state().users.iter().cloned().collect()
    }

    /// Reports whether the user was notified of a loss.
    pub(super) fn was_notified(&self, user: &UserId) -> bool {
        self.state().notified.contains(user)
    }

    /// Publishes to all users in turn until the condition holds. Returns the number of events.
    pub(super) async fn publish_to_all_until(&self, mut done: impl AsyncFnMut() -> bool) -> u64 {
        let mut published = 0;
        wait::until_true("what is expected meanwhile", 2 * wait::deadline(), async || {
            for user in self.users() {
                published += u64::from(self.publish(&user).await);
            }
            self.read();
            done().await
        })
        .await;
        published
    }

    /// Waits until every user receives an event.
    pub(super) async fn until_all_receive(&self) {
        self.until_each_receives(&self.users()).await;
    }

    /// Waits until each of these users receives an event that is published from now on.
    pub(super) async fn until_each_receives(&self, users: &[UserId]) {
        for user in users {
            self.read();
            let before = self.state().received.get(user).cloned();
            wait::until_true("an event to arrive", wait::deadline(), async || {
                self.publish(user).await;
                self.read();
                self.state().received.get(user).cloned() != before
            })
            .await;
        }
    }

    /// Publishes an event. False if it failed, as it may during an outage.
    async fn publish(&self, user: &UserId) -> bool {
        let number = {
            let mut state = self.state();
            let number = state.published.entry(user.clone()).or_default();
            *number += 1;
            *number
        };
        self.bus.publish(user, &event(number)).await.is_ok()
    }

    /// Reads what has arrived. Fails at a gap without a notice.
    pub(super) fn read(&self) {
        let mut state = self.state();
        while let Some(message) = state.subscriptions.try_next() {
            state.record(message);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn record(&mut self, message: ChannelMessage) {
        match message {
            ChannelMessage::Event { user, offset, .. } => {
                let last = self.received.insert(user.clone(), offset.clone());
                let follows = last.is_none_or(|last| last.epoch == offset.epoch && last.seq + 1 == offset.seq);
                assert!(
                    follows || self.notified.contains(&user),
                    "gap of {user} without a notice"
                );
            }
            ChannelMessage::MissedOf(users) => self.notified.extend(users),
            ChannelMessage::Missed => self.notified.extend(self.users.iter().cloned()),
            ChannelMessage::Redeemed { .. } => {}
        }
    }
}

//! Tasks of the hub: one receives events from the bus and delivers them, the other queries the bus about gaps.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bus::{ChannelMessage, ChannelMessages, LogRead};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lifecycle::PeriodicLoop;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;
use protocol::id::UserId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Hub;
use super::channels::{ChannelId, HubQuery, UserChannels};
use super::comparisons::ComparisonRound;
use super::gap::PAGE;
use crate::socket::OutboundQueue;
use crate::trace;

/// Result of a query.
enum QueryResult {
    Subscribed(UserId, ChannelId),
    Read(UserId, ChannelId, LogRead),
    Compared(Vec<(UserId, Offset)>, ComparisonRound),
    /// The query is to be repeated: the sessions of the user are not confirmed yet.
    Unconfirmed(HubQuery),
    /// The query failed and is to be repeated.
    Failed(HubQuery),
}

impl Hub {
    /// Delivers received events until the node is done; all `missed` are notified when messages of the bus may have been missed. Apart from
    /// the queries, so that an event polls no timer and no query.
    pub(crate) async fn deliver(
        self: Arc<Self>,
        mut received: ChannelMessages,
        missed: [Arc<Notify>; 2],
        soft: CancellationToken,
    ) {
        let mut unsent = Vec::new();
        let deliver = async {
            // Without a message, the subscription is closed for good: the node cannot go on.
            while let Some(message) = received.recv().await {
                match message {
                    ChannelMessage::Event { user, offset, envelope } => {
                        self.receive(&user, offset, envelope, &mut unsent);
                        // With more to do, the cores share the writes.
                        let is_direct = received.is_empty() && unsent.len() <= MAX_DIRECT_WRITES;
                        for queue in unsent.drain(..) {
                            if is_direct {
                                queue.write_or_wake();
                            } else {
                                queue.wake();
                            }
                        }
                    }
                    ChannelMessage::Redeemed {
                        user,
                        token,
                        redemption,
                    } => {
                        self.channels().redeemed(&user, &token, redemption);
                    }
                    ChannelMessage::Missed => {
                        missed.iter().for_each(|missed| missed.notify_one());
                        self.channels().missed();
                        self.has_queries.notify_one();
                    }
                    // An end of a session among them is in the event log.
                    ChannelMessage::MissedOf(users) => {
                        self.channels().missed_of(&users);
                        self.has_queries.notify_one();
                    }
                }
            }
        };
        soft.run_until_cancelled(deliver).await;
    }

    /// Queries the bus for the channels until the node is done.
    pub(crate) async fn query(self: Arc<Self>, soft: CancellationToken) {
        let mut pending: FuturesUnordered<BoxFuture<'static, QueryResult>> = FuturesUnordered::new();
        let mut failed = Vec::new();
        let mut retry = PeriodicLoop::new(RETRY_PAUSE, soft.clone());
        let mut compare = PeriodicLoop::new(COMPARE_EVERY, soft.clone());
        loop {
            tokio::select! {
                biased;
                () = soft.cancelled() => return,
                Some(result) = pending.next() => match result {
                    QueryResult::Unconfirmed(query) => failed.push(query),
                    QueryResult::Failed(query) => {
                        if let HubQuery::Compare(_, round) = query {
                            self.channels().batch_done(round);
                        }
                        failed.push(query);
                    }
                    result => self.apply(result),
                },
                () = self.has_queries.notified() => {}
                _ = retry.next() => failed.drain(..).for_each(|query| self.retry(query)),
                _ = compare.next() => self.channels().compare_all(),
            }
            while pending.len() < MAX_PENDING {
                let Some(query) = self.channels().next_query() else {
                    break;
                };
                pending.push(Arc::clone(&self).run_query(query).boxed());
            }
        }
    }

    /// Delivers a received event to the sockets of its user, or finds that an earlier one is missing. The queues to be sent are added to
    /// `unsent`: they are written after the channels are unlocked.
    fn receive(&self, user: &UserId, offset: Offset, envelope: Arc<Envelope>, unsent: &mut Vec<Arc<OutboundQueue>>) {
        let span = trace::delivery(self.deliveries, &envelope);
        let receive = || {
            let mut channels = self.channels();
            let has_query = channels.received(user, offset, envelope, &self.metrics);
            channels.swap_unsent(unsent);
            has_query
        };
        let has_query = match span {
            Some(span) => span.in_scope(receive),
            None => receive(),
        };
        if has_query {
            self.has_queries.notify_one();
        }
    }

    async fn run_query(self: Arc<Self>, query: HubQuery) -> QueryResult {
        let result = match &query {
            HubQuery::Subscribe(user, channel) => {
                let subscribed = self.user_subscriptions.subscribe(user).await;
                subscribed.map(|()| QueryResult::Subscribed(user.clone(), *channel))
            }
            HubQuery::Read(user, channel, after) => {
                let read = self.read_log(user, after, PAGE).await;
                read.map(|read| match read {
                    Some(read) => QueryResult::Read(user.clone(), *channel, read),
                    None => QueryResult::Unconfirmed(query.clone()),
                })
            }
            HubQuery::Compare(users, round) => {
                let offsets = self.events.offsets(users).await;
                offsets.map(|offsets| QueryResult::Compared(users.iter().cloned().zip(offsets).collect(), *round))
            }
        };
        let result = self.outage.record("hub query", result);
        result.unwrap_or(QueryResult::Failed(query))
    }

    fn apply(&self, result: QueryResult) {
        let mut channels = self.channels();
        match result {
            QueryResult::Subscribed(user, channel) => {
                channels.subscribed(&user, channel);
                self.unsubscribe_unused(&channels, &user);
            }
            QueryResult::Read(user, channel, read) => channels.read(&user, channel, read, &self.metrics),
            QueryResult::Compared(offsets, round) => {
                channels.batch_done(round);
                for (user, offset) in offsets {
                    channels.compared(&user, offset, &self.metrics);
                }
            }
            QueryResult::Unconfirmed(_) | QueryResult::Failed(_) => {}
        }
    }

    fn retry(&self, query: HubQuery) {
        let mut channels = self.channels();
        if let HubQuery::Subscribe(user, _) = &query {
            self.unsubscribe_unused(&channels, user);
        }
        channels.retry(query);
    }

    /// Unsubscribes a channel without subscribers: the last socket may have left before the subscription was complete.
    fn unsubscribe_unused(&self, channels: &UserChannels, user: &UserId) {
        if !channels.has_subscribers(user) {
            self.user_subscriptions.unsubscribe(user);
        }
    }
}

/// Sockets of an event that the hub writes to by itself: for more, it would delay the next event.
const MAX_DIRECT_WRITES: usize = 4;
/// Concurrent queries.
const MAX_PENDING: usize = 128;
/// Pause before failed queries are repeated.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Time between comparisons of all offsets: the loss of a user's last event leaves no gap.
const COMPARE_EVERY: Duration = Duration::from_secs(30);

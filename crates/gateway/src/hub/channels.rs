//! User channels: the sockets of each user on this gateway, and the queries of the bus that they need.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bus::{LogRead, SessionKey};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;
use protocol::command::CommandKind;
use protocol::event::name;
use protocol::id::UserId;
use tokio::sync::oneshot;

use super::comparisons::{ComparisonRound, Comparisons};
use super::encoded_event::EncodedEvent;
use super::gap::{GapDetector, GapOutput};
use super::subscriber::{SubscribedSocket, Subscriber};
use crate::metrics::Metrics;
use crate::socket::{CloseReason, OutboundQueue};

/// Id of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SubscriberId(u64);

/// Id of a user channel. A user who leaves and returns gets a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChannelId(u64);

/// Query of the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HubQuery {
    /// Subscribe to a user's channel.
    Subscribe(UserId, ChannelId),
    /// Read a user's event log after this offset.
    Read(UserId, ChannelId, Offset),
    /// Compare the offsets of these users' logs, in this round.
    Compare(Vec<UserId>, ComparisonRound),
}

/// State of the channel that a new subscriber finds.
#[derive(Debug)]
pub(super) enum ChannelStart {
    /// Subscribed in the bus.
    Subscribed,
    /// Notified once the channel is subscribed in the bus.
    Pending(oneshot::Receiver<()>),
}

/// Progress of a socket that reads the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplayProgress {
    /// Caught up with its channel: it receives new events.
    CaughtUp,
    /// More events are to be read.
    Behind,
    /// Follows another epoch than its channel.
    OtherEpoch,
}

/// Channels of all users with a socket on this gateway.
#[derive(Debug, Default)]
pub(super) struct UserChannels {
    by_user: HashMap<UserId, UserChannel>,
    queries: VecDeque<HubQuery>,
    /// Queues with an event that is not sent yet, nor their socket's task woken for it.
    unsent: Vec<Arc<OutboundQueue>>,
    last_id: u64,
    comparisons: Comparisons,
}

#[derive(Debug)]
struct UserChannel {
    id: ChannelId,
    subscribers: Vec<(SubscriberId, Subscriber)>,
    gap: GapDetector,
    /// True once the bus has confirmed the subscription.
    is_subscribed: bool,
    /// Subscribers that wait for the subscription.
    waiting: Vec<oneshot::Sender<()>>,
    /// True if messages may have been missed before the offset of the log was known.
    is_doubtful: bool,
}

impl UserChannels {
    /// Adds a subscriber; the first of a user has the channel opened.
    pub(super) fn subscribe(&mut self, user: &UserId, socket: SubscribedSocket) -> (SubscriberId, ChannelStart) {
        self.last_id += 1;
        let (subscriber, new_channel) = (SubscriberId(self.last_id), ChannelId(self.last_id));
        let queries = &mut self.queries;
        let channel = self.by_user.entry(user.clone()).or_insert_with(|| {
            queries.push_back(HubQuery::Subscribe(user.clone(), new_channel));
            UserChannel {
                id: new_channel,
                subscribers: Vec::with_capacity(1),
                gap: GapDetector::default(),
                is_subscribed: false,
                waiting: Vec::new(),
                is_doubtful: false,
            }
        });
        channel.subscribers.push((subscriber, Subscriber::new(socket)));
        let start = if channel.is_subscribed {
            ChannelStart::Subscribed
        } else {
            let (sender, receiver) = oneshot::channel();
            channel.waiting.push(sender);
            ChannelStart::Pending(receiver)
        };
        (subscriber, start)
    }

    /// Removes a subscriber. True if it was the user's last: the channel is to be unsubscribed.
    pub(super) fn unsubscribe(&mut self, user: &UserId, subscriber: SubscriberId) -> bool {
        let Some(channel) = self.by_user.get_mut(user) else {
            return false;
        };
        channel.subscribers.retain(|(id, _)| *id != subscriber);
        let is_empty = channel.subscribers.is_empty();
        if is_empty {
            self.by_user.remove(user);
        }
        is_empty
    }

    /// True if a user has a socket on this gateway.
    pub(super) fn has_subscribers(&self, user: &UserId) -> bool {
        self.by_user.contains_key(user)
    }

    /// Takes the next query.
    pub(super) fn next_query(&mut self) -> Option<HubQuery> {
        while let Some(query) = self.queries.pop_front() {
            if self.is_current(&query) {
                return Some(query);
            }
        }
        let users = self.comparisons.next_batch()?;
        Some(HubQuery::Compare(users, self.comparisons.round()))
    }

    /// Queues a failed query again, unless it is obsolete.
    pub(super) fn retry(&mut self, query: HubQuery) {
        if self.is_current(&query) {
            match query {
                HubQuery::Compare(users, _) => self.comparisons.add(&users),
                query => self.queries.push_back(query),
            }
        }
    }

    /// Starts a comparison of the offsets of all channels: messages may have been missed. A channel whose offset is not known yet is compared
    /// once it is.
    pub(super) fn missed(&mut self) {
        for channel in self.by_user.values_mut() {
            channel.is_doubtful = channel.gap.cursor().is_none();
        }
        self.compare_all();
    }

    /// Adds these users to the comparison: their messages may have been missed, but none of others.
    pub(super) fn missed_of(&mut self, users: &[UserId]) {
        let mut open = Vec::new();
        for user in users {
            match self.by_user.get_mut(user) {
                Some(channel) if channel.gap.cursor().is_none() => channel.is_doubtful = true,
                Some(_) => open.push(user.clone()),
                None => {}
            }
        }
        self.comparisons.add(&open);
    }

    /// Starts a comparison of the offsets of all open channels, in batches.
    pub(super) fn compare_all(&mut self) {
        let open = self
            .by_user
            .iter()
            .filter(|(_, channel)| channel.gap.cursor().is_some());
        let users: Vec<UserId> = open.map(|(user, _)| user.clone()).collect();
        self.comparisons.start(&users);
    }

    /// Records that a batch of a round was compared, or that the comparison failed.
    pub(super) fn batch_done(&mut self, round: ComparisonRound) {
        self.comparisons.batch_done(round);
    }

    /// Applies an event that was received on a user's channel; the queues to be sent are then those of [`UserChannels::swap_unsent`]. True
    /// if there is a new query.
    pub(super) fn received(
        &mut self,
        user: &UserId,
        offset: Offset,
        envelope: Arc<Envelope>,
        metrics: &Metrics,
    ) -> bool {
        let Some(channel) = self.by_user.get_mut(user) else {
            return false;
        };
        let outputs = channel.gap.received(offset, envelope);
        let query = channel.carry_out(user, outputs, metrics, &mut self.unsent);
        let is_new = query.is_some();
        self.queries.extend(query);
        is_new
    }

    /// Exchanges the queues to be sent for an empty list.
    pub(super) fn swap_unsent(&mut self, empty: &mut Vec<Arc<OutboundQueue>>) {
        std::mem::swap(&mut self.unsent, empty);
    }

    /// Records that a channel is subscribed in the bus.
    pub(super) fn subscribed(&mut self, user: &UserId, id: ChannelId) {
        if let Some(channel) = self.by_user.get_mut(user).filter(|channel| channel.id == id) {
            channel.is_subscribed = true;
            for sender in channel.waiting.drain(..) {
                // The socket may have closed meanwhile.
                let _is_closed = sender.send(()).is_err();
            }
        }
    }

    /// Takes the offset of a user's log that a subscriber read after its channel was subscribed: the channel begins there, unless
    /// another subscriber read one before. True if there are new queries.
    pub(super) fn opened(&mut self, user: &UserId, offset: Offset, metrics: &Metrics) -> bool {
        let new = self.by_user.get_mut(user);
        let Some(channel) = new.filter(|channel| channel.is_subscribed && channel.gap.cursor().is_none()) else {
            return false;
        };
        let queries = self.queries.len();
        let outputs = channel.gap.positioned(offset);
        let query = channel.carry_out(user, outputs, metrics, &mut self.unsent);
        self.queries.extend(query);
        if std::mem::take(&mut channel.is_doubtful) {
            self.queries
                .push_back(HubQuery::Compare(vec![user.clone()], self.comparisons.round()));
        }
        self.wake_unsent();
        self.queries.len() > queries
    }

    /// Applies the offset of a user's log: the channel may have missed events.
    pub(super) fn compared(&mut self, user: &UserId, offset: Offset, metrics: &Metrics) {
        let open = self
            .by_user
            .get_mut(user)
            .filter(|channel| channel.gap.cursor().is_some());
        if let Some(channel) = open {
            let outputs = channel.gap.positioned(offset);
            self.queries
                .extend(channel.carry_out(user, outputs, metrics, &mut self.unsent));
            self.wake_unsent();
        }
    }

    /// Applies the result of a read of a user's log.
    pub(super) fn read(&mut self, user: &UserId, id: ChannelId, read: LogRead, metrics: &Metrics) {
        if let Some(channel) = self.by_user.get_mut(user).filter(|channel| channel.id == id) {
            let outputs = channel.gap.read(read);
            self.queries
                .extend(channel.carry_out(user, outputs, metrics, &mut self.unsent));
            self.wake_unsent();
        }
    }

    /// Delivers new events to a socket that has read the log up to this offset, if it has caught up.
    pub(super) fn go_live(&mut self, user: &UserId, subscriber: SubscriberId, cursor: &Offset) -> ReplayProgress {
        let Some(channel) = self.by_user.get_mut(user) else {
            return ReplayProgress::Behind;
        };
        let progress = match channel.gap.cursor() {
            Some(here) if here.epoch != cursor.epoch => ReplayProgress::OtherEpoch,
            Some(here) if here.seq <= cursor.seq => ReplayProgress::CaughtUp,
            Some(_) | None => ReplayProgress::Behind,
        };
        match progress {
            ReplayProgress::CaughtUp => {
                if let Some(subscriber) = channel.subscriber(subscriber) {
                    subscriber.go_live(cursor.clone());
                }
            }
            // Either the socket or the channel does not know the new epoch yet; the comparison shows it to the channel.
            ReplayProgress::OtherEpoch => {
                self.queries
                    .push_back(HubQuery::Compare(vec![user.clone()], self.comparisons.round()));
            }
            ReplayProgress::Behind => {}
        }
        progress
    }

    /// Sessions of a user's sockets that are not known to have ended.
    pub(super) fn sessions(&self, user: &UserId) -> Vec<SessionKey> {
        let sessions: BTreeSet<_> = self
            .subscribers(user)
            .filter_map(|subscriber| subscriber.session(user))
            .collect();
        sessions.into_iter().collect()
    }

    /// Closes the sockets of a session that has ended.
    pub(super) fn end_session(&self, key: &SessionKey) {
        let ended = self
            .subscribers(&key.user)
            .filter(|subscriber| subscriber.session(&key.user).as_ref() == Some(key));
        ended.for_each(|subscriber| subscriber.close(CloseReason::SessionEnded));
    }

    /// Requests a TTL check of a session, by one of its sockets.
    pub(super) fn request_ttl_check(&self, key: &SessionKey) {
        let mut of_session = self
            .subscribers(&key.user)
            .filter(|subscriber| subscriber.session(&key.user).as_ref() == Some(key));
        if let Some(subscriber) = of_session.next() {
            subscriber.request_ttl_check(&key.user);
        }
    }

    /// Subscriber of this id.
    pub(super) fn subscriber(&mut self, user: &UserId, id: SubscriberId) -> Option<&mut Subscriber> {
        self.by_user.get_mut(user)?.subscriber(id)
    }

    /// Subscribers of a user.
    pub(super) fn subscribers(&self, user: &UserId) -> impl Iterator<Item = &Subscriber> {
        let channel = self.by_user.get(user).into_iter();
        channel
            .flat_map(|channel| &channel.subscribers)
            .map(|(_, subscriber)| subscriber)
    }

    /// Subscribers of all users.
    pub(super) fn all_subscribers(&self) -> impl Iterator<Item = &Subscriber> {
        let channels = self.by_user.values();
        channels
            .flat_map(|channel| &channel.subscribers)
            .map(|(_, subscriber)| subscriber)
    }

    /// Has the sockets' tasks send the queues.
    fn wake_unsent(&mut self) {
        self.unsent.drain(..).for_each(|queue| queue.wake());
    }

    /// False for queries of a channel that is closed, and for comparisons of an older round.
    fn is_current(&self, query: &HubQuery) -> bool {
        match query {
            HubQuery::Subscribe(user, id) | HubQuery::Read(user, id, _) => {
                self.by_user.get(user).is_some_and(|channel| channel.id == *id)
            }
            HubQuery::Compare(_, round) => *round == self.comparisons.round(),
        }
    }
}

impl UserChannel {
    /// Carries out the outputs of the gap detector, and returns the query that they need.
    fn carry_out(
        &mut self,
        user: &UserId,
        outputs: Vec<GapOutput>,
        metrics: &Metrics,
        unsent: &mut Vec<Arc<OutboundQueue>>,
    ) -> Option<HubQuery> {
        let mut query = None;
        for output in outputs {
            match output {
                GapOutput::Deliver(offset, envelope) => {
                    let sockets = self.deliver(user, &offset, &envelope, unsent);
                    metrics.delivered(&envelope.event, sockets);
                }
                GapOutput::Gap(now) => self.report_loss(&now, metrics),
                GapOutput::Read(after) => {
                    metrics.gap();
                    query = Some(HubQuery::Read(user.clone(), self.id, after));
                }
            }
        }
        query
    }

    /// Delivers an event, and returns the number of sockets.
    fn deliver(
        &self,
        user: &UserId,
        offset: &Offset,
        envelope: &Envelope,
        unsent: &mut Vec<Arc<OutboundQueue>>,
    ) -> usize {
        if envelope.event == name::SETTINGS_UPDATED {
            // The session timeout may have changed.
            self.subscribers
                .iter()
                .for_each(|(_, subscriber)| subscriber.request_ttl_check(user));
        }
        if is_extension(envelope) {
            // Each socket has a token of its own: its gateway notifies it of the end that it will see.
            let addressed = self
                .subscribers
                .iter()
                .filter(|(_, subscriber)| subscriber.is_addressed(&envelope.audience));
            addressed.for_each(|(_, subscriber)| subscriber.request_ttl_check(user));
            return 0;
        }
        let mut encoded = EncodedEvent::new(offset, envelope);
        let subscribers = self.subscribers.iter().map(|(_, subscriber)| subscriber);
        let is_queued = |subscriber: &&Subscriber| subscriber.deliver(offset, envelope, &mut encoded, unsent);
        subscribers.filter(is_queued).count()
    }

    fn report_loss(&mut self, now: &Offset, metrics: &Metrics) {
        let missed = self
            .subscribers
            .iter_mut()
            .filter_map(|(_, subscriber)| subscriber.miss(now).then_some(()));
        metrics.resync(missed.count());
    }

    fn subscriber(&mut self, wanted: SubscriberId) -> Option<&mut Subscriber> {
        let mut subscribers = self.subscribers.iter_mut();
        subscribers.find_map(|(id, subscriber)| (*id == wanted).then_some(subscriber))
    }
}

/// True if the event announces that a session was extended after a warning.
fn is_extension(envelope: &Envelope) -> bool {
    envelope.event == CommandKind::ExtendSession.response_event()
}

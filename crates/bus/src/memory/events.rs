//! Events in memory: an event log per user, and the subscriptions of the nodes in this process.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lifecycle::Entropy;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::{Epoch, Offset};
use protocol::event::name;
use protocol::id::{EventId, UserId};
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::bounds::{LOG_TTL, MAX_EVENT_IDS, MAX_LOG_BYTES, MAX_LOG_EVENTS, OFFSET_TTL};
use crate::epoch::new_epoch;
use crate::trace;
use crate::versioned_message::VersionedMessage;
use crate::{
    BusError, ChannelMessage, ChannelMessages, Events, LogRead, MessageQueue, PublishMode, PublishOutcome,
    PublishPhase, Repeats, UserSubscriptions,
};

/// Event logs of all users, and subscriptions of all nodes.
#[derive(Debug, Default)]
pub(super) struct EventState {
    logs: Expiring<UserId, EventLog>,
    nodes: Vec<NodeSubscriptions>,
}

#[async_trait]
impl Events for MemoryBus {
    async fn publish_with(
        &self,
        user: &UserId,
        envelope: &Envelope,
        mode: PublishMode<'_>,
    ) -> Result<PublishOutcome, BusError> {
        if envelope.event == name::ALERT {
            lock(&self.shared.alert_checks).remove(user);
        }
        let (span, envelope) = trace::publication("memory", envelope);
        let _publishing = span.enter();
        let mut state = lock(&self.shared.events);
        let log = state.log(user, &*self.shared.entropy);
        if log.refuses(mode.phase) {
            return Ok(PublishOutcome::Unrestored);
        }
        // Encoded as for Redis, as the log's bound is in bytes.
        let bytes = envelope.write()?.len();
        let envelope = Arc::new(Envelope {
            published_at: Some(self.shared.time()),
            ..envelope.into_owned()
        });
        let offset = match log.record(&envelope.id, mode.repeats) {
            Some(refused) => return Ok(refused),
            None => log.append(&envelope, bytes),
        };
        let event = ChannelMessage::Event {
            user: user.clone(),
            offset: offset.clone(),
            envelope,
        };
        state.deliver(user, &event);
        Ok(PublishOutcome::Assigned(offset))
    }

    async fn is_compared(&self, user: &UserId, id: &EventId) -> Result<bool, BusError> {
        let mut state = lock(&self.shared.events);
        let log = state.log(user, &*self.shared.entropy);
        Ok(log
            .recorded(id)
            .is_some_and(|known| matches!(known.repeats, Repeats::Compared(_))))
    }

    async fn unrestored_epoch(&self, user: &UserId) -> Result<Option<Epoch>, BusError> {
        let mut state = lock(&self.shared.events);
        let log = state.log(user, &*self.shared.entropy);
        Ok((!log.is_restored).then(|| log.epoch.clone()))
    }

    async fn mark_restored(&self, user: &UserId, epoch: &Epoch) -> Result<bool, BusError> {
        let mut state = lock(&self.shared.events);
        let log = state.log(user, &*self.shared.entropy);
        let is_current = log.epoch == *epoch;
        log.is_restored |= is_current;
        Ok(is_current)
    }

    async fn offsets(&self, users: &[UserId]) -> Result<Vec<Offset>, BusError> {
        let mut state = lock(&self.shared.events);
        let offset = |user| state.offset(user, &*self.shared.entropy);
        Ok(users.iter().map(offset).collect())
    }

    async fn read_log(&self, user: &UserId, after: &Offset, limit: usize) -> Result<LogRead, BusError> {
        let mut state = lock(&self.shared.events);
        let log = state.log(user, &*self.shared.entropy);
        Ok(log.read(after, limit))
    }

    async fn listen(&self) -> Result<(Arc<dyn UserSubscriptions>, ChannelMessages), BusError> {
        let (message_queue, messages) = MessageQueue::new(MessageQueue::CAPACITY);
        let subscriptions = MemorySubscriptions::default();
        let users = Arc::clone(&subscriptions.users);
        lock(&self.shared.events)
            .nodes
            .push(NodeSubscriptions { users, message_queue });
        Ok((Arc::new(subscriptions), messages))
    }
}

impl EventState {
    /// Event log of a user, created if missing.
    fn log(&mut self, user: &UserId, entropy: &dyn Entropy) -> &mut EventLog {
        self.logs.renew_or(user.clone(), OFFSET_TTL, || EventLog::new(entropy))
    }

    /// Current offset of a user.
    pub(super) fn offset(&mut self, user: &UserId, entropy: &dyn Entropy) -> Offset {
        self.log(user, entropy).offset()
    }

    /// Delivers a message to all nodes that are subscribed to the user.
    pub(super) fn deliver(&mut self, user: &UserId, message: &ChannelMessage) {
        self.nodes.retain(|node| !node.message_queue.is_closed());
        for node in &self.nodes {
            if lock(&node.users).contains(user) {
                node.message_queue.push(message.clone());
            }
        }
    }
}

/// Event log of one user, with its offset and the published event ids.
#[derive(Debug)]
struct EventLog {
    epoch: Epoch,
    is_restored: bool,
    seq: u64,
    entries: VecDeque<LogEntry>,
    bytes: usize,
    expires_at: Instant,
    event_ids: VecDeque<RecordedId>,
}

/// Id of a published event.
#[derive(Debug)]
struct RecordedId {
    id: EventId,
    repeats: Repeats,
}

impl RecordedId {
    /// Number of members in Redis, by which the ids are bounded.
    fn members(&self) -> usize {
        match self.repeats {
            Repeats::Compared(_) => 2,
            Repeats::Dropped | Repeats::Unrecorded => 1,
        }
    }
}

/// Event in a log.
#[derive(Debug)]
struct LogEntry {
    offset: Offset,
    envelope: Arc<Envelope>,
    bytes: usize,
}

impl EventLog {
    fn new(entropy: &dyn Entropy) -> Self {
        Self {
            epoch: new_epoch(entropy),
            is_restored: false,
            seq: 0,
            entries: VecDeque::new(),
            bytes: 0,
            expires_at: Instant::now(),
            event_ids: VecDeque::new(),
        }
    }

    fn refuses(&self, phase: PublishPhase<'_>) -> bool {
        match phase {
            PublishPhase::Immediate => false,
            PublishPhase::AfterRestore => !self.is_restored,
            PublishPhase::DuringRestore(epoch) => !self.is_restored && self.epoch != *epoch,
        }
    }

    fn offset(&self) -> Offset {
        Offset {
            epoch: self.epoch.clone(),
            seq: self.seq,
        }
    }

    /// Records the id of an event; an outcome if it was published before.
    fn record(&mut self, id: &EventId, repeats: Repeats) -> Option<PublishOutcome> {
        if let Some(known) = self.recorded(id) {
            return Some(match (known.repeats, repeats) {
                (known, Repeats::Compared(_)) if known != repeats => PublishOutcome::Conflict,
                _ => PublishOutcome::Duplicate,
            });
        }
        let id = id.clone();
        self.event_ids.push_back(RecordedId { id, repeats });
        while self.event_ids.iter().map(RecordedId::members).sum::<usize>() > MAX_EVENT_IDS {
            self.event_ids.pop_front();
        }
        None
    }

    fn recorded(&self, id: &EventId) -> Option<&RecordedId> {
        self.event_ids.iter().find(|known| known.id == *id)
    }

    /// Appends an event at the next offset.
    fn append(&mut self, envelope: &Arc<Envelope>, bytes: usize) -> Offset {
        self.seq += 1;
        self.expire();
        self.bytes += bytes;
        self.entries.push_back(LogEntry {
            offset: self.offset(),
            envelope: Arc::clone(envelope),
            bytes,
        });
        while self.entries.len() > MAX_LOG_EVENTS || self.bytes > MAX_LOG_BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
        self.expires_at = Instant::now() + LOG_TTL;
        self.offset()
    }

    fn read(&mut self, after: &Offset, limit: usize) -> LogRead {
        self.expire();
        let first = self.entries.front().map_or(self.seq + 1, |first| first.offset.seq);
        let reaches_back = after.seq <= self.seq && first <= after.seq + 1;
        if after.epoch != self.epoch || !reaches_back {
            return LogRead::Gap(self.offset());
        }
        let later = self.entries.iter().filter(|entry| entry.offset.seq > after.seq);
        let event = |entry: &LogEntry| (entry.offset.clone(), Envelope::clone(&entry.envelope));
        LogRead::Events(later.take(limit).map(event).collect())
    }

    /// Clears the log after its TTL.
    fn expire(&mut self) {
        if self.expires_at <= Instant::now() {
            self.entries.clear();
            self.bytes = 0;
        }
    }
}

/// Subscriptions of one node. They end when the node drops the receiver.
#[derive(Debug)]
struct NodeSubscriptions {
    users: Arc<Mutex<HashSet<UserId>>>,
    message_queue: MessageQueue,
}

/// Handle by which a node changes its [`NodeSubscriptions`].
#[derive(Debug, Default)]
struct MemorySubscriptions {
    users: Arc<Mutex<HashSet<UserId>>>,
}

#[async_trait]
impl UserSubscriptions for MemorySubscriptions {
    async fn subscribe(&self, user: &UserId) -> Result<(), BusError> {
        lock(&self.users).insert(user.clone());
        Ok(())
    }

    fn unsubscribe(&self, user: &UserId) {
        lock(&self.users).remove(user);
    }

    fn is_live(&self) -> bool {
        true
    }
}

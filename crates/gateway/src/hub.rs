//! Delivery of events from the bus to sockets: one user channel per user with a socket on this gateway, subscribed while there is one.

mod channels;
mod comparisons;
mod encoded_event;
mod fan_out;
mod gap;
mod resume_tokens;
mod subscriber;
mod task;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{BusError, Events, Liveness, LogRead, ResumeLease, ResumeTokens, SessionState, UserSubscriptions};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;
use protocol::id::UserId;
use telemetry::trace::DeliverySampling;
use tokio::sync::Notify;

use self::channels::{ChannelStart, SubscriberId, UserChannels};
use self::encoded_event::EncodedEvent;
use crate::bus_outage::BusOutage;
use crate::bus_roles::BusRoles;
use crate::metrics::Metrics;

pub(crate) use self::channels::ReplayProgress;
pub use self::fan_out::FanOut;
pub(crate) use self::subscriber::SubscribedSocket;

/// All user channels of this gateway. [`Hub::deliver`] is the one task that receives events, [`Hub::query`] the one that reads logs; sockets
/// subscribe and unsubscribe concurrently.
pub(crate) struct Hub {
    events: Arc<dyn Events>,
    sessions: Arc<dyn bus::SessionRegistry>,
    resume_tokens: Arc<dyn ResumeTokens>,
    liveness: Arc<dyn Liveness>,
    outage: Arc<BusOutage>,
    user_subscriptions: Arc<dyn UserSubscriptions>,
    channels: Mutex<UserChannels>,
    /// Notified when there are queries for the task.
    has_queries: Notify,
    /// Sampling of the spans of deliveries.
    deliveries: DeliverySampling,
    metrics: Arc<Metrics>,
}

/// Subscription of a socket to its user's channel. Dropping it unsubscribes.
pub(crate) struct Subscription {
    hub: Arc<Hub>,
    user: UserId,
    id: SubscriberId,
}

impl Hub {
    /// Creates a hub without subscribers over this node's feed.
    pub(crate) fn new(
        bus: &BusRoles,
        outage: Arc<BusOutage>,
        user_subscriptions: Arc<dyn UserSubscriptions>,
        deliveries: DeliverySampling,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            events: Arc::clone(&bus.events),
            sessions: Arc::clone(&bus.sessions),
            resume_tokens: Arc::clone(&bus.resume_tokens),
            liveness: Arc::clone(&bus.liveness),
            outage,
            user_subscriptions,
            channels: Mutex::default(),
            has_queries: Notify::new(),
            deliveries,
            metrics,
        }
    }

    /// True if events arrive, as far as this node can tell.
    pub(crate) fn is_live(&self) -> bool {
        self.liveness.is_live() && self.user_subscriptions.is_live()
    }

    /// Subscribes a socket to its user's channel. When this returns, this node is subscribed to the channel in the bus; the offset of the
    /// user's event log is to be read after that, and given to [`Subscription::open`]. The socket receives no event before
    /// [`Subscription::go_live`]. Waits for the bus without a deadline; dropping the future unsubscribes.
    pub(crate) async fn join(self: &Arc<Self>, user: &UserId, socket: SubscribedSocket) -> Option<Subscription> {
        let (id, start) = self.channels().subscribe(user, socket);
        let subscription = Subscription {
            hub: Arc::clone(self),
            user: user.clone(),
            id,
        };
        if let ChannelStart::Pending(subscribed) = start {
            self.has_queries.notify_one();
            subscribed.await.ok()?;
        }
        Some(subscription)
    }

    /// Reads a user's event log after this offset, up to `limit` events. A log that has lost events may have lost the end of a session: no
    /// loss and no later event is delivered before the sessions of the user's sockets are confirmed. `None` if they cannot be confirmed
    /// yet, and the read is to be repeated.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn read_log(&self, user: &UserId, after: &Offset, limit: usize) -> Result<Option<LogRead>, BusError> {
        let read = self.events.read_log(user, after, limit).await?;
        if matches!(read, LogRead::Gap(_)) && !self.confirm_sessions(user).await? {
            return Ok(None);
        }
        Ok(Some(read))
    }

    /// Closes the user's sockets whose session has ended. True if all other sessions are alive.
    async fn confirm_sessions(&self, user: &UserId) -> Result<bool, BusError> {
        let keys = self.channels().sessions(user);
        let states = self.sessions.check_ttl(&keys).await?;
        let channels = self.channels();
        let mut is_known = true;
        for (key, state) in keys.iter().zip(states) {
            match state {
                SessionState::Alive(_) => {}
                SessionState::Ended => channels.end_session(key),
                SessionState::Unknown | SessionState::Ending(_) => {
                    channels.request_ttl_check(key);
                    is_known = false;
                }
            }
        }
        Ok(is_known)
    }

    fn channels(&self) -> MutexGuard<'_, UserChannels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Takes the offset of the user's event log, read after the channel was subscribed: an event between the two was received, and is after
    /// the offset.
    pub(crate) fn open(&self, offset: &Offset) {
        if self
            .hub
            .channels()
            .opened(&self.user, offset.clone(), &self.hub.metrics)
        {
            self.hub.has_queries.notify_one();
        }
    }

    /// Records the resume token of the socket, which closes when another socket redeems the token.
    pub(crate) fn set_resume_state(&self, state: ResumeLease) {
        let mut channels = self.hub.channels();
        if let Some(subscriber) = channels.subscriber(&self.user, self.id) {
            subscriber.set_resume_state(state);
        }
    }

    /// Reads the user's event log after this offset, up to `limit` events. `None` if the read is to be repeated.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    pub(crate) async fn read(&self, after: &Offset, limit: usize) -> Result<Option<LogRead>, BusError> {
        self.hub.read_log(&self.user, after, limit).await
    }

    /// Queues an event that the socket has read from the log.
    pub(crate) fn replay(&self, offset: &Offset, envelope: &Envelope) {
        let mut encoded = EncodedEvent::new(offset, envelope);
        let mut channels = self.hub.channels();
        let subscriber = channels.subscriber(&self.user, self.id);
        let queued = subscriber.is_some_and(|subscriber| subscriber.replay(envelope, &mut encoded));
        self.hub.metrics.delivered(&envelope.event, usize::from(queued));
    }

    /// Records that the socket has read the log up to this offset. It receives new events from now on, unless there is more to read:
    /// between the last event that it read and the first that it receives, none is missing and none is repeated.
    pub(crate) fn go_live(&self, cursor: &Offset) -> ReplayProgress {
        let progress = self.hub.channels().go_live(&self.user, self.id, cursor);
        if progress == ReplayProgress::OtherEpoch {
            self.hub.has_queries.notify_one();
        }
        progress
    }

    /// Records that the log has lost events that the socket missed.
    pub(crate) fn report_loss(&self) {
        let mut channels = self.hub.channels();
        if let Some(subscriber) = channels.subscriber(&self.user, self.id) {
            subscriber.report_loss();
        }
        self.hub.metrics.resync(1);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut channels = self.hub.channels();
        if channels.unsubscribe(&self.user, self.id) {
            // Under the lock: the next subscriber subscribes after this, never before.
            self.hub.user_subscriptions.unsubscribe(&self.user);
        }
    }
}

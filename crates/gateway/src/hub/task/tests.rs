//! Time until a lost announcement is detected, in paused time.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};

use bus::{Bus, Events, MemoryBus, MessageQueue, PublishOutcome, ResumeLease, ResumeTokenKey};
use lifecycle::{SeededEntropy, Tasks};
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::DeliveryClass;
use protocol::id::{ConnectionId, EventId, ResumeTokenId, SessionId};
use protocol::json::Json;
use protocol::wire::Dialect;
use telemetry::metrics::Metrics as Registry;
use telemetry::trace::DeliverySampling;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::*;
use crate::bus_outage::BusOutage;
use crate::bus_roles::BusRoles;
use crate::hub::{ReplayProgress, SubscribedSocket, Subscription};
use crate::metrics::Metrics;
use crate::socket::{ClientEncoding, CloseReason, CloseRequest, DirectWriter, OutboundQueue, OutgoingMessage};

/// Running hub that receives the messages of the test only.
struct SilentHub {
    bus: MemoryBus,
    sender: MessageQueue,
    missed: Arc<Notify>,
    outbound: Arc<OutboundQueue>,
    close_request: Arc<CloseRequest>,
    subscription: Subscription,
    _tasks: Tasks,
}

impl SilentHub {
    /// Starts a hub with one socket of the user `u`.
    async fn new() -> Self {
        Self::with_queue(OutboundQueue::default()).await
    }

    /// Starts a hub with one socket of the user `u`, which has this queue.
    async fn with_queue(outbound: OutboundQueue) -> Self {
        let bus = MemoryBus::new(Arc::new(SeededEntropy::new(7)));
        let tasks = Tasks::new();
        let metrics = Metrics::new(&Registry::new("test").meter(), &tasks);
        let (feed, _unread) = bus.listen().await.unwrap();
        let hub = Arc::new(Hub::new(
            &BusRoles::from(Arc::new(bus.clone()) as Arc<dyn Bus>),
            Arc::new(BusOutage::new()),
            feed,
            DeliverySampling::NONE,
            Arc::new(metrics),
        ));
        let (sender, received) = MessageQueue::new(8);
        let missed = Arc::new(Notify::new());
        tasks.each(
            "hub",
            Arc::clone(&hub).deliver(received, [Arc::clone(&missed), Arc::default()], tasks.soft()),
        );
        tasks.each("hub queries", Arc::clone(&hub).query(tasks.soft()));
        let (outbound, close_request) = (Arc::new(outbound), Arc::new(CloseRequest::default()));
        let socket = SubscribedSocket {
            connection: ConnectionId::new("c").unwrap(),
            session: SessionId::new("s").unwrap(),
            encoding: ClientEncoding::new(Dialect::NativeJson, true),
            outbound: Arc::clone(&outbound),
            session_hints: mpsc::channel(1).0,
            close_request: Arc::clone(&close_request),
        };
        let subscription = hub.join(&user(), socket).await.unwrap();
        let offset = bus.offsets(&[user()]).await.unwrap().remove(0);
        subscription.open(&offset);
        assert_eq!(subscription.go_live(&offset), ReplayProgress::CaughtUp);
        Self {
            bus,
            sender,
            missed,
            outbound,
            close_request,
            subscription,
            _tasks: tasks,
        }
    }

    async fn publish(&self) {
        let published = self.bus.publish(&user(), &envelope()).await.unwrap();
        assert!(matches!(published, PublishOutcome::Assigned(_)));
    }

    /// Announces events at once, which are the next ones.
    async fn announce(&self, events: u64) {
        let offset = self.bus.offsets(&[user()]).await.unwrap().remove(0);
        for number in 1..=events {
            let event = ChannelMessage::Event {
                user: user(),
                offset: Offset {
                    epoch: offset.epoch.clone(),
                    seq: offset.seq + number,
                },
                envelope: Arc::new(envelope()),
            };
            assert!(!self.sender.push(event), "there is room");
        }
    }

    /// Time until the socket's next message.
    async fn time_to_message(&self) -> Duration {
        let start = Instant::now();
        let message = poll_fn(|cx| self.outbound.poll_pop(cx));
        let queued = timeout(Duration::from_secs(300), message).await.unwrap().unwrap();
        assert!(matches!(queued.message, OutgoingMessage::Plain(_)));
        start.elapsed()
    }
}

/// Writer that counts the writes, and takes nothing.
#[derive(Default)]
struct CountingWriter {
    writes: AtomicUsize,
    written: Notify,
}

impl DirectWriter for CountingWriter {
    fn try_write(&self, _outbound: &OutboundQueue) -> bool {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.written.notify_one();
        true
    }
}

/// Number of direct writes after events were announced at once.
async fn direct_writes(events: u64) -> usize {
    let writer = Arc::new(CountingWriter::default());
    let weak = Arc::downgrade(&writer);
    let hub = SilentHub::with_queue(OutboundQueue::default().written_by(weak)).await;
    hub.announce(events).await;
    timeout(Duration::from_secs(1), writer.written.notified())
        .await
        .unwrap();
    for _ in 0..events {
        assert_eq!(hub.time_to_message().await, Duration::ZERO);
    }
    writer.writes.load(Ordering::SeqCst)
}

fn envelope() -> Envelope {
    Envelope {
        v: Envelope::VERSION,
        id: EventId::new("e").unwrap(),
        audience: Audience::User,
        class: DeliveryClass::State,
        event: "account:status_changed".to_owned(),
        data: Json::of(&1),
        traceparent: None,
        published_at: None,
    }
}

fn user() -> UserId {
    UserId::new("u").unwrap()
}

#[tokio::test(start_paused = true)]
async fn event_missed_with_the_connection_is_delivered_at_once() {
    let hub = SilentHub::new().await;
    hub.publish().await;
    hub.sender.push(ChannelMessage::Missed);
    assert_eq!(hub.time_to_message().await, Duration::ZERO);
    // Replies may have been missed too: their task is notified.
    timeout(Duration::from_secs(1), hub.missed.notified()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn missed_event_of_one_user_is_delivered_at_once_and_notifies_no_other_task() {
    let hub = SilentHub::new().await;
    hub.publish().await;
    let missed = ChannelMessage::MissedOf(vec![UserId::new("other").unwrap()]);
    hub.sender.push(missed);
    let waited = timeout(Duration::from_secs(1), hub.time_to_message()).await;
    assert!(waited.is_err(), "the messages of another user were missed");
    hub.sender.push(ChannelMessage::MissedOf(vec![user()]));
    assert_eq!(hub.time_to_message().await, Duration::ZERO);
    assert_eq!(hub.missed.notified().now_or_never(), None);
}

#[tokio::test(start_paused = true)]
async fn event_is_written_by_the_hub_unless_another_one_waits() {
    assert_eq!(direct_writes(1).await, 1);
    // The task of the socket writes the first two, or takes all three.
    assert_eq!(direct_writes(3).await, 1);
}

#[tokio::test(start_paused = true)]
async fn event_without_announcement_is_delivered_within_30_s() {
    let hub = SilentHub::new().await;
    hub.publish().await;
    let waited = hub.time_to_message().await;
    assert!(waited > Duration::from_secs(1) && waited <= COMPARE_EVERY, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn socket_is_closed_at_once_when_its_client_resumes_elsewhere() {
    let hub = SilentHub::new().await;
    let token = ResumeTokenId::new("t").unwrap();
    let key = ResumeTokenKey {
        user: user(),
        id: token.clone(),
    };
    hub.subscription.set_resume_state(ResumeLease { key, redemption: 0 });
    let redeemed = ChannelMessage::Redeemed {
        user: user(),
        token,
        redemption: 1,
    };
    hub.sender.push(redeemed);
    let start = Instant::now();
    let reason = timeout(Duration::from_secs(300), hub.close_request.requested()).await;
    assert_eq!(reason, Ok(CloseReason::Replaced));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

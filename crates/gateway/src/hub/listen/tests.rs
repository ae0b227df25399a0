//! What is not heard is found, and how soon: the clock stands still but for what is waited for.

use std::future::poll_fn;

use bus::{Events, MemoryBus, PublishOutcome, ResumeLease, ResumeTokenKey};
use lifecycle::{SeededEntropy, Tasks};
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::DeliveryClass;
use protocol::id::{ConnectionId, EventId, ResumeTokenId, SessionId};
use protocol::json::Json;
use protocol::wire::Dialect;
use telemetry::metrics::Metrics as Registry;
use tokio::time::{Instant, timeout};

use super::*;
use crate::connection::outbound::Outbound;
use crate::connection::outgoing::Outgoing;
use crate::connection::{Dismissal, Ending};
use crate::form::Form;
use crate::hub::{Progress, Seat, Subscriber};
use crate::metrics::Metrics;

/// A hub at work whose ear is in the test's hand: it hears what it is told and nothing else.
struct Deaf {
    bus: MemoryBus,
    tell: mpsc::Sender<ChannelMessage>,
    missed: Arc<Notify>,
    outbound: Arc<Outbound>,
    dismissal: Arc<Dismissal>,
    seat: Seat,
    _tasks: Tasks,
}

impl Deaf {
    /// A hub with one socket of the user `u`.
    async fn new() -> Self {
        let bus = MemoryBus::new(Arc::new(SeededEntropy::new(7)));
        let tasks = Tasks::new();
        let metrics = Metrics::new(&Registry::new("test").meter(), &tasks);
        let (feed, _unheard) = bus.listen().await.unwrap();
        let hub = Arc::new(Hub::new(Arc::new(bus.clone()), feed, Arc::new(metrics)));
        let (tell, heard) = mpsc::channel(8);
        let missed = Arc::new(Notify::new());
        tasks.each(
            "hub",
            Arc::clone(&hub).run(heard, [Arc::clone(&missed), Arc::default()], tasks.soft()),
        );
        let (outbound, dismissal) = (Arc::new(Outbound::default()), Arc::new(Dismissal::default()));
        let subscriber = Subscriber {
            connection: ConnectionId::new("c").unwrap(),
            session: SessionId::new("s").unwrap(),
            form: Form::new(Dialect::NativeJson, true),
            outbound: Arc::clone(&outbound),
            moved: mpsc::channel(1).0,
            dismissal: Arc::clone(&dismissal),
        };
        let (seat, offset) = hub.join(&user(), subscriber).await.unwrap();
        assert_eq!(seat.go_live(&offset), Progress::Live);
        Self {
            bus,
            tell,
            missed,
            outbound,
            dismissal,
            seat,
            _tasks: tasks,
        }
    }

    async fn publish(&self) {
        let envelope = Envelope {
            v: Envelope::VERSION,
            id: EventId::new("e").unwrap(),
            audience: Audience::User,
            class: DeliveryClass::State,
            event: "account:status_changed".to_owned(),
            data: Json::of(&1),
        };
        let published = self.bus.publish(&user(), &envelope).await.unwrap();
        assert!(matches!(published, PublishOutcome::Assigned(_)));
    }

    /// How long the socket waits for its next message.
    async fn waits(&self) -> Duration {
        let start = Instant::now();
        let message = poll_fn(|cx| self.outbound.poll_pop(cx));
        let message = timeout(Duration::from_secs(300), message).await.unwrap().unwrap();
        assert!(matches!(message, Outgoing::Plain(_)));
        start.elapsed()
    }
}

fn user() -> UserId {
    UserId::new("u").unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_with_the_connection_is_found_at_once() {
    let hub = Deaf::new().await;
    hub.publish().await;
    hub.tell.send(ChannelMessage::Missed).await.unwrap();
    assert_eq!(hub.waits().await, Duration::ZERO);
    // Answers may have been missed too: whoever waits for them is told.
    timeout(Duration::from_secs(1), hub.missed.notified()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_in_silence_is_found_within_30_s() {
    let hub = Deaf::new().await;
    hub.publish().await;
    let waited = hub.waits().await;
    assert!(waited > Duration::from_secs(1) && waited <= CHECK, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_client_came_back_elsewhere_ends_at_once() {
    let hub = Deaf::new().await;
    let ticket = ResumeTokenId::new("t").unwrap();
    let key = ResumeTokenKey {
        user: user(),
        id: ticket.clone(),
    };
    hub.seat.hold(ResumeLease { key, redemption: 0 });
    let redeemed = ChannelMessage::Redeemed {
        user: user(),
        token: ticket,
        redemption: 1,
    };
    hub.tell.send(redeemed).await.unwrap();
    let start = Instant::now();
    let ending = timeout(Duration::from_secs(300), hub.dismissal.said()).await;
    assert_eq!(ending, Ok(Ending::Replaced));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

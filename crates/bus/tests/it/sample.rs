//! Sample messages.

use std::time::Duration;

use bus::{Bus, BusError, ContentDigest, PublishMode, PublishOutcome, PublishPhase, Repeats, SessionSeed, TokenTimes};
use protocol::account::AccountType;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::job::{Job, JobOutcome, Reply, Work};
use protocol::cluster::offset::Offset;
use protocol::command::{Command, Connect};
use protocol::event::{DeliveryClass, name};
use protocol::id::{ConnectionId, EventId, JobId, NodeId, SessionId, UserId, WorkerId};
use protocol::json::Json;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use protocol::trace::TraceParent;
use testkit::wait;

/// Session that times out in half an hour.
pub(crate) const HALF_AN_HOUR: SessionSeed = SessionSeed {
    left: Duration::from_secs(30 * 60),
    timeout: Duration::from_secs(30 * 60),
    lead: Duration::from_secs(5 * 60),
    opened_at: Timestamp::from_millis(1_000),
    tokens: TokenTimes::UNKNOWN,
    announced: None,
};

/// Session that times out in a minute.
pub(crate) const MINUTE: SessionSeed = SessionSeed {
    left: Duration::from_secs(60),
    timeout: Duration::from_secs(60),
    lead: Duration::from_secs(5),
    ..HALF_AN_HOUR
};

pub(crate) fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

pub(crate) fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(crate) fn worker(id: &str) -> WorkerId {
    WorkerId::new(id).unwrap()
}

/// Publishes an alert to user `u`.
pub(crate) async fn publish_alert(bus: &dyn Bus, id: &str) {
    let alert = Envelope {
        id: EventId::new(id).unwrap(),
        event: name::ALERT.to_owned(),
        ..event(0)
    };
    let published = bus.publish(&user("u"), &alert).await.unwrap();
    assert!(matches!(published, PublishOutcome::Assigned(_)), "{published:?}");
}

/// Event whose payload is its number.
pub(crate) fn event(number: u64) -> Envelope {
    Envelope {
        v: Envelope::VERSION,
        id: EventId::new(format!("e-{number}")).unwrap(),
        audience: Audience::Session(SessionId::new("s-1").unwrap()),
        class: DeliveryClass::State,
        event: "account:status_changed".to_owned(),
        data: Json::of(&number),
        traceparent: None,
        published_at: None,
    }
}

/// Publishes a new event.
pub(crate) async fn publish(bus: &dyn Bus, user: &UserId, number: u64) -> Offset {
    match bus.publish(user, &event(number)).await.unwrap() {
        PublishOutcome::Assigned(offset) => offset,
        PublishOutcome::Duplicate | PublishOutcome::Conflict => panic!("event {number} was published before"),
        PublishOutcome::Unrestored => panic!("event {number} was refused before a restore"),
    }
}

/// Publishes an event without recording its id.
pub(crate) async fn publish_unrecorded(bus: &dyn Bus, user: &UserId, number: u64) -> Result<PublishOutcome, BusError> {
    let mode = PublishMode {
        repeats: Repeats::Unrecorded,
        phase: PublishPhase::Immediate,
    };
    bus.publish_with(user, &event(number), mode).await
}

/// Publishes an event once for each content.
pub(crate) async fn publish_compared(bus: &dyn Bus, user: &UserId, number: u64, content: &str) -> PublishOutcome {
    let event = event(number);
    let mode = PublishMode {
        repeats: Repeats::Compared(ContentDigest::of(&event.id, [content])),
        phase: PublishPhase::Immediate,
    };
    bus.publish_with(user, &event, mode).await.unwrap()
}

/// Publishes an event at this time relative to the restore of its event log.
pub(crate) async fn publish_in(bus: &dyn Bus, phase: PublishPhase<'_>, user: &UserId, number: u64) -> PublishOutcome {
    let mode = PublishMode {
        repeats: Repeats::Dropped,
        phase,
    };
    bus.publish_with(user, &event(number), mode).await.unwrap()
}

/// Current offset of a user.
pub(crate) async fn offset(bus: &dyn Bus, user: &UserId) -> Offset {
    bus.offsets(std::slice::from_ref(user)).await.unwrap().remove(0)
}

/// Publishes an event as the outbox relay does: with retries until a reply.
pub(crate) async fn publish_with_retry(bus: &dyn Bus, user: &UserId, number: u64) {
    wait::until_true("an event to be published", wait::deadline(), async || {
        bus.publish(user, &event(number)).await.is_ok()
    })
    .await;
}

/// Job with a secret of `size` bytes.
pub(crate) fn job(id: &str, size: usize) -> Job {
    Job {
        v: Job::VERSION,
        id: JobId::new(id).unwrap(),
        user: user("GEN-001"),
        session: SessionId::new("s-1").unwrap(),
        connection: ConnectionId::new("c-1").unwrap(),
        node: node("gw-1"),
        origin: None,
        traceparent: TraceParent::begin(1, 1),
        idempotency_key: None,
        authenticated_at: None,
        token_expires_at: None,
        work: Work::Command(Command::Connect(Connect {
            user_id: user("GEN-001"),
            account_type: AccountType::Github,
            oauth_code: Secret::new("x".repeat(size)),
            redirect_uri: "https://app.example/callback".to_owned(),
            state: None,
            code_verifier: None,
        })),
    }
}

pub(crate) fn reply(job: &str) -> Reply {
    Reply {
        v: Job::VERSION,
        job: JobId::new(job).unwrap(),
        outcome: JobOutcome {
            error: None,
            leading_notice: None,
            secret: false,
            data: Json::of(&[job]),
        },
    }
}

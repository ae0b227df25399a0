//! Inboxes of bots: one reader at a time, each message delivered once, none lost with its reader.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use platforms::{AddressedNotification, ApiError, BotInbox, InboxPage, PauseScope, PlatformNotification};
use protocol::account::AccountType;
use protocol::notification::NotificationType;
use protocol::time::Timestamp;
use serde_json::{Value, json};
use telemetry::trace::TARGET;
use testkit::spans::{Spans, attribute};
use testkit::wait;
use tokio::sync::Notify;
use worker::Running;

use crate::client::{Client, DEADLINE, assert_success};
use crate::env::TestEnv;
use crate::rotating_platform::RotatingPlatform;

/// Inbox with numbered messages. A read returns one message and discards those before its cursor.
#[derive(Default)]
struct NumberedInbox {
    received: Mutex<Vec<u64>>,
    reads: AtomicU64,
    /// Current readers, and the number of times that there were two.
    readers: AtomicU64,
    collisions: AtomicU64,
    throttles: AtomicU64,
    /// Blocks the next reader until it is released.
    blocks_next_reader: AtomicBool,
    reader_released: Notify,
}

const ASKED_TO_WAIT: Duration = Duration::from_secs(77);

impl NumberedInbox {
    fn receive(&self, number: u64) {
        self.received.lock().unwrap().push(number);
    }

    fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}

/// Counts a reader until it is dropped.
struct Reader<'a>(&'a NumberedInbox);

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl BotInbox for NumberedInbox {
    fn account_type(&self) -> AccountType {
        AccountType::Github
    }

    fn read_every(&self) -> Duration {
        Duration::ZERO
    }

    async fn read(&self, cursor: Option<&Value>) -> Result<InboxPage, ApiError> {
        let _reader = Reader(self);
        if self.readers.fetch_add(1, Ordering::SeqCst) > 0 {
            self.collisions.fetch_add(1, Ordering::SeqCst);
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.blocks_next_reader.swap(false, Ordering::SeqCst) {
            self.reader_released.notified().await;
        }
        tokio::task::yield_now().await;
        let decrement = |left: u64| left.checked_sub(1);
        let throttled = self
            .throttles
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, decrement);
        if throttled.is_ok() {
            return Err(ApiError::Throttled {
                account: self.account_type(),
                wait: ASKED_TO_WAIT,
                pause: PauseScope::App,
            });
        }
        let mut received = self.received.lock().unwrap();
        let next = cursor.and_then(Value::as_u64).unwrap_or_default();
        received.retain(|number| *number >= next);
        let Some(number) = received.first() else {
            return Ok(InboxPage::default());
        };
        let notification = PlatformNotification {
            id: number.to_string(),
            kind: NotificationType::Mention,
            content: number.to_string(),
            sender: "grace".to_owned(),
            at: Timestamp::from_millis(0),
        };
        Ok(InboxPage {
            notifications: vec![AddressedNotification {
                platform_user_id: "1".to_owned(),
                notification,
            }],
            cursor: Some(json!(number + 1)),
            more: true,
        })
    }
}

/// Two workers that share an inbox, and a client that receives its messages.
async fn shared() -> (Arc<NumberedInbox>, TestEnv, [Running; 2], Client) {
    let inbox = Arc::new(NumberedInbox::default());
    let mut env = TestEnv::rotating(Arc::new(RotatingPlatform::synced_on_command()));
    env.inboxes.push(Arc::<NumberedInbox>::clone(&inbox));
    let workers = [env.worker().await, env.worker().await];
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect("code").await);
    client.status().await;
    client.alert().await;
    (inbox, env, workers, client)
}

async fn notification_content(client: &mut Client) -> String {
    let (name, data) = client.event().await;
    assert_eq!(name, "notification:incoming", "{data}");
    data["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn two_workers_never_read_an_inbox_concurrently_and_deliver_each_message_once() {
    let (inbox, env, _workers, mut client) = shared().await;
    inbox.blocks_next_reader.store(true, Ordering::SeqCst);
    wait::until_true("a reader", DEADLINE, async || {
        !inbox.blocks_next_reader.load(Ordering::SeqCst)
    })
    .await;
    let queries = env.store.inbox_queries();
    wait::until_true("lease requests of the other worker", DEADLINE, async || {
        env.store.inbox_queries() > queries + 3
    })
    .await;
    inbox.reader_released.notify_one();
    for number in 1..=6 {
        inbox.receive(number);
    }
    for number in 1..=6 {
        assert_eq!(notification_content(&mut client).await, number.to_string());
    }
    assert_eq!(inbox.collisions.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn delivery_of_a_message_is_a_trace_and_an_empty_read_is_none() {
    let (spans, _guard) = Spans::record(TARGET);
    let (inbox, _env, _workers, mut client) = shared().await;
    let find = |name: &str| {
        let spans = spans.all().into_iter();
        spans.filter(|span| span.name == name).collect::<Vec<_>>()
    };
    let reads = inbox.reads();
    wait::until_true("empty reads", DEADLINE, async || inbox.reads() > reads + 3).await;
    assert!(find("deliver inbox").is_empty());
    inbox.receive(1);
    assert_eq!(notification_content(&mut client).await, "1");
    let ended = async |name| wait::until(name, DEADLINE, async || find(name).pop()).await;
    let (delivery, published) = (ended("deliver inbox").await, ended("send events").await);
    assert_eq!(attribute(&published, "event"), "notification:incoming");
    assert_eq!(published.span_context.trace_id(), delivery.span_context.trace_id());
}

#[tokio::test]
async fn message_that_could_not_be_stored_is_read_again() {
    let (inbox, env, _workers, mut client) = shared().await;
    env.store.refused_deliveries.store(1, Ordering::SeqCst);
    inbox.receive(1);
    wait::until_true("a refusal", DEADLINE, async || {
        env.store.refused_deliveries.load(Ordering::SeqCst) == 0
    })
    .await;
    // The lease of the worker that failed expires.
    env.clock.advance(Duration::from_secs(15));
    assert_eq!(notification_content(&mut client).await, "1");
}

#[tokio::test]
async fn inbox_of_drained_workers_is_read_by_another() {
    let (inbox, env, [one, other], mut client) = shared().await;
    inbox.blocks_next_reader.store(true, Ordering::SeqCst);
    wait::until_true("a blocked reader", DEADLINE, async || {
        !inbox.blocks_next_reader.load(Ordering::SeqCst)
    })
    .await;
    inbox.receive(1);
    // Whichever worker reads: its drain ends the lease at once, and the clock does not advance.
    one.drain(DEADLINE).await;
    let third = env.worker().await;
    other.drain(DEADLINE).await;
    assert_eq!(notification_content(&mut client).await, "1");
    drop(third);
}

#[tokio::test]
async fn throttled_inbox_is_not_read_before_retry_after() {
    let (inbox, env, _workers, mut client) = shared().await;
    inbox.throttles.store(1, Ordering::SeqCst);
    env.wait_for_count("postern_worker_inbox_reads_total", &["\"throttled\""], 1)
        .await;
    wait::until_true("the lease to end", DEADLINE, async || {
        env.store.ended_inbox_leases(AccountType::Github) as u64 == inbox.reads()
    })
    .await;
    inbox.receive(1);
    env.clock.advance(ASKED_TO_WAIT - Duration::from_secs(1));
    let (reads, queries) = (inbox.reads(), env.store.inbox_queries());
    wait::until_true("lease requests of both workers", DEADLINE, async || {
        env.store.inbox_queries() >= queries + 4
    })
    .await;
    assert_eq!(inbox.reads(), reads);
    env.clock.advance(Duration::from_secs(1));
    assert_eq!(notification_content(&mut client).await, "1");
}

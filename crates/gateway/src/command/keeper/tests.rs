//! Answers whose announcement is lost are fetched, and how soon: the clock stands still but for what is waited for.

use std::future::poll_fn;
use std::str::from_utf8;
use std::time::SystemTime;

use bus::{Jobs, MemoryBus, SessionKey, SessionSeed};
use lifecycle::{ManualClock, SeededEntropy, Tasks};
use protocol::cluster::job::{Job, JobOutcome, Lane};
use protocol::id::{NodeId, WorkerId};
use protocol::json::Json;
use protocol::time::Timestamp;
use protocol::wire::{Message, Request};
use serde_json::{Value, json};
use telemetry::metrics::Metrics as Registry;
use tokio::time::timeout;

use super::*;
use crate::command::{Caller, WorkerClient};
use crate::connection::outbound::Outbound;
use crate::connection::outgoing::Outgoing;
use crate::metrics::Metrics;
use crate::session::Sessions;
use crate::settings::Timing;

/// Commands of a node that hears no answer, with one that was asked and taken by a worker.
struct Deaf {
    bus: MemoryBus,
    job: Job,
    asked: Instant,
    missed: Arc<Notify>,
    outbound: Arc<Outbound>,
    _announce: mpsc::Sender<Reply>,
    _tasks: Tasks,
}

impl Deaf {
    async fn new() -> Self {
        let entropy = Arc::new(SeededEntropy::new(7));
        let bus = MemoryBus::new(Arc::clone(&entropy) as _);
        let tasks = Tasks::new();
        let workers = Arc::new(WorkerClient::new(Arc::new(bus.clone()), NodeId::new("n").unwrap()));
        let sessions = Arc::new(Sessions::new(
            Arc::new(bus.clone()),
            Arc::clone(&workers),
            mpsc::channel(1).0,
            Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH)),
            Arc::clone(&entropy) as _,
            tasks.clone(),
        ));
        let commands = Arc::new(Commands::new(
            Arc::new(bus.clone()),
            (sessions, workers),
            (Timing::default(), None),
            entropy,
            tasks.clone(),
            Arc::new(Metrics::new(&Registry::new("test").meter(), &tasks)),
        ));
        let (announce, replies) = mpsc::channel(8);
        let missed = Arc::new(Notify::new());
        let keeps = Arc::clone(&commands).run(replies, Arc::clone(&missed), tasks.soft());
        tasks.each("answers", keeps);

        let outbound = Arc::new(Outbound::default());
        let asked = Instant::now();
        let caller = Arc::new(Caller::sample_with("u", Arc::clone(&outbound)));
        bus::SessionRegistry::seed(&bus, &session(&caller), HALF_AN_HOUR)
            .await
            .unwrap();
        commands.take(&caller, list());
        let worker = WorkerId::new("w").unwrap();
        let claimed = bus
            .claim(Lane::Interactive, &worker, 1, Duration::from_secs(1))
            .await
            .unwrap();
        Self {
            bus,
            job: claimed.into_iter().next().unwrap().job,
            asked,
            missed,
            outbound,
            _announce: announce,
            _tasks: tasks,
        }
    }

    /// The worker answers.
    async fn answer(&self) {
        let reply = Reply {
            v: Job::VERSION,
            job: self.job.id.clone(),
            outcome: JobOutcome {
                error: None,
                leading_notice: None,
                secret: false,
                data: Json::of(&json!({ "success": true })),
            },
        };
        self.bus.reply(&self.job.node, &reply).await.unwrap();
    }

    /// What the client is answered, and how long after it asked.
    async fn answered(&self) -> (Value, Duration) {
        let message = poll_fn(|cx| self.outbound.poll_pop(cx));
        let message = timeout(Duration::from_secs(300), message).await.unwrap().unwrap();
        let Outgoing::Plain(Message::Text(text)) = message else {
            panic!("{message:?}")
        };
        let frame: Value = serde_json::from_str(from_utf8(&text).unwrap()).unwrap();
        (frame["data"].clone(), self.asked.elapsed())
    }
}

fn session(caller: &Caller) -> SessionKey {
    SessionKey {
        user: caller.user.clone(),
        session: caller.session.clone(),
    }
}

fn list() -> Request {
    Request {
        event: "account:list".to_owned(),
        data: Value::Null,
        id: None,
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_missed_with_the_connection_is_fetched_at_once() {
    let node = Deaf::new().await;
    node.answer().await;
    node.missed.notify_one();
    assert_eq!(node.answered().await, (json!({ "success": true }), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn an_answer_missed_in_silence_is_fetched_after_two_seconds() {
    let node = Deaf::new().await;
    node.answer().await;
    let (data, after) = node.answered().await;
    assert_eq!(data, json!({ "success": true }));
    assert!(
        after >= Duration::from_secs(2) && after < Duration::from_secs(3),
        "{after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_a_timeout_at_the_deadline() {
    let node = Deaf::new().await;
    let (data, after) = node.answered().await;
    assert_eq!(data["error"], "timeout");
    assert!(
        after >= Duration::from_secs(10) && after <= Duration::from_secs(10) + 2 * TICK,
        "{after:?}"
    );
}

const HALF_AN_HOUR: SessionSeed = SessionSeed {
    left: Duration::from_mins(30),
    timeout: Duration::from_mins(30),
    lead: Duration::from_mins(5),
    opened_at: Timestamp::from_millis(1_000),
    newest_token: None,
    announced: None,
};

//! Time until a reply is read whose announcement was lost, in paused time.

use std::future::poll_fn;
use std::str::from_utf8;
use std::time::SystemTime;

use bus::{Jobs, MemoryBus, SessionKey, SessionSeed, TokenTimes};
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
use crate::bus_outage::BusOutage;
use crate::bus_roles::BusRoles;
use crate::metrics::Metrics;
use crate::session::SessionMonitor;
use crate::settings::{ClientContext, Timing};
use crate::socket::{Caller, OutboundQueue, OutgoingMessage};
use crate::workers::WorkerClient;

/// Commands of a node that receives no announcement, with one pending command that a worker has claimed.
struct SilentNode {
    bus: MemoryBus,
    job: Job,
    asked: Instant,
    missed: Arc<Notify>,
    outbound: Arc<OutboundQueue>,
    metrics: Registry,
    _announce: mpsc::Sender<Reply>,
    _tasks: Tasks,
}

impl SilentNode {
    async fn new() -> Self {
        let metrics = Registry::new("test");
        let entropy = Arc::new(SeededEntropy::new(7));
        let bus = MemoryBus::new(Arc::clone(&entropy) as _);
        let tasks = Tasks::new();
        let outage = Arc::new(BusOutage::new());
        let shared = Arc::new(bus.clone());
        let roles = BusRoles::from(Arc::new(bus.clone()) as Arc<dyn bus::Bus>);
        let node = NodeId::new("n").unwrap();
        let workers = Arc::new(WorkerClient::new(
            (Arc::clone(&shared) as _, Arc::clone(&outage)),
            node,
            Arc::clone(&entropy) as _,
        ));
        let instruments = Arc::new(Metrics::new(&metrics.meter(), &tasks));
        let sessions = Arc::new(SessionMonitor::new(
            (&roles, Arc::clone(&outage)),
            (Arc::clone(&workers), Duration::from_hours(1)),
            mpsc::channel(1).0,
            Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH)),
            entropy,
            tasks.clone(),
            Arc::clone(&instruments),
        ));
        let commands = Arc::new(Commands::new(
            (Arc::clone(&shared) as _, shared, outage),
            (sessions, workers),
            (Timing::default(), None, ClientContext::Link),
            tasks.clone(),
            instruments,
        ));
        let (announce, replies) = mpsc::channel(8);
        let missed = Arc::new(Notify::new());
        let task = Arc::clone(&commands).run(replies, Arc::clone(&missed), tasks.soft());
        tasks.each("replies", task);

        let outbound = Arc::new(OutboundQueue::default());
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
            metrics,
            _announce: announce,
            _tasks: tasks,
        }
    }

    /// Replies as the worker.
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

    /// Waits for the client's answer; returns its data and the time since the request.
    async fn answered(&self) -> (Value, Duration) {
        let message = poll_fn(|cx| self.outbound.poll_pop(cx));
        let queued = timeout(Duration::from_secs(300), message).await.unwrap().unwrap();
        let OutgoingMessage::Plain(Message::Text(text)) = queued.message else {
            panic!("{queued:?}")
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
async fn reply_missed_with_the_connection_is_read_at_once() {
    let node = SilentNode::new().await;
    node.answer().await;
    node.missed.notify_one();
    assert_eq!(node.answered().await, (json!({ "success": true }), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn reply_without_announcement_is_read_after_two_seconds() {
    let node = SilentNode::new().await;
    node.answer().await;
    let (data, after) = node.answered().await;
    assert_eq!(data, json!({ "success": true }));
    assert!(
        after >= Duration::from_secs(2) && after < Duration::from_secs(3),
        "{after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn missing_reply_is_a_timeout_at_the_deadline() {
    let node = SilentNode::new().await;
    let (data, after) = node.answered().await;
    assert_eq!(data["error"], "timeout");
    assert!(
        after >= Duration::from_secs(10) && after <= Duration::from_secs(10) + 2 * TICK,
        "{after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn time_of_a_command_is_that_of_its_stages() {
    let node = SilentNode::new().await;
    node.answered().await;
    let rendered = node.metrics.render().unwrap();
    let figure = |name: &str| {
        let line = format!("postern_gateway_command_{name} ");
        let value = rendered.lines().find_map(|found| found.strip_prefix(&line));
        value
            .unwrap_or_else(|| panic!("{line} is not in\n{rendered}"))
            .parse::<f64>()
            .unwrap()
    };
    for stage in ["admit", "enqueue", "wait"] {
        let count = format!("stage_duration_seconds_count{{event=\"account:list\",stage=\"{stage}\"}}");
        assert_eq!(figure(&count), 1.0, "{stage}");
    }
    let wait = figure("stage_duration_seconds_sum{event=\"account:list\",stage=\"wait\"}");
    assert_eq!(wait, figure("duration_seconds_sum{event=\"account:list\"}"));
    assert!(wait >= 10.0, "no worker answered before the deadline");
}

const HALF_AN_HOUR: SessionSeed = SessionSeed {
    left: Duration::from_mins(30),
    timeout: Duration::from_mins(30),
    lead: Duration::from_mins(5),
    opened_at: Timestamp::from_millis(1_000),
    tokens: TokenTimes::UNKNOWN,
    announced: None,
};

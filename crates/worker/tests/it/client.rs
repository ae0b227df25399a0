//! A client as the worker knows it: a user, a session, and a gateway that submits its jobs and hears its answers and events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{Feed, Heard};
use protocol::cluster::job::{Job, Reply, Work};
use protocol::command::{Command, CommandKind, idempotency_key};
use protocol::id::{ConnectionId, JobId, NodeId, SessionId, UserId};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::fragile_bus::FragileBus;
use bus::{Events, Jobs};

/// Ten times what should be needed on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Where platforms send the user of these tests back to.
pub(crate) const BACK: &str = "http://localhost:3000/callback";

/// One client of one user.
pub(crate) struct Client {
    bus: Arc<FragileBus>,
    pub(crate) user: UserId,
    session: SessionId,
    node: NodeId,
    jobs: u32,
    replies: mpsc::Receiver<Reply>,
    early: HashMap<JobId, Reply>,
    _feed: Arc<dyn Feed>,
    heard: mpsc::Receiver<Heard>,
}

impl Client {
    pub(crate) async fn new(bus: Arc<FragileBus>, user: &str, session: &str) -> Self {
        let user = UserId::new(user).unwrap();
        let node = NodeId::new(format!("gateway of {user} {session}")).unwrap();
        let replies = bus.replies(&node).await.unwrap();
        let (feed, heard) = bus.listen().await.unwrap();
        feed.subscribe(&user).await.unwrap();
        Self {
            bus,
            user,
            session: SessionId::new(session).unwrap(),
            node,
            jobs: 0,
            replies,
            early: HashMap::new(),
            _feed: feed,
            heard,
        }
    }

    /// A command of this client as its gateway makes it a job.
    pub(crate) fn job(&mut self, kind: CommandKind, data: Value) -> Job {
        self.jobs += 1;
        let mut data = data;
        data["userId"] = json!(self.user);
        Job {
            v: Job::VERSION,
            id: JobId::new(format!("{} {}", self.node, self.jobs)).unwrap(),
            user: self.user.clone(),
            session: self.session.clone(),
            connection: ConnectionId::new("connection").unwrap(),
            node: self.node.clone(),
            idempotency_key: idempotency_key(&data).unwrap(),
            work: Work::Command(Command::parse(kind, data).unwrap()),
        }
    }

    pub(crate) async fn submit(&self, job: &Job) {
        let lane = job.work.lane();
        self.bus.submit(lane, job, lane.patience()).await.unwrap();
    }

    /// The next answer to this job.
    pub(crate) async fn answer(&mut self, job: &Job) -> Value {
        let reply = timeout(DEADLINE, async {
            loop {
                if let Some(reply) = self.early.remove(&job.id) {
                    return reply;
                }
                let reply = self.replies.recv().await.unwrap();
                self.early.insert(reply.job.clone(), reply);
            }
        });
        reply.await.expect("an answer comes").outcome.data.read().unwrap()
    }

    /// Submits a command and waits for its answer.
    pub(crate) async fn ask(&mut self, kind: CommandKind, data: Value) -> Value {
        let job = self.job(kind, data);
        self.submit(&job).await;
        self.answer(&job).await
    }

    /// The user's next event: its name, and its payload without user and time.
    pub(crate) async fn event(&mut self) -> (String, Value) {
        let heard = timeout(DEADLINE, self.heard.recv());
        let Heard::Event { envelope, .. } = heard.await.expect("an event comes").unwrap() else {
            panic!("events were missed");
        };
        let mut data: Value = envelope.data.read().unwrap();
        assert_eq!(data["userId"], json!(self.user));
        let fields = data.as_object_mut().unwrap();
        fields.remove("userId");
        fields.remove("timestamp");
        (envelope.event.clone(), data)
    }

    /// The user's next event, which must be a change of this account's status; its metadata too.
    pub(crate) async fn status(&mut self) -> (String, Value) {
        let (name, data) = self.event().await;
        assert_eq!(
            (name.as_str(), &data["accountType"]),
            ("account:status_changed", &json!("github"))
        );
        (data["status"].as_str().unwrap().to_owned(), data["metadata"].clone())
    }

    /// No event is waiting that was published before now.
    pub(crate) fn assert_no_event(&mut self) {
        assert!(self.heard.try_recv().is_err(), "an event too many");
    }

    /// Connects the platform account of this login, without `account:authorize`.
    pub(crate) async fn connect(&mut self, code: &str) -> Value {
        self.ask(CommandKind::Connect, connect(code)).await
    }

    pub(crate) async fn authorize(&mut self) -> Value {
        let data = json!({"accountType": "github", "redirectUri": BACK});
        self.ask(CommandKind::Authorize, data).await
    }

    pub(crate) async fn for_github(&mut self, kind: CommandKind) -> Value {
        self.ask(kind, json!({"accountType": "github"})).await
    }
}

/// What `account:connect` brings along with this code.
pub(crate) fn connect(code: &str) -> Value {
    json!({"accountType": "github", "oauthCode": code, "redirectUri": BACK})
}

/// A command with one more field.
pub(crate) fn with(mut data: Value, field: &str, value: impl Into<Value>) -> Value {
    data[field] = value.into();
    data
}

/// Asserts a failure with this code, and gives its sentence.
#[track_caller]
pub(crate) fn refused(answer: &Value, code: &str) -> String {
    assert_eq!(
        (&answer["success"], &answer["error"]),
        (&json!(false), &json!(code)),
        "{answer}"
    );
    answer["message"].as_str().unwrap().to_owned()
}

/// Asserts a success.
#[track_caller]
pub(crate) fn succeeded(answer: &Value) {
    assert_eq!(answer["success"], json!(true), "{answer}");
}

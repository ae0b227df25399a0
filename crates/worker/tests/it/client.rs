//! Client as the worker sees it: a user, a session, and a gateway that submits jobs and receives answers and events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{ChannelMessage, ChannelMessages, Events, Jobs, UserSubscriptions};
use protocol::cluster::envelope::Audience;
use protocol::cluster::job::{Job, JobOutcome, Reply, Work};
use protocol::cluster::origin::Origin;
use protocol::command::{Command, CommandKind, idempotency_key};
use protocol::id::{ConnectionId, JobId, NodeId, SessionId, UserId};
use protocol::time::Timestamp;
use protocol::trace::TraceParent;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::faulty_bus::FaultyBus;
use crate::faulty_store::FaultyStore;

/// Ten times the expected time on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Redirect URI of an application's own callback.
pub(crate) const REDIRECT_URI: &str = "http://localhost:3000/callback";

/// Client of one user.
pub(crate) struct Client {
    bus: Arc<FaultyBus>,
    store: Arc<FaultyStore>,
    pub(crate) user: UserId,
    session: SessionId,
    pub(crate) origin: Origin,
    /// Time of the user's sign-in, as in the token.
    pub(crate) signed_in: Option<Timestamp>,
    /// End of the token, as its gateway states it.
    pub(crate) token_expires_at: Option<Timestamp>,
    node: NodeId,
    jobs: u32,
    replies: mpsc::Receiver<Reply>,
    early: HashMap<JobId, Reply>,
    _feed: Arc<dyn UserSubscriptions>,
    messages: ChannelMessages,
}

impl Client {
    pub(crate) async fn new(bus: Arc<FaultyBus>, store: Arc<FaultyStore>, user: &str, session: &str) -> Self {
        let user = UserId::new(user).unwrap();
        let node = NodeId::new(format!("gateway of {user} {session}")).unwrap();
        let replies = bus.subscribe_replies(&node).await.unwrap();
        let (feed, messages) = bus.listen().await.unwrap();
        feed.subscribe(&user).await.unwrap();
        Self {
            bus,
            store,
            user,
            session: SessionId::new(session).unwrap(),
            origin: Origin {
                address: "192.0.2.7".to_owned(),
                device_id: Some("d-1".to_owned()),
                device_name: None,
                user_agent: None,
            },
            signed_in: None,
            token_expires_at: None,
            node,
            jobs: 0,
            replies,
            early: HashMap::new(),
            _feed: feed,
            messages,
        }
    }

    /// Job that a gateway makes of a command of this client.
    pub(crate) fn job(&mut self, kind: CommandKind, data: Value) -> Job {
        let mut data = data;
        data["userId"] = json!(self.user);
        Job {
            idempotency_key: idempotency_key(&data).unwrap(),
            ..self.work(Work::Command(Command::parse(kind, data).unwrap()))
        }
    }

    /// Job of this client's gateway.
    pub(crate) fn work(&mut self, work: Work) -> Job {
        self.jobs += 1;
        Job {
            v: Job::VERSION,
            id: JobId::new(format!("{} {}", self.node, self.jobs)).unwrap(),
            user: self.user.clone(),
            session: self.session.clone(),
            connection: ConnectionId::new("connection").unwrap(),
            node: self.node.clone(),
            origin: Some(self.origin.clone()),
            traceparent: TraceParent::begin(self.jobs.into(), 1),
            idempotency_key: None,
            authenticated_at: self.signed_in,
            token_expires_at: self.token_expires_at,
            work,
        }
    }

    pub(crate) async fn submit(&self, job: &Job) {
        let lane = job.work.lane();
        self.bus.submit(lane, job, lane.job_timeout()).await.unwrap();
    }

    /// Next answer to this job.
    pub(crate) async fn answer(&mut self, job: &Job) -> Value {
        self.outcome(job).await.data.read().unwrap()
    }

    /// Next answer to this job, with the notice that precedes it.
    pub(crate) async fn outcome(&mut self, job: &Job) -> JobOutcome {
        let reply = timeout(DEADLINE, async {
            loop {
                if let Some(reply) = self.early.remove(&job.id) {
                    return reply;
                }
                let reply = self.replies.recv().await.unwrap();
                self.early.insert(reply.job.clone(), reply);
            }
        });
        let outcome = reply.await.expect("no answer before the deadline").outcome;
        self.check_audit_actions(job).await;
        outcome
    }

    /// Asserts that a command has written only those actions into the audit log that its row of the policy table names.
    async fn check_audit_actions(&self, job: &Job) {
        let Work::Command(command) = &job.work else { return };
        let policy = command.kind().policy();
        let rows = self
            .store
            .audit()
            .audit_rows(self.user.as_str(), 0, i64::MAX, 1_000)
            .await;
        // A store with injected faults may refuse to show its rows.
        for row in rows.unwrap_or_default() {
            let is_named = policy.audit.iter().any(|action| action.as_str() == row.action);
            assert!(is_named || row.job != job.id.as_str(), "{}: {row:?}", policy.event);
        }
    }

    /// Submits a command and waits for its answer.
    pub(crate) async fn ask(&mut self, kind: CommandKind, data: Value) -> Value {
        let job = self.job(kind, data);
        self.ask_for(&job).await
    }

    /// Submits a job and waits for its answer.
    pub(crate) async fn ask_for(&mut self, job: &Job) -> Value {
        self.submit(job).await;
        self.answer(job).await
    }

    /// Next event of the user: its name, and its payload without user and time.
    pub(crate) async fn event(&mut self) -> (String, Value) {
        let message = timeout(DEADLINE, self.messages.recv());
        let ChannelMessage::Event { envelope, .. } = message.await.expect("no event before the deadline").unwrap()
        else {
            panic!("events were missed");
        };
        let mut data: Value = envelope.data.read().unwrap();
        if envelope.audience == Audience::User {
            assert_eq!(data["userId"], json!(self.user));
        }
        let fields = data.as_object_mut().unwrap();
        fields.remove("userId");
        fields.remove("timestamp");
        (envelope.event.clone(), data)
    }

    /// Next event of the user other than an alert, which must be a status change of the account, with its metadata.
    pub(crate) async fn status(&mut self) -> (String, Value) {
        let (mut name, mut data) = self.event().await;
        while name == "security:alert" {
            (name, data) = self.event().await;
        }
        assert_eq!(
            (name.as_str(), &data["accountType"]),
            ("account:status_changed", &json!("github"))
        );
        (data["status"].as_str().unwrap().to_owned(), data["metadata"].clone())
    }

    /// Next alert of the user.
    pub(crate) async fn alert(&mut self) -> Value {
        loop {
            let (name, data) = self.event().await;
            if name == "security:alert" {
                return data;
            }
        }
    }

    /// Asserts that no event except alerts was published before now.
    pub(crate) fn assert_no_event(&mut self) {
        while let Some(message) = self.messages.try_recv() {
            let is_alert =
                matches!(&message, ChannelMessage::Event { envelope, .. } if envelope.event == "security:alert");
            assert!(is_alert, "unexpected event: {message:?}");
        }
    }

    /// Asserts that no alert was published before now.
    pub(crate) fn assert_no_alert(&mut self) {
        while let Some(message) = self.messages.try_recv() {
            let is_alert =
                matches!(&message, ChannelMessage::Event { envelope, .. } if envelope.event == "security:alert");
            assert!(!is_alert, "unexpected alert: {message:?}");
        }
    }

    /// Connects the platform account of this login, without `account:authorize`.
    pub(crate) async fn connect(&mut self, code: &str) -> Value {
        self.ask(CommandKind::Connect, connect(code)).await
    }

    pub(crate) async fn authorize(&mut self) -> Value {
        let data = json!({"accountType": "github", "redirectUri": REDIRECT_URI});
        self.ask(CommandKind::Authorize, data).await
    }

    /// Requests a confirmation of `security:revoke_all`.
    pub(crate) async fn confirmation(&mut self) -> String {
        let asked = json!({"action": "security:revoke_all"});
        let answer = self.ask(CommandKind::RequestConfirmation, asked).await;
        assert_success(&answer);
        answer["confirmationToken"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn revoke_all(&mut self, confirmation: &str) -> Value {
        let asked = json!({"confirmationToken": confirmation});
        self.ask(CommandKind::RevokeAll, asked).await
    }

    pub(crate) async fn for_github(&mut self, kind: CommandKind) -> Value {
        self.ask(kind, json!({"accountType": "github"})).await
    }
}

/// Payload of `account:connect` with this code.
pub(crate) fn connect(code: &str) -> Value {
    json!({"accountType": "github", "oauthCode": code, "redirectUri": REDIRECT_URI})
}

/// Payload with a further field.
pub(crate) fn with_field(mut data: Value, field: &str, value: impl Into<Value>) -> Value {
    data[field] = value.into();
    data
}

/// Asserts a failure with this code, and returns its message.
#[track_caller]
pub(crate) fn assert_error(answer: &Value, code: &str) -> String {
    assert_eq!(
        (&answer["success"], &answer["error"]),
        (&json!(false), &json!(code)),
        "{answer}"
    );
    answer["message"].as_str().unwrap().to_owned()
}

/// Asserts a success.
#[track_caller]
pub(crate) fn assert_success(answer: &Value) {
    assert_eq!(answer["success"], json!(true), "{answer}");
}

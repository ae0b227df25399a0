//! One user: an owner who ends the thief's session, events published after the answer, and the checks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::chaos::SeededRng;
use testkit::client::http::Request;
use testkit::client::{Event, Native, SocketIo};
use testkit::wait;

use super::thief::{AFTER, Conduct, SESSION, Thief};
use super::weather::Stage;
use crate::stage::link_by_authorization;

/// Actions of the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Ends the thief's session.
    One,
    /// Ends all sessions but its own.
    Others,
    /// Has the application's server end all sessions.
    All,
    /// Ends all access, during a link of the thief's.
    Access,
}

impl End {
    pub(super) const ALL: [Self; 4] = [Self::One, Self::Others, Self::All, Self::Access];
}

/// A user.
pub(super) struct Scene<'a> {
    stage: &'a Stage,
    user: String,
    rng: SeededRng,
}

impl<'a> Scene<'a> {
    pub(super) fn new(stage: &'a Stage, index: usize, rng: SeededRng) -> Self {
        Self {
            stage,
            user: format!("GEN-{index:03}"),
            rng,
        }
    }

    /// Plays the scene; returns the violations.
    pub(super) async fn play(mut self, conduct: Conduct, end: End) -> Vec<String> {
        if end == End::Access {
            return self.play_access().await;
        }
        let mut thief = Thief::new(self.stage, &self.user, self.rng.fork());
        thief.connect_until_accepted().await;
        let ended = AtomicBool::new(false);
        let (received, ()) = tokio::join!(thief.steal(conduct, &ended), async {
            self.rng.pause(Duration::ZERO..Duration::from_secs(2)).await;
            self.end(end).await;
            ended.store(true, Ordering::SeqCst);
            for number in 0..3 {
                self.publish(number).await;
                self.rng.pause(Duration::ZERO..Duration::from_millis(1_500)).await;
            }
        });
        match received {
            Ok(received) => self.check(&received).await,
            Err(wrong) => vec![wrong],
        }
    }

    async fn owner(&self) -> Native {
        let auth = json!({"token": self.stage.token(&self.user, "owner"), "deviceId": "the owner's"});
        wait::until("the owner to be let in", wait::deadline(), async || {
            Native::to(&self.stage.cluster.endpoint(0))
                .auth(auth.clone())
                .connect()
                .await
                .ok()
        })
        .await
    }

    /// Repeats a command of the owner's until it succeeds.
    async fn repeat_until_done(&self, owner: &Native, command: &str, data: Value) -> Value {
        wait::until(command, 2 * wait::deadline(), async || {
            let answer = owner.request(command, data.clone()).await.data;
            match answer["error"].as_str() {
                None => Some(answer),
                Some("unavailable" | "timeout" | "rate_limited") => None,
                Some(_) => panic!("{command}: {answer}"),
            }
        })
        .await
    }

    async fn end(&self, end: End) {
        let of = match end {
            End::One => SESSION,
            End::Others => "others",
            End::All | End::Access => {
                let path = format!("/v1/users/{}/sessions", self.user);
                let done = async || self.stage.internal(Request::new("DELETE", &path)).await.status == 200;
                return wait::until_true("all sessions to be ended", 2 * wait::deadline(), done).await;
            }
        };
        let owner = self.owner().await;
        let asked = json!({"sessionId": of, "idempotencyKey": "end"});
        let answer = self.repeat_until_done(&owner, "security:end_sessions", asked).await;
        assert_eq!(answer["sessionsEnded"], json!(1), "{answer}");
    }

    /// Publishes events that the thief must not receive: an alert of the application's, and a notification that needs no worker.
    async fn publish(&self, number: usize) {
        let alert = json!({
            "event": "security:alert",
            "idempotencyKey": format!("alert {number}"),
            "data": {"severity": "high", "type": "suspicious_login", "message": PUBLISHED, "requiresAction": true},
        });
        let notification = json!({
            "event": "notification:incoming",
            "idempotencyKey": format!("notification {number}"),
            "data": {"platform": "github", "type": "mention", "content": PUBLISHED, "sender": "ada"},
        });
        for event in [notification, alert] {
            let path = format!("/v1/users/{}/events", self.user);
            let taken = async || self.stage.internal(Request::post(&path, &event)).await.status == 202;
            wait::until_true("the event to be published", 2 * wait::deadline(), taken).await;
        }
    }

    async fn check(&self, received: &[Event]) -> Vec<String> {
        let received = received
            .iter()
            .filter(|event| event.data.to_string().contains(PUBLISHED));
        let mut violations: Vec<String> = received.map(|event| format!("it received {}", event.name)).collect();
        let schema = self.stage.cluster.schema();
        let user = &self.user;
        let settings = format!("SELECT session_timeout FROM security WHERE user_id = '{user}'");
        if schema.sql(&settings).await == [AFTER.to_string()] {
            violations.push("its command was carried out after the answer".to_owned());
        }
        let query = format!(
            "SELECT action FROM audit AS done WHERE user_id = '{user}' AND session_id = '{SESSION}' AND result = 'ok' \
             AND action <> 'device_seen' AND action <> 'alert_raised' \
             AND seq > (SELECT seq FROM audit WHERE user_id = '{user}' AND action = 'session_ended' AND subject = '{SESSION}')"
        );
        violations.extend(
            schema
                .sql(&query)
                .await
                .iter()
                .map(|action| format!("after its end: {action}")),
        );
        violations
    }

    /// Plays the end of all access: a link from before it does not exist after the answer.
    async fn play_access(mut self) -> Vec<String> {
        let owner = self.owner().await;
        let mut payload = None;
        let linking = self.stage.token(&self.user, "linking");
        let caller = wait::until("the caller to be let in", wait::deadline(), async || {
            SocketIo::connect(&self.stage.cluster.endpoint(0), &linking).await.ok()
        })
        .await;
        while payload.is_none() {
            payload = link_by_authorization(&self.stage.platforms, &caller, &self.user, "github", &self.user)
                .await
                .ok();
        }
        let asked = json!({"action": "security:revoke_all", "idempotencyKey": "confirm"});
        let confirmed = self
            .repeat_until_done(&owner, "security:request_confirmation", asked)
            .await;
        let token = &confirmed["confirmationToken"];
        let revoke = json!({"userId": self.user, "confirmationToken": token, "idempotencyKey": "revoke"});
        let mut rng = self.rng.fork();
        let (connected, _) = tokio::join!(caller.emit_with_ack("account:connect", payload.unwrap()), async {
            rng.pause(Duration::ZERO..Duration::from_millis(500)).await;
            self.repeat_until_done(&owner, "security:revoke_all", revoke).await
        });
        let listed = self.repeat_until_done(&owner, "account:list", json!({})).await;
        if listed["accounts"] == json!([]) {
            return Vec::new();
        }
        vec![format!("{connected} left {listed}")]
    }
}

const PUBLISHED: &str = "published after the answer";

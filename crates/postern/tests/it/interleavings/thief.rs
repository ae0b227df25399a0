//! The thief: repeats one action in a session of the user's, before, during and after its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::chaos::SeededRng;
use testkit::client::{Event, Native, Refused};
use tokio::time::Instant;

use super::weather::Stage;

/// Repeated action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conduct {
    /// Joins anew.
    Join,
    /// Resumes its socket.
    Resume,
    /// Refreshes its token.
    Refresh,
    /// Changes the settings.
    Command,
}

impl Conduct {
    pub(super) const ALL: [Self; 4] = [Self::Join, Self::Resume, Self::Refresh, Self::Command];
}

/// A thief, and its received events.
pub(super) struct Thief<'a> {
    stage: &'a Stage,
    user: String,
    rng: SeededRng,
    socket: Option<Native>,
    received: Vec<Event>,
    /// Result of its last attempt to connect.
    last: String,
}

impl<'a> Thief<'a> {
    pub(super) fn new(stage: &'a Stage, user: &str, rng: SeededRng) -> Self {
        Self {
            stage,
            user: user.to_owned(),
            rng,
            socket: None,
            received: Vec::new(),
            last: String::new(),
        }
    }

    /// Connects, with retries.
    pub(super) async fn connect_until_accepted(&mut self) {
        while self.socket.is_none() {
            assert_eq!(self.connect(None).await, None, "it is nobody's thief yet");
        }
    }

    /// Repeats the action until the session is refused, and returns all received events; or its state when that takes too long.
    pub(super) async fn steal(mut self, conduct: Conduct, ended: &AtomicBool) -> Result<Vec<Event>, String> {
        let started = Instant::now();
        loop {
            if started.elapsed() > DEADLINE {
                let is_open = self.socket.as_ref().map(|socket| socket.is_open());
                let is_ended = ended.load(Ordering::SeqCst);
                return Err(format!(
                    "not refused: ended {is_ended}, open {is_open:?}, {}",
                    self.last
                ));
            }
            let pause = Duration::from_millis(20)..Duration::from_millis(400);
            self.rng.pause(pause).await;
            let resume_token = self.socket.as_ref().map(|socket| socket.ready()["resumeToken"].clone());
            let is_open = self.socket.as_ref().is_some_and(|socket| socket.is_open());
            if !is_open || matches!(conduct, Conduct::Join | Conduct::Resume) {
                self.leave();
                let resume_token = resume_token.filter(|_| conduct == Conduct::Resume);
                if self.connect(resume_token).await.as_deref() == Some("forbidden") {
                    return Ok(self.received);
                }
            }
            let after = ended.load(Ordering::SeqCst);
            if let Some(socket) = &self.socket {
                if conduct == Conduct::Refresh {
                    let token = self.stage.token(&self.user, SESSION);
                    socket.emit("auth:refresh", json!({ "token": token })).await;
                }
                if conduct == Conduct::Command || after {
                    let minutes = if after { AFTER } else { BEFORE };
                    let update = json!({"userId": self.user, "settings": {"sessionTimeout": minutes}});
                    socket.emit("security:update_settings", update).await;
                }
            }
        }
    }

    fn leave(&mut self) {
        if let Some(socket) = self.socket.take() {
            self.received.extend(socket.unread());
        }
    }

    /// Tries once; returns the code of a refusal, unless it is for the moment.
    async fn connect(&mut self, resume_token: Option<Value>) -> Option<String> {
        let endpoint = self.stage.slow_endpoint(&mut self.rng);
        let mut auth =
            json!({"token": self.stage.token(&self.user, SESSION), "deviceId": "the thief's", "batching": false});
        if let Some(resume_token) = resume_token {
            auth["resume"] = json!({ "resumeToken": resume_token });
        }
        match Native::to(&endpoint).auth(auth).connect().await {
            Ok(socket) => {
                self.last = format!("live with {}", socket.ready());
                self.socket = Some(socket);
                None
            }
            Err(refused) => {
                self.last = refused.to_string();
                match refused {
                    Refused::Answered { data, .. } if data["error"] != "unavailable" => {
                        data["error"].as_str().map(str::to_owned)
                    }
                    // The gateway cannot reach Redis at the moment; it may have said so.
                    _ => None,
                }
            }
        }
    }
}

/// Time in which the session has ended, and the thief has been refused.
const DEADLINE: Duration = Duration::from_secs(120);

/// The stolen session.
pub(super) const SESSION: &str = "thief";

/// Timeout set before the end of its session is answered.
pub(super) const BEFORE: u32 = 55;

/// Timeout set after that.
pub(super) const AFTER: u32 = 77;

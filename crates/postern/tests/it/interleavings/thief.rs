//! The thief: in a session of the user's it does one thing over and over, before its end, in the midst of it, and after.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::chaos::SeededRng;
use testkit::client::{Event, Native, Refused};
use tokio::time::Instant;

use super::weather::Stage;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conduct {
    /// Joins anew.
    Join,
    /// Comes back to its place.
    Resume,
    /// Brings another token.
    Refresh,
    /// Changes the settings.
    Command,
}

impl Conduct {
    pub(super) const ALL: [Self; 4] = [Self::Join, Self::Resume, Self::Refresh, Self::Command];
}

/// A thief, and what it has heard.
pub(super) struct Thief<'a> {
    stage: &'a Stage,
    user: String,
    rng: SeededRng,
    socket: Option<Native>,
    heard: Vec<Event>,
    /// What became of its last attempt to connect.
    last: String,
}

impl<'a> Thief<'a> {
    pub(super) fn new(stage: &'a Stage, user: &str, rng: SeededRng) -> Self {
        Self {
            stage,
            user: user.to_owned(),
            rng,
            socket: None,
            heard: Vec::new(),
            last: String::new(),
        }
    }

    /// Gets in, however often it has to try.
    pub(super) async fn get_in(&mut self) {
        while self.socket.is_none() {
            assert_eq!(self.connect(None).await, None, "it is nobody's thief yet");
        }
    }

    /// Goes on until its session is refused, and gives all that it has heard; or how it stands when that takes too long.
    pub(super) async fn steal(mut self, conduct: Conduct, ended: &AtomicBool) -> Result<Vec<Event>, String> {
        let begun = Instant::now();
        loop {
            if begun.elapsed() > PATIENCE {
                let is_open = self.socket.as_ref().map(|socket| socket.is_open());
                let is_ended = ended.load(Ordering::SeqCst);
                return Err(format!(
                    "not refused: ended {is_ended}, open {is_open:?}, {}",
                    self.last
                ));
            }
            let pause = Duration::from_millis(20)..Duration::from_millis(400);
            self.rng.sleep(pause).await;
            let place = self.socket.as_ref().map(|socket| socket.ready()["resumeToken"].clone());
            let is_open = self.socket.as_ref().is_some_and(|socket| socket.is_open());
            if !is_open || matches!(conduct, Conduct::Join | Conduct::Resume) {
                self.leave();
                let place = place.filter(|_| conduct == Conduct::Resume);
                if self.connect(place).await.as_deref() == Some("forbidden") {
                    return Ok(self.heard);
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
            self.heard.extend(socket.unread());
        }
    }

    /// Tries once; gives the code of a refusal.
    async fn connect(&mut self, place: Option<Value>) -> Option<String> {
        let endpoint = self.stage.slow_door(&mut self.rng);
        let mut auth =
            json!({"token": self.stage.token(&self.user, SESSION), "deviceId": "the thief's", "batching": false});
        if let Some(place) = place {
            auth["resume"] = json!({ "resumeToken": place });
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
                    Refused::Answered { data, .. } => data["error"].as_str().map(str::to_owned),
                    // The gateway cannot reach Redis just now.
                    _ => None,
                }
            }
        }
    }
}

/// By then its session has ended, and it has been refused.
const PATIENCE: Duration = Duration::from_secs(120);

/// The session that it has stolen.
pub(super) const SESSION: &str = "thief";

/// The timeout that it sets before the end of its session is answered.
pub(super) const BEFORE: u32 = 55;

/// The timeout that it sets after that.
pub(super) const AFTER: u32 = 77;

//! A user with one linked account: syncs on command from time to time, and links a lost account anew.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use testkit::chaos::SeededRng;
use testkit::client::SocketIo;

use super::record::Record;
use crate::stage::{Platforms, link_by_authorization};

pub(crate) struct Owner {
    pub(crate) client: SocketIo,
    pub(crate) user: String,
    /// Login at the platform.
    pub(crate) login: String,
    pub(crate) platforms: Arc<Platforms>,
    pub(crate) record: Record,
    pub(crate) rng: SeededRng,
}

impl Owner {
    /// Links the account, with retries.
    pub(crate) async fn link(&self) {
        loop {
            let connect = link_by_authorization(&self.platforms, &self.client, &self.user, "discord", &self.login);
            if let Ok(connect) = connect.await
                && self.client.emit_with_ack("account:connect", connect).await["success"] == true
            {
                return;
            }
        }
    }

    /// Watches the account until the test ends.
    pub(crate) async fn watch(mut self) {
        loop {
            let pause = Duration::from_secs(12)..Duration::from_secs(20);
            tokio::select! {
                event = self.client.next_or_end() => {
                    let event = event.unwrap();
                    let kind = event.data["type"].as_str().unwrap_or_default();
                    if event.name == "security:alert" && ["token_expired", "refresh_failed"].contains(&kind) {
                        self.record.alerts(&self.login, kind);
                        self.link().await;
                    }
                }
                () = self.rng.pause(pause) => {
                    let account = json!({ "userId": self.user, "accountType": "discord" });
                    self.client.emit("account:sync", account).await;
                }
            }
        }
    }
}

/// Login of a user's account at the platform.
pub(crate) fn login(index: usize) -> String {
    format!("ada{index:03}")
}

//! `POST /demo/api/mention`: a mention of a linked account at its platform, where the bot or the next sync finds it.

use hyper::StatusCode;
use protocol::account::AccountType;
use protocol::code::ErrorCode;
use serde::{Deserialize, Serialize};
use simulator::{NewMessage, NewNotification, NewPost};

use super::Demo;
use super::refusal::Refusal;

/// Body of the request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MentionRequest {
    user_id: String,
    account_type: AccountType,
    /// Text of the message, or title of the issue.
    #[serde(default = "usual_text")]
    text: String,
}

fn usual_text() -> String {
    "Have you seen this?".to_owned()
}

/// Mention that waits at its platform.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mentioned {
    account_type: AccountType,
    username: String,
    /// Way by which it becomes a notification.
    arrives: Delivery,
}

/// Way of a mention from its platform to Postern.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Delivery {
    /// The application's bot reads it within seconds.
    Bot,
    /// The next sync of the account reads it.
    Sync,
}

impl Demo {
    /// Has the simulator mention the account that a user has linked.
    pub(super) async fn mention(&self, request: MentionRequest) -> Result<Mentioned, Refusal> {
        let MentionRequest {
            user_id,
            account_type,
            text,
        } = request;
        let user = Self::user(&user_id)?;
        if text.chars().count() > MAX_TEXT {
            return Err(Refusal::bad_request("text: at most 500 characters were expected"));
        }
        let accounts = self.store.accounts(&user).await.map_err(|error| {
            tracing::warn!(
                error = protocol::fault::chain(&error),
                "accounts of a demo user not read"
            );
            Refusal::unavailable()
        })?;
        let linked = accounts
            .into_iter()
            .find(|account| account.account_type == account_type);
        let Some(account) = linked else {
            let code = ErrorCode::NotConnected;
            return Err(Refusal::new(StatusCode::NOT_FOUND, code, code.sentence()));
        };
        let arrives = self.put(account_type, account.username.clone(), text);
        Ok(Mentioned {
            account_type,
            username: account.username,
            arrives,
        })
    }

    /// Puts a mention of the account with this login at its platform. The login of a simulated account is its name.
    fn put(&self, platform: AccountType, login: String, text: String) -> Delivery {
        match platform {
            AccountType::Github => {
                self.simulator.notify(NewNotification {
                    login,
                    title: text,
                    ..NewNotification::default()
                });
                Delivery::Sync
            }
            AccountType::XTwitter => {
                self.simulator.post(NewPost {
                    login,
                    text,
                    ..NewPost::default()
                });
                Delivery::Sync
            }
            AccountType::Discord => {
                self.simulator.post_to_discord(&message(login, text));
                Delivery::Bot
            }
            AccountType::Telegram => {
                self.simulator.post_to_telegram(&message(login, text));
                Delivery::Bot
            }
        }
    }
}

/// Message in a chat of the bot.
fn message(login: String, text: String) -> NewMessage {
    NewMessage {
        mentions: vec![login],
        text,
        ..NewMessage::default()
    }
}

/// Maximum length of a text, in characters.
const MAX_TEXT: usize = 500;

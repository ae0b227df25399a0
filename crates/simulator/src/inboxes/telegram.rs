//! Updates of the bot at Telegram.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::UtcDateTime;

use crate::account::Account;
use crate::chat::NewMessage;

/// Updates that were not confirmed yet.
#[derive(Debug, Default)]
pub(crate) struct TelegramUpdates {
    last: i64,
    pub(crate) pending: BTreeMap<i64, Value>,
    /// Number of requests: only the latest one gets a response.
    pub(crate) requests: u64,
}

impl TelegramUpdates {
    /// Adds a message and returns the id of its update.
    pub(crate) fn put(&mut self, message: &NewMessage, at: UtcDateTime) -> i64 {
        self.last += 1;
        let id = self.last;
        let length = message.text.encode_utf16().count();
        let mention =
            |login: &String| json!({ "type": "text_mention", "offset": 0, "length": length, "user": user(login) });
        let mentions: Vec<Value> = message.mentions.iter().map(mention).collect();
        let channel = i64::from(Account::named(&message.channel).id);
        let mut sent = json!({
            "message_id": id,
            "chat": { "id": -channel, "type": "group", "title": message.channel },
            "from": user(&message.author),
            "date": at.unix_timestamp(),
            "text": message.text,
            "entities": mentions,
        });
        if let (Some(replied_to), Some(fields)) = (&message.reply_to, sent.as_object_mut()) {
            let replied_to = json!({ "message_id": 0, "from": user(replied_to), "date": 0, "text": "?" });
            fields.insert("reply_to_message".to_owned(), replied_to);
        }
        self.pending.insert(id, json!({ "update_id": id, "message": sent }));
        id
    }
}

fn user(login: &str) -> Value {
    let account = Account::named(login);
    json!({ "id": account.id, "is_bot": false, "first_name": account.name, "username": account.login })
}

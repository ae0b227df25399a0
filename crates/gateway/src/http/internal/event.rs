//! The body of a publish request, made an event of the protocol.

use std::time::SystemTime;

use protocol::command::{InvalidCommand, read};
use protocol::event::{Event, name};
use protocol::id::{EventId, UserId};
use protocol::json::lenient;
use protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Refusal;

/// `{event, data, idempotencyKey?}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Publication {
    event: String,
    data: Value,
    pub(super) idempotency_key: Option<String>,
}

impl Publication {
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let body = lenient::parse(body).map_err(|_no_json| Refusal::bad("body: JSON was expected"))?;
        let publication: Self = read(body)?;
        match publication.idempotency_key.as_deref().map(str::len) {
            Some(0 | 129..) => Err(Refusal::bad(
                "idempotencyKey: a text of 1 to 128 characters was expected",
            )),
            _ => Ok(publication),
        }
    }

    /// The event, checked as its type checks it. Its user is the one of the path, its time now unless it says otherwise, and its
    /// `alertId` ours.
    pub(super) fn event(self, user: &UserId, id: &EventId, now: SystemTime) -> Result<Event, Refusal> {
        let Value::Object(mut data) = self.data else {
            return Err(Refusal::bad("data: an object was expected"));
        };
        data.entry("userId").or_insert_with(|| user.as_str().into());
        data.entry("timestamp")
            .or_insert_with(|| Timestamp::from(now).to_string().into());
        let event = match self.event.as_str() {
            name::ALERT => {
                data.insert("alertId".to_owned(), id.as_str().into());
                Event::Alert(read(data.into())?)
            }
            name::NOTIFICATION => Event::Notification(read(data.into())?),
            name::STATUS_CHANGED => Event::StatusChanged(read(data.into())?),
            _ => {
                return Err(Refusal::bad(format!(
                    "event: {}, {} or {} was expected",
                    name::ALERT,
                    name::NOTIFICATION,
                    name::STATUS_CHANGED
                )));
            }
        };
        if event_user(&event) != user {
            return Err(Refusal::bad("data.userId: the user of the path was expected"));
        }
        Ok(event)
    }
}

fn event_user(event: &Event) -> &UserId {
    match event {
        Event::StatusChanged(data) => &data.user_id,
        Event::Alert(data) => &data.user_id,
        Event::SettingsUpdated(data) => &data.user_id,
        Event::Notification(data) => &data.user_id,
    }
}

impl From<InvalidCommand> for Refusal {
    fn from(invalid: InvalidCommand) -> Self {
        Self::Bad(invalid.to_string())
    }
}

//! Body of a publish request, and its conversion to an event.

use std::time::SystemTime;

use protocol::command::{InvalidCommand, read};
use protocol::event::{Event, name};
use protocol::id::{EventId, UserId};
use protocol::json::lenient;
use protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::error::ApiError;

/// Body of a publish request: `{event, data, idempotencyKey?}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Publication {
    event: String,
    data: Value,
    pub(super) idempotency_key: Option<String>,
}

impl Publication {
    /// Parses a request body.
    pub(super) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let body = lenient::parse(body).map_err(|_invalid_json| ApiError::invalid("body: JSON was expected"))?;
        let publication: Self = read(body)?;
        match publication.idempotency_key.as_deref().map(str::len) {
            Some(0 | 129..) => Err(ApiError::invalid(
                "idempotencyKey: a text of 1 to 128 characters was expected",
            )),
            _ => Ok(publication),
        }
    }

    /// Validates the event. `userId` must be the user of the path, `timestamp` defaults to now, and `alertId` is the event id.
    pub(super) fn event(self, user: &UserId, id: &EventId, now: SystemTime) -> Result<Event, ApiError> {
        let Value::Object(mut data) = self.data else {
            return Err(ApiError::invalid("data: an object was expected"));
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
                return Err(ApiError::invalid(format!(
                    "event: {}, {} or {} was expected",
                    name::ALERT,
                    name::NOTIFICATION,
                    name::STATUS_CHANGED
                )));
            }
        };
        if event_user(&event) != user {
            return Err(ApiError::invalid("data.userId: the user of the path was expected"));
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

impl From<InvalidCommand> for ApiError {
    fn from(invalid: InvalidCommand) -> Self {
        Self::Invalid(invalid.to_string())
    }
}

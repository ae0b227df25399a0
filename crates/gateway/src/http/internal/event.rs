//! Body of a publish request, and its conversion to an event.

mod plain;

use std::borrow::Cow;
use std::time::SystemTime;

use protocol::api;
use protocol::command::{InvalidCommand, read};
use protocol::event::{Event, name};
use protocol::id::{EventId, UserId};
use protocol::json::lenient;
use protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::error::ApiError;

/// Body of a publish request: `{event, data, idempotencyKey?}`, and `userId` in a batch.
///
/// A body that is what the types say, as nearly all are, is read from its text. Any other takes the lenient way through values, which
/// names what is wrong.
pub(super) struct Publication<'a> {
    event: Cow<'a, str>,
    data: Data<'a>,
    user_id: Option<String>,
    pub(super) idempotency_key: Option<String>,
}

/// Payload of the event.
enum Data<'a> {
    /// Text of an object.
    Text(&'a str),
    Value(Value),
}

/// Event of a publication.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PublishedEvent {
    pub(super) event: Event,
    /// True if the payload has the time. Otherwise it is that of the request, and a repetition has another one.
    pub(super) has_time: bool,
}

/// Fields that the event gets where its payload lacks them.
pub(super) struct Defaults<'a> {
    /// User of the event; another one in the payload is refused.
    pub(super) user: &'a UserId,
    /// Id of an alert, whatever its payload says.
    pub(super) id: &'a EventId,
    pub(super) now: SystemTime,
}

impl<'a> Publication<'a> {
    /// Parses a body.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, ApiError> {
        let publication = match plain::publication(body) {
            Some(plain) => Self::from(plain),
            None => Self::read_lenient(body)?,
        };
        match publication.idempotency_key.as_deref().map(str::len) {
            Some(0 | 129..) => Err(ApiError::invalid(
                "idempotencyKey: a text of 1 to 128 characters was expected",
            )),
            _ => Ok(publication),
        }
    }

    /// Parses an event of a batch, which names its user.
    pub(super) fn read_addressed(body: &'a [u8]) -> Result<(UserId, Self), ApiError> {
        let publication = Self::read(body)?;
        let user = publication.user_id.as_deref();
        let user = user.ok_or_else(|| ApiError::invalid("userId: a text was expected"))?;
        Ok((super::user_id(user)?, publication))
    }

    fn read_lenient(body: &[u8]) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct LenientPublication {
            event: String,
            data: Value,
            #[serde(default)]
            user_id: Value,
            idempotency_key: Option<String>,
        }
        let body = lenient::parse(body).map_err(|_invalid_json| ApiError::invalid("body: JSON was expected"))?;
        let publication: LenientPublication = read(body)?;
        Ok(Self {
            event: publication.event.into(),
            data: Data::Value(publication.data),
            // Only a batch needs it: elsewhere it is a field like any other that is ignored.
            user_id: publication.user_id.as_str().map(ToOwned::to_owned),
            idempotency_key: publication.idempotency_key,
        })
    }

    /// Validates the event. `userId` must be the user of the request, `timestamp` defaults to now, and `alertId` is the event id.
    pub(super) fn event(self, defaults: &Defaults<'_>) -> Result<PublishedEvent, ApiError> {
        let published = match self.data {
            Data::Value(data) => lenient_event(&self.event, data, defaults)?,
            Data::Text(data) => match plain::event(&self.event, data, defaults) {
                Some(published) => published,
                None => lenient_event(&self.event, parse(data)?, defaults)?,
            },
        };
        if event_user(&published.event) != defaults.user {
            return Err(ApiError::invalid("data.userId: the user of the path was expected"));
        }
        Ok(published)
    }
}

impl<'a> From<api::Publication<'a>> for Publication<'a> {
    fn from(plain: api::Publication<'a>) -> Self {
        Self {
            event: plain.event,
            data: Data::Text(plain.data.get()),
            user_id: plain.user_id,
            idempotency_key: plain.idempotency_key,
        }
    }
}

fn parse(data: &str) -> Result<Value, ApiError> {
    lenient::parse(data.as_bytes()).map_err(|_invalid_json| ApiError::invalid("data: JSON was expected"))
}

fn lenient_event(event: &str, data: Value, defaults: &Defaults<'_>) -> Result<PublishedEvent, ApiError> {
    let Value::Object(mut data) = data else {
        return Err(ApiError::invalid("data: an object was expected"));
    };
    let has_time = data.contains_key("timestamp");
    data.entry("userId").or_insert_with(|| defaults.user.as_str().into());
    data.entry("timestamp")
        .or_insert_with(|| Timestamp::from(defaults.now).to_string().into());
    let event = match event {
        name::ALERT => {
            data.insert("alertId".to_owned(), defaults.id.as_str().into());
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
    Ok(PublishedEvent { event, has_time })
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

#[cfg(test)]
mod tests;

//! Publication of events: one to one user, or several to many.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::code::ErrorCode;
use crate::id::EventId;

/// Event to publish: body of `POST /v1/users/{id}/events`, and item of a batch.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Publication<'a> {
    /// Name of the event.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// Payload of the event, unread. `userId` defaults to the user, `timestamp` to the time of the request, and `alertId` is generated.
    #[serde(borrow)]
    pub data: &'a RawValue,
    /// User that the event is published to. Required in a batch; elsewhere the path names it.
    pub user_id: Option<String>,
    /// Key under which a repeated request publishes no second event, 1 to 128 characters.
    pub idempotency_key: Option<String>,
}

/// Body of `POST /v1/events`.
#[derive(Debug, Clone, Deserialize)]
pub struct PublicationBatch<'a> {
    /// Events, 1 to 1,000, unread: one that is invalid fails alone. Each is a [`Publication`].
    #[serde(borrow)]
    pub events: Vec<&'a RawValue>,
}

/// Most events of a batch.
pub const MAX_BATCH: usize = 1_000;

/// Response to a published event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PublishedEvent<'a> {
    /// Id of the event, which clients receive with it.
    pub event_id: Cow<'a, EventId>,
}

/// Response to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchResults {
    /// Result of each event, in the sequence of the events.
    pub results: Vec<BatchResult>,
}

/// Result of one event of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum BatchResult {
    /// The event is published.
    #[serde(rename_all = "camelCase")]
    Published {
        /// Id of the event.
        event_id: EventId,
    },
    /// The event is refused, or not known to be published.
    Failed {
        /// Code of the error.
        error: ErrorCode,
        /// Sentence about the error, for a person.
        message: String,
    },
}

#[cfg(feature = "schema")]
mod schema;

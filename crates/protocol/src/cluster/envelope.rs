//! Events between nodes.

use serde::{Deserialize, Deserializer, Serialize};

use crate::event::{DeliveryClass, Event};
use crate::id::{ConnectionId, EventId, SessionId};
use crate::json::Json;
use crate::security::Alert;
use crate::time::Timestamp;
use crate::trace::{self, TraceParent};

/// Published event of a user: its JSON, and the fields that gateways need to deliver it without reading the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Version of this message, [`Envelope::VERSION`].
    pub v: u8,
    /// Id of the event. A second event with the same id is not published.
    pub id: EventId,
    /// Sockets of the user that receive the event.
    #[serde(default)]
    pub audience: Audience,
    /// Delivery class of the event.
    pub class: DeliveryClass,
    /// Name of the event on the wire.
    pub event: String,
    /// Payload of the event.
    pub data: Json,
    /// Trace context of the span that queued or published the event; none where that is not traced, or is not readable.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "trace::lenient"
    )]
    pub traceparent: Option<TraceParent>,
    /// Time of the publish on the clock of the bus, to the millisecond. The bus alone writes it.
    #[serde(rename = "at", default, skip_serializing, deserialize_with = "millis")]
    pub published_at: Option<Timestamp>,
}

impl Envelope {
    /// Current version.
    pub const VERSION: u8 = 1;

    /// Wraps an event for all sockets of its user.
    #[must_use]
    pub fn of(id: EventId, event: &Event) -> Self {
        Self {
            v: Self::VERSION,
            id,
            audience: Audience::User,
            class: event.class(),
            event: event.name().to_owned(),
            data: event.data(),
            traceparent: None,
            published_at: None,
        }
    }

    /// Wraps an alert for all sockets of its user, under the alert's own id.
    #[must_use]
    pub fn of_alert(alert: Alert) -> Self {
        Self::of(alert.alert_id.clone().into(), &Event::Alert(alert))
    }
}

fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    i64::deserialize(deserializer).map(|millis| Some(Timestamp::from_millis(millis)))
}

/// Sockets of a user that receive an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "to", content = "id")]
pub enum Audience {
    /// All sockets.
    #[default]
    User,
    /// Sockets of one session.
    Session(SessionId),
    /// One socket.
    Socket(ConnectionId),
}

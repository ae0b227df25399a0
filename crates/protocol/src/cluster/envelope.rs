//! An event on its way between nodes.

use serde::{Deserialize, Serialize};

use crate::event::{DeliveryClass, Event};
use crate::id::{ConnectionId, EventId, SessionId};
use crate::json::Json;
use crate::security::Alert;

/// What is published for a user: the event, already written, and what gateways need to deliver it without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The form of this message, [`Envelope::VERSION`].
    pub v: u8,
    /// Publishing the same id again does nothing.
    pub id: EventId,
    /// Which of the user's sockets it is for.
    #[serde(default)]
    pub audience: Audience,
    /// How it is delivered.
    pub class: DeliveryClass,
    /// The event's name on the wire.
    pub event: String,
    /// The payload.
    pub data: Json,
}

impl Envelope {
    /// The form written today.
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
        }
    }

    /// Wraps an alert for all sockets of its user, under the alert's own name.
    #[must_use]
    pub fn of_alert(alert: Alert) -> Self {
        Self::of(alert.alert_id.clone().into(), &Event::Alert(alert))
    }
}

/// For whom of the user's sockets an event is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "to", content = "id")]
pub enum Audience {
    /// All of them.
    #[default]
    User,
    /// Those of one session.
    Session(SessionId),
    /// One.
    Socket(ConnectionId),
}

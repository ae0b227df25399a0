//! What the server says unasked: events with a place in the user's order, and notices to one socket or session.

use serde::{Deserialize, Serialize};

use crate::account::{AccountStatus, StatusChanged};
use crate::code::{ErrorCode, TokenFault};
use crate::json::Json;
use crate::notification::Notification;
use crate::security::{Alert, SessionExpired, SessionWarning, SettingsUpdated, TwoFactorRequired};

/// An event with a place in its user's order: it is in the log, carries an offset and is replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `account:status_changed`
    StatusChanged(StatusChanged),
    /// `security:alert`
    Alert(Alert),
    /// `security:settings_updated`
    SettingsUpdated(SettingsUpdated),
    /// `notification:incoming`
    Notification(Notification),
}

impl Event {
    /// The event's name on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::StatusChanged(_) => name::STATUS_CHANGED,
            Self::Alert(_) => name::ALERT,
            Self::SettingsUpdated(_) => name::SETTINGS_UPDATED,
            Self::Notification(_) => name::NOTIFICATION,
        }
    }

    /// How it is delivered.
    #[must_use]
    pub fn class(&self) -> DeliveryClass {
        match self {
            Self::StatusChanged(change) if change.status == AccountStatus::Syncing => DeliveryClass::Feed,
            Self::StatusChanged(_) => DeliveryClass::State,
            Self::Alert(_) | Self::SettingsUpdated(_) => DeliveryClass::Critical,
            Self::Notification(_) => DeliveryClass::Feed,
        }
    }

    /// The payload, written.
    #[must_use]
    pub fn data(&self) -> Json {
        match self {
            Self::StatusChanged(data) => Json::of(data),
            Self::Alert(data) => Json::of(data),
            Self::SettingsUpdated(data) => Json::of(data),
            Self::Notification(data) => Json::of(data),
        }
    }
}

/// How an event is delivered when sockets are busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryClass {
    /// `security:*`: at once, never dropped.
    Critical,
    /// `account:*`: at once, never dropped.
    State,
    /// `notification:*` and status `syncing`: collected for a few seconds.
    Feed,
}

/// What one socket or one session is told. It has no place in the order, offset `null`, and is never replayed.
#[derive(Debug, Clone)]
pub enum Notice {
    /// `security:2fa_required`
    TwoFactorRequired(TwoFactorRequired),
    /// `security:session_warning`
    SessionWarning(SessionWarning),
    /// `security:session_expired`
    SessionExpired(SessionExpired),
    /// `resync`: what came between cannot be recovered; read the state again. Plain WebSocket only.
    Resync,
    /// `error`: what has no response event of its own.
    Error(ErrorNotice),
}

impl Notice {
    /// The event's name on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TwoFactorRequired(_) => name::TWO_FACTOR_REQUIRED,
            Self::SessionWarning(_) => name::SESSION_WARNING,
            Self::SessionExpired(_) => name::SESSION_EXPIRED,
            Self::Resync => name::RESYNC,
            Self::Error(_) => name::ERROR,
        }
    }

    /// The payload, written.
    #[must_use]
    pub fn data(&self) -> Json {
        match self {
            Self::TwoFactorRequired(data) => Json::of(data),
            Self::SessionWarning(data) => Json::of(data),
            Self::SessionExpired(data) => Json::of(data),
            Self::Resync => Json::of(&serde_json::Map::new()),
            Self::Error(data) => Json::of(data),
        }
    }
}

/// `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorNotice {
    /// The event that failed, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Why.
    pub error: ErrorCode,
    /// What is wrong with the token, with `unauthenticated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<TokenFault>,
    /// For a person.
    pub message: String,
}

/// The names of what the server says unasked.
pub mod name {
    /// An account changed its state.
    pub const STATUS_CHANGED: &str = "account:status_changed";
    /// Something touches the user's security.
    pub const ALERT: &str = "security:alert";
    /// Settings are different now.
    pub const SETTINGS_UPDATED: &str = "security:settings_updated";
    /// Something happened on a platform.
    pub const NOTIFICATION: &str = "notification:incoming";
    /// A second factor must be given.
    pub const TWO_FACTOR_REQUIRED: &str = "security:2fa_required";
    /// The session ends soon.
    pub const SESSION_WARNING: &str = "security:session_warning";
    /// The session is over.
    pub const SESSION_EXPIRED: &str = "security:session_expired";
    /// One socket too many. Between gateways only: its client is closed and not told.
    pub const SURPLUS: &str = "socket:surplus";
    /// Events were missed.
    pub const RESYNC: &str = "resync";
    /// A request failed that has no response event.
    pub const ERROR: &str = "error";
    /// Plain WebSocket: authenticated and live.
    pub const READY: &str = "ready";
    /// Plain WebSocket: the client's first message.
    pub const AUTH: &str = "auth";
}

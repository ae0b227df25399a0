//! Events that the server sends by itself: logged events of a user, and notices to one socket or session.

use serde::{Deserialize, Serialize};

use crate::account::{AccountStatus, StatusChanged};
use crate::code::{ErrorCode, TokenFault};
use crate::json::Json;
use crate::notification::Notification;
use crate::security::{Alert, SessionExpired, SessionWarning, SettingsUpdated, TwoFactorRequired};

/// Event of a user's event log. It carries an offset and is replayed to a client that resumes.
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

/// Names and payloads of all variants, each by one row. A variant without a row does not compile.
macro_rules! names {
    ($($variant:ident($payload:ty) => $name:expr),+ $(,)?) => {
        /// Names of all events.
        pub const NAMES: &[&'static str] = &[$($name),+];

        /// Name on the wire.
        #[must_use]
        pub fn name(&self) -> &'static str {
            match self {
                $(Self::$variant { .. } => $name),+
            }
        }

        /// Names of all events, each with the schema of its payload.
        #[cfg(feature = "schema")]
        pub fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($name, generator.subschema_for::<$payload>())),+]
        }
    };
}

impl Event {
    names! {
        StatusChanged(StatusChanged) => name::STATUS_CHANGED,
        Alert(Alert) => name::ALERT,
        SettingsUpdated(SettingsUpdated) => name::SETTINGS_UPDATED,
        Notification(Notification) => name::NOTIFICATION,
    }

    /// Delivery class of the event.
    #[must_use]
    pub fn class(&self) -> DeliveryClass {
        match self {
            Self::StatusChanged(change) if change.status == AccountStatus::Syncing => DeliveryClass::Feed,
            Self::StatusChanged(_) => DeliveryClass::State,
            Self::Alert(_) | Self::SettingsUpdated(_) => DeliveryClass::Critical,
            Self::Notification(_) => DeliveryClass::Feed,
        }
    }

    /// Payload as JSON.
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

/// Delivery class of an event, for busy sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryClass {
    /// `security:*`: sent at once, never dropped.
    Critical,
    /// `account:*`: sent at once, never dropped.
    State,
    /// `notification:*` and status `syncing`: sent in batches of a few seconds.
    Feed,
}

/// Event to one socket or one session. It is not logged, has offset `null`, and is never replayed.
#[derive(Debug, Clone)]
pub enum Notice {
    /// `security:2fa_required`
    TwoFactorRequired(TwoFactorRequired),
    /// `security:session_warning`
    SessionWarning(SessionWarning),
    /// `security:session_expired`
    SessionExpired(SessionExpired),
    /// `resync`: events are lost; the client reads the state again. Plain WebSocket only.
    Resync,
    /// `error`: failure of a request without a response event.
    Error(ErrorNotice),
}

impl Notice {
    names! {
        TwoFactorRequired(TwoFactorRequired) => name::TWO_FACTOR_REQUIRED,
        SessionWarning(SessionWarning) => name::SESSION_WARNING,
        SessionExpired(SessionExpired) => name::SESSION_EXPIRED,
        Resync(Resync) => name::RESYNC,
        Error(ErrorNotice) => name::ERROR,
    }

    /// Payload as JSON.
    #[must_use]
    pub fn data(&self) -> Json {
        match self {
            Self::TwoFactorRequired(data) => Json::of(data),
            Self::SessionWarning(data) => Json::of(data),
            Self::SessionExpired(data) => Json::of(data),
            Self::Resync => Json::of(&Resync {}),
            Self::Error(data) => Json::of(data),
        }
    }
}

/// `resync`: events are lost, and the client reads the state again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resync {}

/// `error`: failure of a request without an answer of its own, or refusal of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorNotice {
    /// Event that failed, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Code of the failure.
    pub error: ErrorCode,
    /// Fault of the token, with `unauthenticated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<TokenFault>,
    /// Message for a person.
    pub message: String,
}

/// Names of the events that the server sends by itself.
pub mod name {
    /// The status of an account changed.
    pub const STATUS_CHANGED: &str = "account:status_changed";
    /// An alert was raised.
    pub const ALERT: &str = "security:alert";
    /// The settings changed.
    pub const SETTINGS_UPDATED: &str = "security:settings_updated";
    /// A platform sent a notification.
    pub const NOTIFICATION: &str = "notification:incoming";
    /// A second factor is required.
    pub const TWO_FACTOR_REQUIRED: &str = "security:2fa_required";
    /// The session ends soon.
    pub const SESSION_WARNING: &str = "security:session_warning";
    /// The session has ended.
    pub const SESSION_EXPIRED: &str = "security:session_expired";
    /// The user has too many sockets. Between gateways only: the surplus socket is closed without this event.
    pub const SURPLUS: &str = "socket:surplus";
    /// Events are lost.
    pub const RESYNC: &str = "resync";
    /// A request without a response event failed.
    pub const ERROR: &str = "error";
    /// Plain WebSocket: the socket is authenticated and live.
    pub const READY: &str = "ready";
    /// Plain WebSocket: first message of the client.
    pub const AUTH: &str = "auth";
}

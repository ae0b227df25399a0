//! Webhooks to the application: security events of users that its back end receives, in the form of Standard Webhooks 1.0.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cluster::envelope::{Audience, Envelope};
use crate::event::{DeliveryClass, name};
use crate::json::Json;
use crate::time::Timestamp;

/// Defines the types with their names and events.
macro_rules! types {
    ($($(#[$doc:meta])+ $kind:ident => $name:literal, $event:expr;)+) => {
        /// Type of a webhook: the name of its event, with a full stop as Standard Webhooks recommends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AppWebhookType {
            $($(#[$doc])+ $kind,)+
        }

        impl AppWebhookType {
            /// All types.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$kind),+];

            /// Name, `type` of the body.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// Name of the event on clients' sockets.
            #[must_use]
            pub fn event(self) -> &'static str {
                match self {
                    $(Self::$kind => $event,)+
                }
            }
        }
    };
}

types! {
    /// The status of an account changed, except to `syncing`.
    AccountStatusChanged => "account.status_changed", name::STATUS_CHANGED;
    /// An alert was raised.
    SecurityAlert => "security.alert", name::ALERT;
    /// The security settings changed.
    SecuritySettingsUpdated => "security.settings_updated", name::SETTINGS_UPDATED;
    /// A session was ended.
    SecuritySessionExpired => "security.session_expired", name::SESSION_EXPIRED;
}

impl AppWebhookType {
    /// Type of the webhook of an event; none for an event that the application does not receive: platforms' notifications, the progress of
    /// a sync, and answers to single sockets.
    #[must_use]
    pub fn of(event: &Envelope) -> Option<Self> {
        let kind = Self::ALL.into_iter().find(|kind| kind.event() == event.event)?;
        (event.class != DeliveryClass::Feed).then_some(kind)
    }
}

impl fmt::Display for AppWebhookType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is no type of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is one of account.status_changed, security.alert, security.settings_updated, security.session_expired")]
pub struct UnknownAppWebhookType;

impl FromStr for AppWebhookType {
    type Err = UnknownAppWebhookType;

    fn from_str(name: &str) -> Result<Self, UnknownAppWebhookType> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        kind.ok_or(UnknownAppWebhookType)
    }
}

/// `data` of the webhook of an event: that of the event, and the session of an event for one session.
#[must_use]
pub fn data(event: &Envelope) -> Json {
    let Audience::Session(session) = &event.audience else {
        return event.data.clone();
    };
    match event.data.read::<Map<String, Value>>() {
        Ok(mut data) => {
            data.insert("sessionId".to_owned(), Value::from(session.as_str()));
            Json::of(&data)
        }
        // No event of Postern has another form.
        Err(_) => event.data.clone(),
    }
}

/// Body of a webhook.
#[derive(Debug, Clone, Serialize)]
pub struct AppWebhookBody<'a> {
    /// Name of an [`AppWebhookType`], or [`TEST`].
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// Time of the event.
    pub timestamp: Timestamp,
    /// Payload of the event, with the same fields as on clients' sockets.
    pub data: &'a Json,
}

impl<'a> AppWebhookBody<'a> {
    /// Body with the time that the payload states, else with that of its commit. Equal for every attempt.
    #[must_use]
    pub fn new(kind: &'a str, data: &'a Json, committed_at: Timestamp) -> Self {
        #[derive(Deserialize)]
        struct Stated {
            timestamp: Timestamp,
        }
        let stated = data.read::<Stated>().map(|stated| stated.timestamp);
        Self {
            kind,
            timestamp: stated.unwrap_or(committed_at),
            data,
        }
    }
}

/// `type` of the webhook that an operator sends to try the receiver.
pub const TEST: &str = "webhook.test";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountStatus, AccountType, StatusChanged};
    use crate::event::Event;
    use crate::id::{EventId, SessionId, UserId};

    fn status_changed(status: AccountStatus) -> Envelope {
        let change = StatusChanged {
            user_id: UserId::new("GEN-001").unwrap(),
            account_type: AccountType::Github,
            status,
            timestamp: Timestamp::from_millis(1_795_451_460_007),
            metadata: None,
        };
        Envelope::of(EventId::new("e-1").unwrap(), &Event::StatusChanged(change))
    }

    #[test]
    fn every_type_is_its_event_with_a_full_stop() {
        for kind in AppWebhookType::ALL {
            assert_eq!(kind.as_str(), kind.event().replace(':', "."));
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        let listed = UnknownAppWebhookType.to_string();
        assert!(AppWebhookType::ALL.iter().all(|kind| listed.contains(kind.as_str())));
        assert_eq!("security:alert".parse::<AppWebhookType>(), Err(UnknownAppWebhookType));
    }

    #[test]
    fn progress_of_a_sync_and_answers_to_sockets_have_no_type() {
        let changed = status_changed(AccountStatus::Error);
        assert_eq!(AppWebhookType::of(&changed), Some(AppWebhookType::AccountStatusChanged));
        assert_eq!(AppWebhookType::of(&status_changed(AccountStatus::Syncing)), None);
        for event in ["account:connect_response", name::NOTIFICATION] {
            let event = Envelope {
                event: event.to_owned(),
                ..changed.clone()
            };
            assert_eq!(AppWebhookType::of(&event), None);
        }
    }

    #[test]
    fn body_has_the_time_of_its_event_and_the_session_that_it_concerns() {
        let event = Envelope {
            audience: Audience::Session(SessionId::new("phone-1").unwrap()),
            ..status_changed(AccountStatus::Error)
        };
        let data = data(&event);
        let body = serde_json::to_value(AppWebhookBody::new("x", &data, Timestamp::from_millis(0))).unwrap();
        assert_eq!(body["timestamp"], body["data"]["timestamp"]);
        assert_eq!(body["data"]["sessionId"], "phone-1");
        assert_eq!(body["data"]["userId"], "GEN-001");
        let (none, committed_at) = (Json::parse("{}".to_owned()).unwrap(), Timestamp::from_millis(7));
        assert_eq!(AppWebhookBody::new("x", &none, committed_at).timestamp, committed_at);
    }
}

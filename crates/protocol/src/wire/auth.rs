//! What a client says of itself when it connects, the same in both worlds.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::command::{self, InvalidCommand};
use crate::secret::Secret;

/// Who a client claims to be, and how it wants to be served. Nothing of it is verified yet.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The access token; absent when it came in a header, or not at all.
    pub token: Option<Secret>,
    /// The device's own lasting name for itself.
    pub device_id: Option<String>,
    /// What the user calls the device.
    pub device_name: Option<String>,
    /// Whether feed events may be held back for a few seconds and sent together; on unless said otherwise.
    pub batching: bool,
    /// Whether events end in their offset (Socket.IO only); on unless said otherwise.
    pub recovery: bool,
    /// Where the client left off.
    pub resume: Option<Resume>,
}

/// The place a client comes back to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Resume {
    /// The secret name of its old seat: the `pid` of Socket.IO, the `session` of `ready`.
    pub session: String,
    /// The last event it has handled, as it was told; absent when it saw none yet.
    #[serde(default, deserialize_with = "unless_empty")]
    pub offset: Option<String>,
}

impl Auth {
    /// Reads the payload of a Socket.IO CONNECT. Unknown fields are ignored and so are known ones of a wrong type: a client
    /// library sends `pid` and `offset` by itself, and the only refusal it understands is one of the token. Options may be
    /// texts: those of Java and .NET know nothing else here.
    #[must_use]
    pub fn of_socketio(auth: &Value) -> Self {
        let text = |field: &str| auth.get(field).and_then(Value::as_str).map(ToOwned::to_owned);
        let unless_off = |field: &str| !auth.get(field).is_some_and(|value| *value == false || value == "false");
        Self {
            token: text("token").map(Secret::new),
            device_id: text("deviceId"),
            device_name: text("deviceName"),
            batching: unless_off("batching"),
            recovery: unless_off("recovery"),
            resume: text("pid").map(|session| Resume {
                session,
                offset: text("offset").filter(|offset| !offset.is_empty()),
            }),
        }
    }

    /// Reads the payload of the native `auth` event. Unknown fields are ignored, no payload counts as an empty one.
    ///
    /// # Errors
    /// [`InvalidCommand`] when a known field has a wrong type; it names the field.
    pub fn of_native(data: &Value) -> Result<Self, InvalidCommand> {
        let native: NativeAuth = command::read(data.clone())?;
        Ok(Self {
            token: native.token,
            device_id: native.device_id,
            device_name: native.device_name,
            batching: native.batching.unwrap_or(true),
            recovery: native.recovery.unwrap_or(true),
            resume: native.resume,
        })
    }
}

/// Some languages have no absent text: an empty one stands for it.
fn unless_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// `auth` as it stands in the frame.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NativeAuth {
    token: Option<Secret>,
    device_id: Option<String>,
    device_name: Option<String>,
    batching: Option<bool>,
    recovery: Option<bool>,
    resume: Option<Resume>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_client_that_says_nothing_gets_batching_and_recovery() {
        for auth in [Auth::of_socketio(&Value::Null), Auth::of_native(&Value::Null).unwrap()] {
            assert!(auth.token.is_none() && auth.resume.is_none());
            assert!(auth.batching && auth.recovery);
        }
    }

    #[test]
    fn both_worlds_say_the_same() {
        let socketio = Auth::of_socketio(&json!({
            "pid": "gXcO", "offset": "0badcafe-7", "token": "t", "deviceId": "d", "deviceName": "n",
            "batching": false, "recovery": false, "theme": "dark",
        }));
        let native = Auth::of_native(&json!({
            "resume": {"session": "gXcO", "offset": "0badcafe-7"}, "token": "t", "deviceId": "d", "deviceName": "n",
            "batching": false, "recovery": false, "theme": "dark",
        }))
        .unwrap();
        for auth in [socketio, native] {
            assert_eq!(auth.token.unwrap().expose(), "t");
            assert_eq!(
                (auth.device_id.as_deref(), auth.device_name.as_deref()),
                (Some("d"), Some("n"))
            );
            assert!(!auth.batching && !auth.recovery);
            let resume = auth.resume.unwrap();
            assert_eq!(
                (resume.session.as_str(), resume.offset.as_deref()),
                ("gXcO", Some("0badcafe-7"))
            );
        }
    }

    #[test]
    fn a_client_that_saw_no_event_yet_has_no_offset() {
        for offset in [
            json!({"pid": "gXcO"}),
            json!({"pid": "gXcO", "offset": null}),
            json!({"pid": "gXcO", "offset": 7}),
            // A Go client, whose texts are never absent.
            json!({"pid": "gXcO", "offset": ""}),
        ] {
            let resume = Auth::of_socketio(&offset).resume.unwrap();
            assert_eq!((resume.session.as_str(), resume.offset), ("gXcO", None));
        }
        for resume in [json!({"session": "gXcO"}), json!({"session": "gXcO", "offset": ""})] {
            let native = Auth::of_native(&json!({ "resume": resume })).unwrap();
            assert_eq!(native.resume.unwrap().offset, None);
        }
    }

    #[test]
    fn socketio_options_may_be_texts() {
        let auth = Auth::of_socketio(&json!({"batching": "false", "recovery": "false"}));
        assert!(!auth.batching && !auth.recovery);
        let auth = Auth::of_socketio(&json!({"batching": "true", "recovery": "true"}));
        assert!(auth.batching && auth.recovery);
    }

    #[test]
    fn socketio_ignores_what_it_cannot_read() {
        let auth = Auth::of_socketio(&json!({"token": 7, "pid": {}, "offset": "x", "batching": "no"}));
        assert!(auth.token.is_none() && auth.resume.is_none() && auth.batching);
    }

    #[test]
    fn a_native_client_is_told_the_wrong_field() {
        let refusal = |data| Auth::of_native(&data).unwrap_err().to_string();
        assert_eq!(refusal(json!({"token": 271_828})), "token: a string was expected");
        assert_eq!(refusal(json!({"resume": {}})), "resume.session: this field is required");
        assert_eq!(refusal(json!({"batching": "no"})), "batching: a boolean was expected");
        assert_eq!(refusal(json!("token")), "data: an object was expected");
    }
}

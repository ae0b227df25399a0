//! Authentication payload of a client, the same in all dialects.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::command::{self, InvalidCommand};
use crate::secret::Secret;

/// Credentials and options of a client, not yet verified.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub struct Auth {
    /// The access token; absent when it came in a header, or not at all.
    pub token: Option<Secret>,
    /// The device's own lasting name for itself.
    pub device_id: Option<String>,
    /// Name that the user gives the device.
    pub device_name: Option<String>,
    /// True if feed events may be delayed for a few seconds and sent as a batch; the default.
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub batching: bool,
    /// True if events carry their offset (Socket.IO only); the default.
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub recovery: bool,
    /// Resume state of the client's last socket.
    pub resume: Option<Resume>,
}

/// Resume state of a client.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// Resume token of the old socket: the `pid` of Socket.IO, the `resumeToken` of `ready`.
    pub resume_token: String,
    /// Offset of the last event that the client has handled; absent before the first one.
    #[serde(default, deserialize_with = "unless_empty")]
    pub offset: Option<String>,
}

impl Auth {
    /// Reads the payload of a Socket.IO CONNECT. Unknown fields are ignored and so are known ones of a wrong type: a client
    /// library sends `pid` and `offset` by itself, and handles no other refusal than that of the token. Options may be texts:
    /// the libraries of Java and .NET send nothing else here.
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
            resume: text("pid").map(|resume_token| Resume {
                resume_token,
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

/// Reads an empty text as an absent one: some languages have no absent text.
fn unless_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// Payload of the native `auth` event.
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
    fn client_without_options_gets_batching_and_recovery() {
        for auth in [Auth::of_socketio(&Value::Null), Auth::of_native(&Value::Null).unwrap()] {
            assert!(auth.token.is_none() && auth.resume.is_none());
            assert!(auth.batching && auth.recovery);
        }
    }

    #[test]
    fn socketio_and_native_payloads_are_read_alike() {
        let socketio = Auth::of_socketio(&json!({
            "pid": "gXcO", "offset": "0badcafe-7", "token": "t", "deviceId": "d", "deviceName": "n",
            "batching": false, "recovery": false, "theme": "dark",
        }));
        let native = Auth::of_native(&json!({
            "resume": {"resumeToken": "gXcO", "offset": "0badcafe-7"}, "token": "t", "deviceId": "d", "deviceName": "n",
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
                (resume.resume_token.as_str(), resume.offset.as_deref()),
                ("gXcO", Some("0badcafe-7"))
            );
        }
    }

    #[test]
    fn missing_or_empty_offset_is_absent() {
        for offset in [
            json!({"pid": "gXcO"}),
            json!({"pid": "gXcO", "offset": null}),
            json!({"pid": "gXcO", "offset": 7}),
            // Go clients send an empty text.
            json!({"pid": "gXcO", "offset": ""}),
        ] {
            let resume = Auth::of_socketio(&offset).resume.unwrap();
            assert_eq!((resume.resume_token.as_str(), resume.offset), ("gXcO", None));
        }
        for resume in [
            json!({"resumeToken": "gXcO"}),
            json!({"resumeToken": "gXcO", "offset": ""}),
        ] {
            let native = Auth::of_native(&json!({ "resume": resume })).unwrap();
            assert_eq!(native.resume.unwrap().offset, None);
        }
    }

    #[test]
    fn socketio_options_are_read_from_texts() {
        let auth = Auth::of_socketio(&json!({"batching": "false", "recovery": "false"}));
        assert!(!auth.batching && !auth.recovery);
        let auth = Auth::of_socketio(&json!({"batching": "true", "recovery": "true"}));
        assert!(auth.batching && auth.recovery);
    }

    #[test]
    fn socketio_fields_of_a_wrong_type_are_ignored() {
        let auth = Auth::of_socketio(&json!({"token": 7, "pid": {}, "offset": "x", "batching": "no"}));
        assert!(auth.token.is_none() && auth.resume.is_none() && auth.batching);
    }

    #[test]
    fn native_refusal_names_the_wrong_field() {
        let refusal = |data| Auth::of_native(&data).unwrap_err().to_string();
        assert_eq!(refusal(json!({"token": 271_828})), "token: a string was expected");
        assert_eq!(
            refusal(json!({"resume": {}})),
            "resume.resumeToken: this field is required"
        );
        assert_eq!(refusal(json!({"batching": "no"})), "batching: a boolean was expected");
        assert_eq!(refusal(json!("token")), "data: an object was expected");
    }
}

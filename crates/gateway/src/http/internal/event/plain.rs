//! Reading of publish requests from their text, without a tree of values. Whatever is not exactly what the types say is left to the
//! lenient way: nothing is accepted here that it would refuse or read differently.

use protocol::api;
use protocol::event::{Event, name};
use protocol::json::Json;
use protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{Defaults, PublishedEvent};

/// Parses a body that is what the type says.
pub(super) fn publication(body: &[u8]) -> Option<api::Publication<'_>> {
    // A field that is skipped is not checked for UTF-8, and a text with NUL is refused in some fields.
    let text = str::from_utf8(body).ok()?;
    if text.contains(NUL) || !text.trim_start().starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// Reads the event of this name from the text of its payload.
pub(super) fn event(event: &str, data: &str, defaults: &Defaults<'_>) -> Option<PublishedEvent> {
    let (event, has_time) = match event {
        name::STATUS_CHANGED => event_of(Event::StatusChanged, payload(data, defaults, false)?),
        name::NOTIFICATION => event_of(Event::Notification, payload(data, defaults, false)?),
        name::ALERT => event_of(Event::Alert, payload(data, defaults, true)?),
        _ => return None,
    };
    Some(PublishedEvent { event, has_time })
}

fn event_of<T>(event: fn(T) -> Event, (payload, has_time): (T, bool)) -> (Event, bool) {
    (event(payload), has_time)
}

/// Payload, and whether it has the time of the event.
fn payload<T: DeserializeOwned>(data: &str, defaults: &Defaults<'_>, is_alert: bool) -> Option<(T, bool)> {
    /// Fields that the payload has. `null` counts as missing: the field is then there twice below, which is an error.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Given {
        user_id: Option<IgnoredAny>,
        timestamp: Option<IgnoredAny>,
    }
    // serde reads a struct from an array too.
    let fields = data.strip_prefix('{')?;
    let given: Given = serde_json::from_str(data).ok()?;
    let mut text = String::with_capacity(data.len() + DEFAULTS_SIZE);
    text.push('{');
    if is_alert {
        push(&mut text, "alertId", defaults.id.as_str());
    }
    if given.user_id.is_none() {
        push(&mut text, "userId", defaults.user.as_str());
    }
    if given.timestamp.is_none() {
        push(&mut text, "timestamp", &Timestamp::from(defaults.now).to_string());
    }
    text.push_str(fields);
    let payload = serde_json::from_str(&text).ok()?;
    Some((payload, given.timestamp.is_some()))
}

fn push(text: &mut String, name: &str, value: &str) {
    for part in ["\"", name, "\":", Json::of(value).as_str(), ","] {
        text.push_str(part);
    }
}

/// NUL in a JSON text, which has no other way to write it.
const NUL: &str = r"\u0000";
/// Bytes of the defaults, usually.
const DEFAULTS_SIZE: usize = 160;

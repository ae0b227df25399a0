//! Payload of an event, with the id of the event as its first field: Socket.IO has no other place that all client libraries show.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::json::Json;
use crate::wire::Push;
use crate::wire::text::append;

/// Payload as a client receives it. One that is no object has no id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload<'a> {
    event_id: Option<&'a str>,
    data: &'a Json,
}

impl<'a> Payload<'a> {
    pub(super) fn of(push: &Push<'a>) -> Self {
        Self {
            event_id: push.event_id,
            data: push.data,
        }
    }

    /// Appends the payload as JSON.
    pub(super) fn append_json(&self, out: &mut Vec<u8>) {
        let data = self.data.as_str();
        let Some((id, fields)) = self.event_id.zip(data.strip_prefix('{')) else {
            out.extend_from_slice(data.as_bytes());
            return;
        };
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(EVENT_ID.as_bytes());
        out.extend_from_slice(b"\":");
        append(out, id);
        if !fields.trim_start().starts_with('}') {
            out.push(b',');
        }
        out.extend_from_slice(fields.as_bytes());
    }
}

impl Serialize for Payload<'_> {
    /// Writes the payload into a binary format.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(id) = self.event_id else {
            return self.data.serialize(serializer);
        };
        match self.data.read().unwrap_or_default() {
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len() + 1))?;
                map.serialize_entry(EVENT_ID, id)?;
                for (name, value) in &fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            other => other.serialize(serializer),
        }
    }
}

const EVENT_ID: &str = "eventId";

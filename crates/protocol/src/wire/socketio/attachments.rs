//! Binary attachments of the default parser: a header packet with placeholders, then one binary message for each.

use serde_json::Value;

use super::Incoming;
use crate::wire::FrameError;

/// Most attachments of one packet, as in the official parser.
pub(super) const MAX_ATTACHMENTS: usize = 10;

/// Largest total of attachments, in bytes: as large as one message may be.
const MAX_BYTES: usize = 64 * 1024;

/// Packet with missing attachments. They are counted and dropped: no command takes bytes, and each placeholder is null already.
#[derive(Debug)]
pub(super) struct Assembly {
    incoming: Incoming,
    missing: usize,
    bytes: usize,
}

impl Assembly {
    pub(super) fn new(incoming: Incoming, attachments: usize) -> Self {
        Self {
            incoming,
            missing: attachments,
            bytes: 0,
        }
    }

    /// Counts an attachment; true when it was the last.
    pub(super) fn attach(&mut self, attachment: &[u8]) -> Result<bool, FrameError> {
        self.bytes = self.bytes.saturating_add(attachment.len());
        if self.bytes > MAX_BYTES {
            return Err(FrameError("the attachments are larger than 64 KiB"));
        }
        self.missing = self.missing.saturating_sub(1);
        Ok(self.missing == 0)
    }

    /// Decoded packet.
    pub(super) fn incoming(self) -> Incoming {
        self.incoming
    }
}

/// Replaces every placeholder, `{"_placeholder": true, "num": 0}`, by null; each must name one of the attachments. An
/// attachment that no placeholder names is allowed.
pub(super) fn clear_placeholders(data: &mut Value, attachments: usize) -> Result<(), FrameError> {
    match data {
        Value::Array(items) => items
            .iter_mut()
            .try_for_each(|item| clear_placeholders(item, attachments)),
        Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
            let number = fields.get("num").and_then(Value::as_u64).map(usize::try_from);
            if !number.is_some_and(|number| number.is_ok_and(|number| number < attachments)) {
                return Err(FrameError("a placeholder for no attachment"));
            }
            *data = Value::Null;
            Ok(())
        }
        Value::Object(fields) => fields
            .values_mut()
            .try_for_each(|field| clear_placeholders(field, attachments)),
        _ => Ok(()),
    }
}

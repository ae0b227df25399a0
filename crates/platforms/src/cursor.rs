//! Cursor of a sync or an inbox, stored by the worker between two reads.

use serde::Deserialize;
use serde_json::Value;

/// Stored cursor. None if there is none yet, or if another release wrote it in a format that this one cannot read: the next read
/// starts from the beginning and repeats notifications under the same ids.
pub(crate) fn stored<'a, T: Deserialize<'a>>(cursor: Option<&'a Value>) -> Option<T> {
    T::deserialize(cursor?).ok()
}

//! Cursor of a sync or an inbox, stored by the worker between two reads.

use serde::Deserialize;
use serde_json::Value;

/// Stored cursor. None if there is none yet, or if another release wrote it in a format that this one cannot read: the next read
/// starts from the beginning and repeats notifications under the same ids.
pub(crate) fn stored<'a, T: Deserialize<'a>>(cursor: Option<&'a Value>) -> Option<T> {
    T::deserialize(cursor?).ok()
}

/// Reports whether a checked-in cursor is read, and written as it was. A cursor of another format is no cursor for the release before.
#[cfg(test)]
pub(crate) fn is_in_format<T: serde::Serialize + serde::de::DeserializeOwned>(checked_in: &Value) -> bool {
    let read: Option<T> = stored(Some(checked_in));
    read.is_some_and(|cursor| serde_json::to_value(cursor).is_ok_and(|written| written == *checked_in))
}

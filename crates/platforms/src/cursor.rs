//! Where reading goes on next time, as a platform's file wrote it down.

use serde::Deserialize;
use serde_json::Value;

/// What was kept; none where there is nothing yet, or what another release wrote and this one cannot read. Starting over repeats news
/// under their old ids.
pub(crate) fn kept<'a, T: Deserialize<'a>>(cursor: Option<&'a Value>) -> Option<T> {
    T::deserialize(cursor?).ok()
}

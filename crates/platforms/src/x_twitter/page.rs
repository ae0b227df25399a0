//! Page of a timeline.

use crate::platform::PlatformNotification;

/// Page, newest first.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    /// Token of the page after this one, which is older.
    pub(super) next: Option<String>,
}

/// Item with an id that increases with time.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: u64,
    pub(super) notification: PlatformNotification,
}

//! Cursor of an account, and the selection of new items.

use serde::{Deserialize, Serialize};

use super::page::{Item, Page};
use crate::platform::PlatformNotification;

/// Cursor of an account. Items from before the first sync are not reported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Newest reported post, 0 if there was none; none before the first sync. It stays while pages are followed: each of them is
    /// requested with it.
    pub(super) since: Option<u64>,
    /// Newest post of the pages that are being followed.
    newest: u64,
    /// Token of the next page.
    pub(super) next: Option<String>,
    /// Newest reported direct message; none before the first sync.
    last_message: Option<u64>,
}

/// Result of a sync.
#[derive(Debug)]
pub(super) struct Read {
    /// Notifications, oldest first.
    pub(super) notifications: Vec<PlatformNotification>,
    pub(super) cursor: Cursor,
}

impl Cursor {
    /// True if there are more posts to read.
    pub(super) fn has_more(&self) -> bool {
        self.next.is_some()
    }

    pub(super) fn read(self, mentions: Page, messages: Page) -> Read {
        let newest = newest_of(&mentions).max(self.newest);
        let last_message = newest_of(&messages).max(self.last_message.unwrap_or_default());
        let next = self.since.and(mentions.next);
        let cursor = Self {
            since: match (self.since, &next) {
                (Some(since), Some(_)) => Some(since),
                (since, _) => Some(newest.max(since.unwrap_or_default())),
            },
            newest: if next.is_some() { newest } else { 0 },
            next,
            last_message: Some(last_message),
        };
        let mut fresh = after(self.since, mentions.items);
        fresh.extend(after(self.last_message, messages.items));
        fresh.sort_by_key(|item| (item.notification.at, item.id));
        Read {
            notifications: fresh.into_iter().map(|item| item.notification).collect(),
            cursor,
        }
    }
}

fn after(last_seen: Option<u64>, items: Vec<Item>) -> Vec<Item> {
    let Some(last_seen) = last_seen else { return Vec::new() };
    items.into_iter().filter(|item| item.id > last_seen).collect()
}

fn newest_of(page: &Page) -> u64 {
    page.items.iter().map(|item| item.id).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use protocol::notification::NotificationType;
    use protocol::time::Timestamp;

    use super::*;

    fn page(ids: &[u64], next: Option<&str>) -> Page {
        let item = |&id: &u64| Item {
            id,
            notification: PlatformNotification {
                id: id.to_string(),
                kind: NotificationType::Mention,
                content: String::new(),
                sender: String::new(),
                at: Timestamp::from_millis(i64::try_from(id).unwrap()),
            },
        };
        Page {
            items: ids.iter().map(item).collect(),
            next: next.map(str::to_owned),
        }
    }

    fn ids(read: &Read) -> Vec<&str> {
        read.notifications
            .iter()
            .map(|notification| notification.id.as_str())
            .collect()
    }

    #[test]
    fn first_sync_reports_nothing_and_follows_no_pages() {
        let read = Cursor::default().read(page(&[9, 8], Some("older")), page(&[7], None));
        assert_eq!(ids(&read), Vec::<&str>::new());
        assert_eq!((read.cursor.since, read.cursor.has_more()), (Some(9), false));
        let read = read.cursor.read(page(&[10], None), page(&[11, 7], None));
        assert_eq!(ids(&read), ["10", "11"]);
    }

    #[test]
    fn first_item_of_an_empty_account_is_reported() {
        let empty = Cursor::default().read(page(&[], None), page(&[], None));
        let read = empty.cursor.read(page(&[1], None), page(&[2], None));
        assert_eq!(ids(&read), ["1", "2"]);
    }

    #[test]
    fn last_seen_id_stays_until_the_last_page_is_read() {
        let cursor = Cursor::default().read(page(&[9], None), page(&[], None)).cursor;
        // A larger number may be the shorter text.
        let first = cursor.read(page(&[100, 99], Some("older")), page(&[], None));
        assert_eq!(ids(&first), ["99", "100"]);
        assert_eq!(
            (first.cursor.since, first.cursor.next.as_deref()),
            (Some(9), Some("older"))
        );
        let last = first.cursor.read(page(&[11, 10], None), page(&[], None));
        assert_eq!(ids(&last), ["10", "11"]);
        assert_eq!((last.cursor.since, last.cursor.has_more()), (Some(100), false));
    }

    #[test]
    fn cursor_is_stored_in_the_checked_in_format() {
        let stored = serde_json::json!({ "since": 7, "newest": 9, "next": "page-2", "last_message": null });
        assert!(crate::cursor::is_in_format::<Cursor>(&stored));
    }
}

//! How far an account has been read, and what of a look is news.

use serde::{Deserialize, Serialize};

use super::inbox::{Item, Page};
use crate::platform::PlatformNotification;

/// Where the next look begins. What was there before the first look is no news.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Posts after this one are news, 0 where there was none; none before the first look. It stays while pages are followed: each of
    /// them is asked for with it.
    pub(super) since: Option<u64>,
    /// The newest post of the pages that are being followed.
    newest: u64,
    /// The page to follow.
    pub(super) next: Option<String>,
    /// Direct messages after this one are news; none before the first look.
    last_message: Option<u64>,
}

/// What a look brought.
#[derive(Debug)]
pub(super) struct Read {
    /// Oldest first.
    pub(super) notifications: Vec<PlatformNotification>,
    pub(super) cursor: Cursor,
}

impl Cursor {
    /// Whether there are more posts to read.
    pub(super) fn goes_on(&self) -> bool {
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
        fresh.sort_by_key(|item| (item.notifications.at, item.id));
        Read {
            notifications: fresh.into_iter().map(|item| item.notifications).collect(),
            cursor,
        }
    }
}

fn after(mark: Option<u64>, items: Vec<Item>) -> Vec<Item> {
    let Some(mark) = mark else { return Vec::new() };
    items.into_iter().filter(|item| item.id > mark).collect()
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
            notifications: PlatformNotification {
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
            .map(|notifications| notifications.id.as_str())
            .collect()
    }

    #[test]
    fn what_was_there_before_the_first_look_is_no_news_and_its_pages_are_not_followed() {
        let read = Cursor::default().read(page(&[9, 8], Some("older")), page(&[7], None));
        assert_eq!(ids(&read), Vec::<&str>::new());
        assert_eq!((read.cursor.since, read.cursor.goes_on()), (Some(9), false));
        let read = read.cursor.read(page(&[10], None), page(&[11, 7], None));
        assert_eq!(ids(&read), ["10", "11"]);
    }

    #[test]
    fn the_first_of_an_empty_account_is_news() {
        let empty = Cursor::default().read(page(&[], None), page(&[], None));
        let read = empty.cursor.read(page(&[1], None), page(&[2], None));
        assert_eq!(ids(&read), ["1", "2"]);
    }

    #[test]
    fn the_mark_stays_until_the_last_page_is_read() {
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
        assert_eq!((last.cursor.since, last.cursor.goes_on()), (Some(100), false));
    }
}

//! Cursor of an inbox. Every event is reported once, although GitHub lists the newest first, dates events to the second, and may
//! split them into several pages.
//!
//! The first page is always requested by the same URL, because the validator of a conditional request belongs to one URL. If that
//! page does not reach back to the last event seen, the pages after it are read, one per sync, and only then does the cursor
//! advance.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

use super::notifications::Thread;
use crate::untrusted::Id;

/// Cursor of an inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// `Last-Modified` of the first page, byte for byte.
    validator: Option<String>,
    /// Last event that was reported; so are all before it.
    seen: Option<LastSeen>,
    /// Pages after the first, while they are being read.
    pagination: Option<Pagination>,
}

/// Second, and the threads of that second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LastSeen {
    at: Timestamp,
    threads: BTreeSet<Id>,
}

/// Pagination towards older events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pagination {
    /// Time that the next page must be older than.
    before: Timestamp,
    /// End of the previous page. Its last second is listed again, as it may have more threads.
    previous_end: LastSeen,
    /// Last event seen once the pagination is complete.
    newest_seen: Option<LastSeen>,
    /// Validator that belongs to `newest_seen`.
    validator: Option<String>,
}

/// Page of the inbox.
#[derive(Debug)]
pub(super) struct Page {
    /// Threads, newest first.
    pub(super) threads: Vec<Thread>,
    pub(super) validator: Option<String>,
    /// True if GitHub has older ones.
    pub(super) has_older: bool,
}

/// Result of reading a page.
#[derive(Debug)]
pub(super) struct Read {
    /// Threads not reported before, newest first.
    pub(super) fresh: Vec<Thread>,
    pub(super) cursor: Cursor,
    /// True if another page is left to read.
    pub(super) more: bool,
}

impl Cursor {
    /// Query parameter `before` of the next page; none for the first page.
    pub(super) fn before(&self) -> Option<String> {
        let time = UtcDateTime::from_unix_timestamp(self.pagination.as_ref()?.before.as_secs()).ok()?;
        time.format(&Rfc3339).ok()
    }

    /// Validator of the first page; later pages are requested without a condition.
    pub(super) fn validator(&self) -> Option<&str> {
        if self.pagination.is_some() {
            None
        } else {
            self.validator.as_deref()
        }
    }

    /// Applies the page that was requested.
    pub(super) fn read(self, page: Page) -> Read {
        let reached_seen = page.threads.iter().any(|thread| self.has_seen(thread));
        let (newest, oldest) = (
            LastSeen::first_of(page.threads.iter()),
            LastSeen::first_of(page.threads.iter().rev()),
        );
        let repeated = |thread: &Thread| {
            self.pagination
                .as_ref()
                .is_some_and(|pagination| pagination.previous_end.contains(thread))
        };
        let fresh = page
            .threads
            .iter()
            .filter(|thread| !self.has_seen(thread) && !repeated(thread))
            .cloned()
            .collect();

        let previous = self.pagination.as_ref().map(|pagination| pagination.before);
        let (newest_seen, validator) = match self.pagination {
            Some(pagination) => (pagination.newest_seen, pagination.validator),
            None => (LastSeen::advanced(self.seen.clone(), newest), page.validator),
        };
        let pagination = oldest.filter(|_| page.has_older && !reached_seen);
        let more = pagination.is_some();
        let cursor = match pagination {
            None => Self {
                validator,
                seen: newest_seen,
                pagination: None,
            },
            Some(previous_end) => {
                let before = page_end(&previous_end, previous);
                let pagination = Some(Pagination {
                    before,
                    previous_end,
                    newest_seen,
                    validator,
                });
                Self {
                    validator: self.validator,
                    seen: self.seen,
                    pagination,
                }
            }
        };
        Read { fresh, cursor, more }
    }

    fn has_seen(&self, thread: &Thread) -> bool {
        self.seen
            .as_ref()
            .is_some_and(|seen| thread.updated_at < seen.at || seen.contains(thread))
    }
}

/// Upper bound of the next page. It includes the last second again, unless a page of that second alone has just shown that it
/// would repeat for ever.
fn page_end(previous_end: &LastSeen, previous: Option<Timestamp>) -> Timestamp {
    let again = previous_end.at.plus(Duration::from_secs(1));
    if previous.is_some_and(|previous| again >= previous) {
        previous_end.at
    } else {
        again
    }
}

impl LastSeen {
    /// Second of the first thread, with all threads of that second at the front.
    fn first_of<'a>(threads: impl Iterator<Item = &'a Thread>) -> Option<Self> {
        let mut threads = threads.peekable();
        let at = threads.peek()?.updated_at;
        let threads = threads
            .take_while(|thread| thread.updated_at == at)
            .map(|thread| thread.id.clone())
            .collect();
        Some(Self { at, threads })
    }

    /// Last event seen once `newest` is the newest one listed. That may be older, because GitHub does not list what the user has
    /// read there.
    fn advanced(seen: Option<Self>, newest: Option<Self>) -> Option<Self> {
        match (seen, newest) {
            (Some(seen), Some(newest)) if newest.at < seen.at => Some(seen),
            (Some(mut seen), Some(newest)) if newest.at == seen.at => {
                seen.threads.extend(newest.threads);
                Some(seen)
            }
            (seen, newest) => newest.or(seen),
        }
    }

    fn contains(&self, thread: &Thread) -> bool {
        thread.updated_at == self.at && self.threads.contains(&thread.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub's side: an inbox of (second, id), listed in pages of two.
    fn listed(inbox: &[(i64, &str)], cursor: &Cursor) -> Page {
        let mut threads: Vec<_> = inbox.iter().map(|(second, id)| Thread::at(*second, id)).collect();
        threads.sort_by_key(|thread| std::cmp::Reverse(thread.updated_at));
        threads.retain(|thread| {
            cursor
                .pagination
                .as_ref()
                .is_none_or(|pagination| thread.updated_at < pagination.before)
        });
        let has_older = threads.len() > 2;
        threads.truncate(2);
        Page {
            threads,
            validator: Some(format!("version {}", inbox.len())),
            has_older,
        }
    }

    /// Syncs until no page is left; returns the reported ids in order, and the cursor.
    fn sync(mut cursor: Cursor, inbox: &[(i64, &str)]) -> (Vec<String>, Cursor) {
        let mut reported = Vec::new();
        for _ in 0..20 {
            let read = cursor.clone().read(listed(inbox, &cursor));
            reported.extend(read.fresh.into_iter().map(|thread| thread.id.to_string()));
            cursor = read.cursor;
            if !read.more {
                return (reported, cursor);
            }
        }
        panic!("the pagination does not end: {cursor:?}");
    }

    #[test]
    fn every_thread_of_several_pages_is_reported_once() {
        let inbox = [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")];
        let (reported, cursor) = sync(Cursor::default(), &inbox);
        assert_eq!(reported, ["e", "d", "c", "b", "a"]);
        assert_eq!(sync(cursor, &inbox).0, [""; 0]);
    }

    #[test]
    fn next_sync_reports_only_new_events() {
        let (_, cursor) = sync(Cursor::default(), &[(1, "a"), (2, "b")]);
        let (reported, _) = sync(cursor, &[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "a")]);
        assert_eq!(reported, ["a", "d", "c"], "a thread with a new event is new");
    }

    #[test]
    fn later_thread_of_a_second_already_read_is_reported() {
        let (_, cursor) = sync(Cursor::default(), &[(1, "a"), (2, "b")]);
        assert_eq!(sync(cursor, &[(1, "a"), (2, "b"), (2, "c")]).0, ["c"]);
    }

    #[test]
    fn second_that_spans_two_pages_is_reported_completely_and_once() {
        let (reported, _) = sync(Cursor::default(), &[(3, "a"), (2, "b"), (2, "c"), (1, "d")]);
        assert_eq!(reported, ["a", "b", "c", "d"]);
    }

    #[test]
    fn second_that_fills_a_page_does_not_block_the_pagination() {
        let (reported, _) = sync(Cursor::default(), &[(2, "a"), (2, "b"), (2, "c"), (1, "d")]);
        assert_eq!(
            reported,
            ["a", "b", "d"],
            "what does not fit a page of one second cannot be asked for"
        );
    }

    #[test]
    fn thread_that_arrives_during_the_pagination_is_reported_after_it() {
        let mut inbox = vec![(1, "a"), (2, "b"), (3, "c"), (4, "d")];
        let first = Cursor::default().read(listed(&inbox, &Cursor::default()));
        assert!(first.more);
        inbox.push((5, "e"));
        let (paginated, cursor) = sync(first.cursor, &inbox);
        assert_eq!(paginated, ["b", "a"]);
        assert_eq!(
            cursor.validator(),
            Some("version 4"),
            "the pagination ends at its first page"
        );
        assert_eq!(sync(cursor, &inbox).0, ["e"]);
    }

    #[test]
    fn pagination_requests_older_pages_without_a_condition() {
        let inbox = [(1, "a"), (2, "b"), (3, "c")];
        let read = Cursor::default().read(listed(&inbox, &Cursor::default()));
        assert_eq!(read.cursor.before().as_deref(), Some("1970-01-01T00:00:03Z"));
        assert_eq!(read.cursor.validator(), None);
    }

    #[test]
    fn threads_read_at_github_are_not_reported_again() {
        let inbox = [(1, "a"), (2, "b"), (2, "c")];
        let (_, cursor) = sync(Cursor::default(), &inbox);
        for remaining in [&inbox[..0], &inbox[..1], &inbox[..2]] {
            let (_, cursor) = sync(cursor.clone(), remaining);
            assert_eq!(
                sync(cursor, &inbox).0,
                [""; 0],
                "marked unread is not new: {remaining:?}"
            );
        }
    }

    #[test]
    fn cursor_is_stored_in_the_checked_in_format() {
        let seen = serde_json::json!({ "at": "2026-11-30T16:00:00.000Z", "threads": ["7", "8"] });
        let stored = serde_json::json!({
            "validator": "Mon, 30 Nov 2026 16:00:00 GMT",
            "seen": seen,
            "pagination": {
                "before": "2026-11-30T15:00:00.000Z",
                "previous_end": seen,
                "newest_seen": null,
                "validator": null,
            },
        });
        assert!(crate::cursor::is_in_format::<Cursor>(&stored));
    }
}

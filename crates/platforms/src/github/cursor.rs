//! How far an inbox has been read, so that every event is reported once although GitHub lists the newest first, dates
//! events to the second, and may have more than one page of them.
//!
//! The first page is always asked for by the same URL, because the validator of a conditional request belongs to one
//! URL. If that page does not reach back to what was seen before, the pages behind it are walked, one per sync, and only
//! then does the cursor move on.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

use super::notifications::Thread;
use crate::foreign::Id;

/// Where the next sync goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The `Last-Modified` of the first page, byte for byte.
    validator: Option<String>,
    /// Everything up to here has been reported.
    seen: Option<Mark>,
    /// The pages behind the first, while they are walked.
    walk: Option<Walk>,
}

/// A second, and the threads of that second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    at: Timestamp,
    threads: BTreeSet<Id>,
}

/// A walk back through the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Walk {
    /// What the next page is asked to be older than.
    before: Timestamp,
    /// Where the page before it ended. Its last second is listed again, as it may hold more.
    behind: Mark,
    /// What will have been seen when the walk is over.
    top: Option<Mark>,
    /// The validator that belongs to it.
    validator: Option<String>,
}

/// One page of the inbox.
#[derive(Debug)]
pub(super) struct Page {
    /// Newest first.
    pub(super) threads: Vec<Thread>,
    pub(super) validator: Option<String>,
    /// Whether GitHub has older ones.
    pub(super) goes_on: bool,
}

/// What a page told.
#[derive(Debug)]
pub(super) struct Read {
    /// What was not reported before, newest first.
    pub(super) fresh: Vec<Thread>,
    pub(super) cursor: Cursor,
    /// Whether the next page waits.
    pub(super) more: bool,
}

impl Cursor {
    /// The query parameter `before` of the next page; the first page has none.
    pub(super) fn before(&self) -> Option<String> {
        let time = UtcDateTime::from_unix_timestamp(self.walk.as_ref()?.before.as_secs()).ok()?;
        time.format(&Rfc3339).ok()
    }

    /// What the first page is compared with; the pages behind it are asked for without a condition.
    pub(super) fn validator(&self) -> Option<&str> {
        if self.walk.is_some() {
            None
        } else {
            self.validator.as_deref()
        }
    }

    /// Takes in the page that was asked for.
    pub(super) fn read(self, page: Page) -> Read {
        let met_seen = page.threads.iter().any(|thread| self.has_seen(thread));
        let (newest, oldest) = (
            Mark::first_of(page.threads.iter()),
            Mark::first_of(page.threads.iter().rev()),
        );
        let repeated = |thread: &Thread| self.walk.as_ref().is_some_and(|walk| walk.behind.holds(thread));
        let fresh = page
            .threads
            .iter()
            .filter(|thread| !self.has_seen(thread) && !repeated(thread))
            .cloned()
            .collect();

        let previous = self.walk.as_ref().map(|walk| walk.before);
        let (top, validator) = match self.walk {
            Some(walk) => (walk.top, walk.validator),
            None => (Mark::advanced(self.seen.clone(), newest), page.validator),
        };
        let walk = oldest.filter(|_| page.goes_on && !met_seen);
        let more = walk.is_some();
        let cursor = match walk {
            None => Self {
                validator,
                seen: top,
                walk: None,
            },
            Some(behind) => {
                let before = page_end(&behind, previous);
                let walk = Some(Walk {
                    before,
                    behind,
                    top,
                    validator,
                });
                Self {
                    validator: self.validator,
                    seen: self.seen,
                    walk,
                }
            }
        };
        Read { fresh, cursor, more }
    }

    fn has_seen(&self, thread: &Thread) -> bool {
        self.seen
            .as_ref()
            .is_some_and(|seen| thread.updated_at < seen.at || seen.holds(thread))
    }
}

/// Where the next page begins: so that it lists the last second again, unless a page of nothing but that second has just
/// shown that it would be the same page for ever.
fn page_end(behind: &Mark, previous: Option<Timestamp>) -> Timestamp {
    let again = behind.at.plus(Duration::from_secs(1));
    if previous.is_some_and(|previous| again >= previous) {
        behind.at
    } else {
        again
    }
}

impl Mark {
    /// The second of the first thread, with all of that second that come first.
    fn first_of<'a>(threads: impl Iterator<Item = &'a Thread>) -> Option<Self> {
        let mut threads = threads.peekable();
        let at = threads.peek()?.updated_at;
        let threads = threads
            .take_while(|thread| thread.updated_at == at)
            .map(|thread| thread.id.clone())
            .collect();
        Some(Self { at, threads })
    }

    /// What has been seen, once `newest` is the newest that is listed: which may be older, as what the user has read at
    /// GitHub is not listed any more.
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

    fn holds(&self, thread: &Thread) -> bool {
        thread.updated_at == self.at && self.threads.contains(&thread.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub's side: an inbox of (second, id), listed by pages of two.
    fn listed(inbox: &[(i64, &str)], cursor: &Cursor) -> Page {
        let mut threads: Vec<_> = inbox.iter().map(|(second, id)| Thread::at(*second, id)).collect();
        threads.sort_by_key(|thread| std::cmp::Reverse(thread.updated_at));
        threads.retain(|thread| cursor.walk.as_ref().is_none_or(|walk| thread.updated_at < walk.before));
        let goes_on = threads.len() > 2;
        threads.truncate(2);
        Page {
            threads,
            validator: Some(format!("version {}", inbox.len())),
            goes_on,
        }
    }

    /// Syncs until nothing more waits; what was reported, in order, and the cursor.
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
        panic!("the walk does not end: {cursor:?}");
    }

    #[test]
    fn everything_is_reported_once_over_any_number_of_pages() {
        let inbox = [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")];
        let (reported, cursor) = sync(Cursor::default(), &inbox);
        assert_eq!(reported, ["e", "d", "c", "b", "a"]);
        assert_eq!(sync(cursor, &inbox).0, [""; 0]);
    }

    #[test]
    fn only_what_is_new_is_reported_next_time() {
        let (_, cursor) = sync(Cursor::default(), &[(1, "a"), (2, "b")]);
        let (reported, _) = sync(cursor, &[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "a")]);
        assert_eq!(reported, ["a", "d", "c"], "a thread with a new event is new");
    }

    #[test]
    fn a_second_that_was_read_may_still_grow() {
        let (_, cursor) = sync(Cursor::default(), &[(1, "a"), (2, "b")]);
        assert_eq!(sync(cursor, &[(1, "a"), (2, "b"), (2, "c")]).0, ["c"]);
    }

    #[test]
    fn a_second_that_lies_on_two_pages_is_reported_whole_and_once() {
        let (reported, _) = sync(Cursor::default(), &[(3, "a"), (2, "b"), (2, "c"), (1, "d")]);
        assert_eq!(reported, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_second_that_fills_a_page_does_not_hold_up_the_walk() {
        let (reported, _) = sync(Cursor::default(), &[(2, "a"), (2, "b"), (2, "c"), (1, "d")]);
        assert_eq!(
            reported,
            ["a", "b", "d"],
            "what does not fit a page of one second cannot be asked for"
        );
    }

    #[test]
    fn what_comes_in_during_a_walk_is_reported_after_it() {
        let mut inbox = vec![(1, "a"), (2, "b"), (3, "c"), (4, "d")];
        let first = Cursor::default().read(listed(&inbox, &Cursor::default()));
        assert!(first.more);
        inbox.push((5, "e"));
        let (walked, cursor) = sync(first.cursor, &inbox);
        assert_eq!(walked, ["b", "a"]);
        assert_eq!(cursor.validator(), Some("version 4"), "the walk ends where it began");
        assert_eq!(sync(cursor, &inbox).0, ["e"]);
    }

    #[test]
    fn a_walk_asks_for_older_pages_without_a_condition() {
        let inbox = [(1, "a"), (2, "b"), (3, "c")];
        let read = Cursor::default().read(listed(&inbox, &Cursor::default()));
        assert_eq!(read.cursor.before().as_deref(), Some("1970-01-01T00:00:03Z"));
        assert_eq!(read.cursor.validator(), None);
    }

    #[test]
    fn an_inbox_from_which_threads_were_read_forgets_nothing() {
        let inbox = [(1, "a"), (2, "b"), (2, "c")];
        let (_, cursor) = sync(Cursor::default(), &inbox);
        for left in [&inbox[..0], &inbox[..1], &inbox[..2]] {
            let (_, cursor) = sync(cursor.clone(), left);
            assert_eq!(sync(cursor, &inbox).0, [""; 0], "marked unread is not new: {left:?}");
        }
    }
}

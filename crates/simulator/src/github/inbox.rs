//! Each account's notifications: what a test put there, newest first, as GitHub lists them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use time::{Duration, UtcDateTime, format_description::well_known::Rfc3339, macros::utc_datetime};

use crate::account::DEFAULT_LOGIN;

/// Something that happens at GitHub and concerns an account. What is left out has a plausible value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NewNotification {
    /// Whom it concerns.
    pub login: String,
    /// The thread it belongs to; a new one when left out. A thread stands in the inbox once, with its newest event.
    pub thread: Option<u64>,
    /// Why GitHub tells the account: `mention`, `team_mention`, `review_requested`, `assign`, `subscribed`, ...
    pub reason: String,
    /// The title of the issue or pull request.
    pub title: String,
    /// What it is about: `Issue`, `PullRequest`, ...
    pub subject: String,
    /// Where it happened, `owner/name`.
    pub repository: String,
    /// Whether it is still unread.
    pub unread: bool,
}

impl Default for NewNotification {
    fn default() -> Self {
        Self {
            login: DEFAULT_LOGIN.to_owned(),
            thread: None,
            reason: "mention".to_owned(),
            title: "Please have a look".to_owned(),
            subject: "Issue".to_owned(),
            repository: "octo-org/octo-repo".to_owned(),
            unread: true,
        }
    }
}

/// Where a new notification stands in the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issued {
    /// Its thread.
    pub thread: u64,
    /// Its time, as the API tells it.
    pub updated_at: String,
}

/// Every account's inbox.
#[derive(Debug, Default)]
pub(crate) struct Inboxes {
    last_thread: u64,
    inboxes: HashMap<String, Inbox>,
}

/// One account's inbox.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    /// When it last changed.
    pub(super) changed_at: UtcDateTime,
    /// Newest first.
    pub(super) threads: Vec<Thread>,
}

/// A notification as it stands in an inbox.
#[derive(Debug, Clone)]
pub(crate) struct Thread {
    pub(super) id: u64,
    pub(super) updated_at: UtcDateTime,
    pub(super) event: NewNotification,
}

impl Inboxes {
    /// Puts a notification at the top of its account's inbox.
    ///
    /// The validator of a conditional request is an HTTP date and so has whole seconds. A change within the second of
    /// the one before is therefore dated a second later, or a client that polled between the two would miss it.
    pub(crate) fn put(&mut self, event: NewNotification, now: UtcDateTime) -> Issued {
        let id = event.thread.unwrap_or_else(|| {
            self.last_thread += 1;
            self.last_thread
        });
        let inbox = self.inboxes.entry(event.login.clone()).or_default();
        let updated_at = now.truncate_to_second().max(inbox.changed_at + Duration::SECOND);
        inbox.threads.retain(|thread| thread.id != id);
        inbox.threads.insert(0, Thread { id, updated_at, event });
        inbox.changed_at = updated_at;
        Issued {
            thread: id,
            updated_at: rfc3339(updated_at),
        }
    }

    /// The inbox of the account with this login.
    pub(super) fn of(&self, login: &str) -> Inbox {
        self.inboxes.get(login).cloned().unwrap_or_default()
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            changed_at: utc_datetime!(2011-01-25 18:44:36),
            threads: Vec::new(),
        }
    }
}

/// A time as GitHub's API writes it.
pub(super) fn rfc3339(time: UtcDateTime) -> String {
    // The format fails only for years beyond 9999, which no clock here reaches.
    time.format(&Rfc3339).unwrap_or_default()
}

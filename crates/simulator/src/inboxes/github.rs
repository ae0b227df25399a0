//! Notifications of each account: those that a test has added, newest first, as GitHub lists them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use time::{Duration, UtcDateTime, format_description::well_known::Rfc3339, macros::utc_datetime};

use crate::account::DEFAULT_LOGIN;

/// Event at GitHub that concerns an account. Missing fields have plausible values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NewNotification {
    /// Login of the account.
    pub login: String,
    /// Thread of the event; a new one if missing. The inbox lists each thread once, with its newest event.
    pub thread: Option<u64>,
    /// Reason of the notification: `mention`, `team_mention`, `review_requested`, `assign`, `subscribed`, ...
    pub reason: String,
    /// Title of the issue or pull request.
    pub title: String,
    /// Type of the subject: `Issue`, `PullRequest`, ...
    pub subject: String,
    /// Repository, `owner/name`.
    pub repository: String,
    /// True if it is unread.
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

/// New notification in the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issued {
    /// Thread.
    pub thread: u64,
    /// Time, as the API writes it.
    pub updated_at: String,
}

/// Inboxes of all accounts.
#[derive(Debug, Default)]
pub(crate) struct GithubInboxes {
    last_thread: u64,
    inboxes: HashMap<String, Inbox>,
}

/// Inbox of one account.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    /// Time of the last change.
    pub(crate) changed_at: UtcDateTime,
    /// Threads, newest first.
    pub(crate) threads: Vec<Thread>,
}

/// Notification in an inbox.
#[derive(Debug, Clone)]
pub(crate) struct Thread {
    pub(crate) id: u64,
    pub(crate) updated_at: UtcDateTime,
    pub(crate) event: NewNotification,
}

impl GithubInboxes {
    /// Adds a notification to the top of its account's inbox.
    ///
    /// The validator of a conditional request is an HTTP date with whole seconds. A change within the second of the previous one
    /// is therefore dated a second later: a client that polled between the two would miss it otherwise.
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

    /// Inbox of the account with this login.
    pub(crate) fn of(&self, login: &str) -> Inbox {
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

/// Time in the format of GitHub's API.
pub(crate) fn rfc3339(time: UtcDateTime) -> String {
    // The format fails only for years beyond 9999, which no clock here reaches.
    time.format(&Rfc3339).unwrap_or_default()
}

//! GitHub's notifications, and the selection of those to report.

use protocol::notification::NotificationType;
use protocol::time::Timestamp;
use serde::Deserialize;

use crate::platform::PlatformNotification;
use crate::untrusted::Id;

/// Thread of the inbox, with its newest event.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Thread {
    pub(super) id: Id,
    pub(super) updated_at: Timestamp,
    reason: String,
    subject: Subject,
    repository: Repository,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Subject {
    #[serde(default)]
    title: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Repository {
    full_name: String,
}

/// Notifications to report, oldest first: somebody asked for the user, not that a watched repository is busy.
pub(super) fn notifications(newest_first: Vec<Thread>) -> Vec<PlatformNotification> {
    newest_first
        .into_iter()
        .rev()
        .filter(Thread::concerns_the_user)
        .map(Thread::into_notification)
        .collect()
}

impl Thread {
    fn concerns_the_user(&self) -> bool {
        matches!(
            self.reason.as_str(),
            "mention" | "team_mention" | "review_requested" | "assign"
        )
    }

    /// Converts the thread into a notification. A thread is listed again with each event, and its reason may change: thread and
    /// time together identify the event. GitHub does not name the actor here, so the repository is reported as the sender.
    fn into_notification(self) -> PlatformNotification {
        PlatformNotification {
            id: format!("{}@{}", self.id, self.updated_at),
            kind: NotificationType::Mention,
            content: self.subject.title,
            sender: self.repository.full_name,
            at: self.updated_at,
        }
    }
}

#[cfg(test)]
impl Thread {
    /// Mention at this second.
    pub(super) fn at(second: i64, id: &str) -> Self {
        Self {
            id: Id::of(id),
            updated_at: Timestamp::from_millis(second * 1_000),
            reason: "mention".to_owned(),
            subject: Subject {
                title: "A title".to_owned(),
            },
            repository: Repository {
                full_name: "octo-org/octo-repo".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_oldest_first_and_only_of_threads_that_concern_the_user() {
        let watched = Thread {
            reason: "subscribed".to_owned(),
            ..Thread::at(2, "b")
        };
        let notifications = notifications(vec![Thread::at(3, "c"), watched, Thread::at(1, "a")]);
        let ids: Vec<_> = notifications
            .iter()
            .map(|notification| notification.id.as_str())
            .collect();
        assert_eq!(ids, ["a@1970-01-01T00:00:01.000Z", "c@1970-01-01T00:00:03.000Z"]);
    }
}

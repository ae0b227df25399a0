//! Unread messages of each user in a queue, counted without a look at its reader: messages are read in the order in which they are sent.

use std::collections::{HashMap, VecDeque};

use protocol::id::UserId;

/// Counts of the unread messages, beyond a number that is not counted.
#[derive(Debug)]
pub(super) struct UserShares {
    /// Number of unread messages up to which none is counted.
    uncounted: usize,
    /// Newest unread messages, oldest first: all that were sent while there were more than `uncounted`.
    entries: VecDeque<Entry>,
    users: HashMap<UserId, Share>,
}

/// Message of the queue.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// Message of a user.
    MessageOf(UserId),
    /// Notice that messages of one user were missed.
    NoticeOf(UserId),
    /// Notice that messages of several users, or of any, were missed.
    Notice,
}

/// Unread messages of one user.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Share {
    messages: usize,
    notices: usize,
}

impl UserShares {
    pub(super) fn new(uncounted: usize) -> Self {
        Self {
            uncounted,
            entries: VecDeque::new(),
            users: HashMap::new(),
        }
    }

    /// Forgets the messages that were read: `unread` are left.
    pub(super) fn forget_read(&mut self, unread: usize) {
        if unread <= self.uncounted {
            if !self.entries.is_empty() {
                // With their memory: the next burst may be far away.
                *self = Self::new(self.uncounted);
            }
            return;
        }
        while self.entries.len() > unread {
            let Some(entry) = self.entries.pop_front() else { break };
            self.count(entry, |number| number.saturating_sub(1));
        }
    }

    /// Counts a message that was sent after `unread` others.
    pub(super) fn sent(&mut self, unread: usize, entry: Entry) {
        self.forget_read(unread);
        if unread >= self.uncounted {
            self.count(entry.clone(), |number| number + 1);
            self.entries.push_back(entry);
        }
    }

    /// Number of counted messages of a user.
    pub(super) fn unread_of(&self, user: &UserId) -> usize {
        self.users.get(user).map_or(0, |share| share.messages)
    }

    /// Reports whether a counted notice of a user is unread.
    pub(super) fn has_unread_notice(&self, user: &UserId) -> bool {
        self.users.get(user).is_some_and(|share| share.notices > 0)
    }

    fn count(&mut self, entry: Entry, change: impl Fn(usize) -> usize) {
        let (user, is_notice) = match entry {
            Entry::MessageOf(user) => (user, false),
            Entry::NoticeOf(user) => (user, true),
            Entry::Notice => return,
        };
        let share = self.users.entry(user.clone()).or_default();
        let number = if is_notice {
            &mut share.notices
        } else {
            &mut share.messages
        };
        *number = change(*number);
        if *share == Share::default() {
            self.users.remove(&user);
        }
    }
}

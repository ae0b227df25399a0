//! Unread messages of a node by user, of which one of each user is read after the other: those of a hot user, or of one whose events go to a
//! thousand sockets, wait for all others, and the others for one of them.

use std::collections::{HashMap, VecDeque};
use std::mem;

use protocol::id::UserId;

use crate::channel_message::ChannelMessage;

/// Unread messages and notices.
#[derive(Debug)]
pub(super) struct FairQueue {
    /// Most messages of all users.
    bound: usize,
    /// Number of messages.
    unread: usize,
    users: HashMap<UserId, Unread>,
    /// Users with something unread, each once, the next one first.
    next: VecDeque<UserId>,
    /// True if messages of any user may have been missed.
    is_missed: bool,
    /// Users whose messages may have been missed before they were queued.
    missed_of: Vec<UserId>,
}

/// Unread messages of one user.
#[derive(Debug, Default)]
struct Unread {
    messages: VecDeque<ChannelMessage>,
    /// True if later ones were dropped.
    is_missed: bool,
}

impl FairQueue {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            unread: 0,
            users: HashMap::new(),
            next: VecDeque::new(),
            is_missed: false,
            missed_of: Vec::new(),
        }
    }

    /// Adds a message of a user, or drops it above a bound. True if a notice was added for it: none is where an unread one covers it.
    pub(super) fn push(&mut self, user: &UserId, message: ChannelMessage) -> bool {
        let free = self.bound.saturating_sub(self.unread);
        if free == 0 {
            return self.push_missed();
        }
        if let Some(unread) = self.users.get_mut(user) {
            if unread.is_missed {
                return false;
            }
            if unread.messages.len() >= free {
                unread.is_missed = !self.is_missed;
                return unread.is_missed;
            }
            unread.messages.push_back(message);
        } else {
            let unread = Unread {
                messages: VecDeque::from([message]),
                is_missed: false,
            };
            self.users.insert(user.clone(), unread);
            self.next.push_back(user.clone());
        }
        self.unread += 1;
        false
    }

    /// Adds a notice that messages of any user may have been missed, which is read first. False if one is unread.
    pub(super) fn push_missed(&mut self) -> bool {
        self.missed_of = Vec::new();
        !mem::replace(&mut self.is_missed, true)
    }

    /// Adds a notice that messages of these users may have been missed, which is read before their messages. False if an unread one covers
    /// it.
    pub(super) fn push_missed_of(&mut self, users: Vec<UserId>) -> bool {
        if users.is_empty() || self.is_missed {
            return false;
        }
        if self.missed_of.len() + users.len() > self.bound {
            return self.push_missed();
        }
        self.missed_of.extend(users);
        true
    }

    /// Takes what is next.
    pub(super) fn pop(&mut self) -> Option<ChannelMessage> {
        if mem::take(&mut self.is_missed) {
            return Some(ChannelMessage::Missed);
        }
        if !self.missed_of.is_empty() {
            return Some(ChannelMessage::MissedOf(mem::take(&mut self.missed_of)));
        }
        let user = self.next.pop_front()?;
        let unread = self.users.get_mut(&user)?;
        let taken = match unread.messages.pop_front() {
            Some(message) => {
                self.unread -= 1;
                message
            }
            None => {
                unread.is_missed = false;
                ChannelMessage::MissedOf(vec![user.clone()])
            }
        };
        if unread.messages.is_empty() && !unread.is_missed {
            self.users.remove(&user);
        } else {
            self.next.push_back(user);
        }
        if self.next.is_empty() && self.next.capacity() > KEPT_CAPACITY {
            // The next burst may be far away.
            *self = Self::new(self.bound);
        }
        Some(taken)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty() && !self.is_missed && self.missed_of.is_empty()
    }
}

/// Users for which memory is kept while nothing is unread.
const KEPT_CAPACITY: usize = 256;

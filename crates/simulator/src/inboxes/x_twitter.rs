//! Items of each account at X: posts that mention it, and direct messages. Their ids share one increasing number.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};
use time::{UtcDateTime, format_description::well_known::Rfc3339};

use crate::account::{Account, DEFAULT_LOGIN};

/// Event at X that concerns an account. Missing fields have plausible values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NewPost {
    /// Login of the account.
    pub login: String,
    /// Kind of the event.
    pub kind: PostKind,
    /// Login of the author.
    pub author: String,
    /// Text.
    pub text: String,
}

/// Kind of an event at X.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostKind {
    /// Post that mentions the account.
    Mention,
    /// Post that replies to one of the account's.
    Reply,
    /// Direct message.
    Message,
}

impl Default for NewPost {
    fn default() -> Self {
        Self {
            login: DEFAULT_LOGIN.to_owned(),
            kind: PostKind::Mention,
            author: "grace".to_owned(),
            text: "Have you seen this?".to_owned(),
        }
    }
}

/// Items of all accounts.
#[derive(Debug, Default)]
pub(crate) struct XInboxes {
    last: u64,
    posts: HashMap<String, Vec<Post>>,
}

/// Stored post.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) id: u64,
    at: UtcDateTime,
    event: NewPost,
}

impl XInboxes {
    /// Adds a post to the account's items and returns its id.
    pub(crate) fn put(&mut self, event: NewPost, at: UtcDateTime) -> u64 {
        // Ids get another digit after a while, so that a client that compares them as texts fails.
        self.last = if self.last == 0 { 9 } else { self.last + 1 };
        let id = self.last;
        self.posts
            .entry(event.login.clone())
            .or_default()
            .push(Post { id, at, event });
        id
    }

    /// Items of these kinds, newest first.
    pub(crate) fn of(&self, login: &str, is_wanted: impl Fn(PostKind) -> bool) -> Vec<Post> {
        let posts = self.posts.get(login).into_iter().flatten().rev();
        posts.filter(|post| is_wanted(post.event.kind)).cloned().collect()
    }
}

impl Post {
    /// Item of the mentions timeline.
    pub(crate) fn mention(&self) -> Value {
        let answered = Account::named(&self.event.login).snowflake();
        json!({
            "id": self.id.to_string(),
            "text": self.event.text,
            "edit_history_tweet_ids": [self.id.to_string()],
            "author_id": self.author().snowflake(),
            "created_at": self.at.format(&Rfc3339).unwrap_or_default(),
            "in_reply_to_user_id": (self.event.kind == PostKind::Reply).then_some(answered),
        })
    }

    /// Item of the list of direct messages.
    pub(crate) fn message(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "event_type": "MessageCreate",
            "text": self.event.text,
            "sender_id": self.author().snowflake(),
            "created_at": self.at.format(&Rfc3339).unwrap_or_default(),
        })
    }

    /// Author, as an element of `includes`.
    pub(crate) fn introduction(&self) -> Value {
        let author = self.author();
        json!({ "id": author.snowflake(), "name": author.name, "username": author.login })
    }

    fn author(&self) -> Account {
        Account::named(&self.event.author)
    }
}

//! What X has for each account: posts that name it, and direct messages. All are named by one number that grows.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};
use time::{UtcDateTime, format_description::well_known::Rfc3339};

use crate::account::{Account, DEFAULT_LOGIN};

/// Something that happens at X and concerns an account. What is left out has a plausible value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NewPost {
    /// Whom it concerns.
    pub login: String,
    /// What it is.
    pub kind: PostKind,
    /// The login of whoever wrote it.
    pub author: String,
    /// What was written.
    pub text: String,
}

/// What happens at X.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostKind {
    /// A post that names the account.
    Mention,
    /// A post that answers one of the account's.
    Reply,
    /// A direct message.
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

/// Every account's inbox.
#[derive(Debug, Default)]
pub(crate) struct Inboxes {
    last: u64,
    posts: HashMap<String, Vec<Post>>,
}

/// A post as X keeps it.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) id: u64,
    at: UtcDateTime,
    event: NewPost,
}

impl Inboxes {
    /// Puts it into the account's inbox; gives its id.
    pub(crate) fn put(&mut self, event: NewPost, at: UtcDateTime) -> u64 {
        // Ids have more digits after a while, so that who compares them as texts is found out.
        self.last = if self.last == 0 { 9 } else { self.last + 1 };
        let id = self.last;
        self.posts
            .entry(event.login.clone())
            .or_default()
            .push(Post { id, at, event });
        id
    }

    /// What the account has of these kinds, newest first.
    pub(super) fn of(&self, login: &str, is_wanted: impl Fn(PostKind) -> bool) -> Vec<Post> {
        let posts = self.posts.get(login).into_iter().flatten().rev();
        posts.filter(|post| is_wanted(post.event.kind)).cloned().collect()
    }
}

impl Post {
    /// As the mentions timeline shows it.
    pub(super) fn mention(&self) -> Value {
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

    /// As the list of direct messages shows it.
    pub(super) fn message(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "event_type": "MessageCreate",
            "text": self.event.text,
            "sender_id": self.author().snowflake(),
            "created_at": self.at.format(&Rfc3339).unwrap_or_default(),
        })
    }

    /// Who wrote it, as `includes` introduces them.
    pub(super) fn introduction(&self) -> Value {
        let author = self.author();
        json!({ "id": author.snowflake(), "name": author.name, "username": author.login })
    }

    fn author(&self) -> Account {
        Account::named(&self.event.author)
    }
}

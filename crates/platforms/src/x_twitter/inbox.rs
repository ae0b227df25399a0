//! One look at what X has for an account: a page of posts that name it, and a page of its direct messages.

use http::StatusCode;
use protocol::notification::NotificationType;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Deserialize;
use url::Url;

use super::DIALECT;
use super::cursor::Cursor;
use crate::api::{self, Credential};
use crate::http::{Http, below};
use crate::platform::{ApiError, News};

/// X's API, seen with one user's token.
pub(super) struct Inbox<'a> {
    pub(super) http: &'a Http,
    pub(super) api: &'a Url,
    pub(super) token: &'a Secret,
    /// Whose it is.
    pub(super) user: &'a str,
}

/// A page, newest first.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    /// Asks for the page after this one, which is older.
    pub(super) next: Option<String>,
}

/// Something that X names by a number which grows with time.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: u64,
    pub(super) news: News,
}

impl Inbox<'_> {
    /// Posts that name the user, of which each is paid for: a first look takes the fewest.
    pub(super) async fn mentions(&self, cursor: &Cursor) -> Result<Page, ApiError> {
        let mut url = below(self.api, &["users", self.user, "mentions"]);
        url.query_pairs_mut()
            .append_pair("max_results", if cursor.since.is_some() { "100" } else { "5" })
            .append_pair("tweet.fields", "author_id,created_at,in_reply_to_user_id")
            .append_pair("expansions", "author_id")
            .extend_pairs(cursor.since.filter(|&id| id > 0).map(|id| ("since_id", id.to_string())));
        let first = url.clone();
        url.query_pairs_mut()
            .extend_pairs(cursor.next.as_ref().map(|next| ("pagination_token", next)));
        let mut answer = api::get(&DIALECT, self.http, &url, Credential::Bearer(self.token)).await?;
        if cursor.next.is_some() && answer.status() == StatusCode::BAD_REQUEST {
            // X has forgotten the pages; what was read already is news by the same names.
            answer = api::get(&DIALECT, self.http, &first, Credential::Bearer(self.token)).await?;
        }
        let posts: Answer<Post> = api::read(DIALECT.account, &answer)?;
        Ok(posts.page(|post, sender| {
            let answers = post.in_reply_to_user_id.as_deref() == Some(self.user);
            Some(News {
                id: post.id,
                kind: if answers {
                    NotificationType::Reply
                } else {
                    NotificationType::Mention
                },
                content: post.text,
                sender: sender(post.author_id),
                at: post.created_at,
            })
        }))
    }

    /// What others wrote to the user; nothing where the user has not let the application read it.
    pub(super) async fn messages(&self) -> Result<Page, ApiError> {
        let mut url = below(self.api, &["dm_events"]);
        url.query_pairs_mut()
            .append_pair("max_results", "100")
            .append_pair("event_types", "MessageCreate")
            .append_pair("dm_event.fields", "created_at,sender_id,text")
            .append_pair("expansions", "sender_id");
        let answer = api::get(&DIALECT, self.http, &url, Credential::Bearer(self.token)).await?;
        if answer.status() == StatusCode::FORBIDDEN {
            return Ok(Page::default());
        }
        let messages: Answer<Message> = api::read(DIALECT.account, &answer)?;
        Ok(messages.page(|message, sender| {
            (message.sender_id != self.user).then(|| News {
                id: message.id,
                kind: NotificationType::Message,
                content: message.text,
                sender: sender(message.sender_id),
                at: message.created_at,
            })
        }))
    }
}

/// Both timelines answer alike; what is empty is left out.
#[derive(Deserialize)]
struct Answer<T> {
    #[serde(default = "Vec::new")]
    data: Vec<T>,
    #[serde(default)]
    includes: Includes,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Includes {
    #[serde(default)]
    users: Vec<Author>,
}

#[derive(Deserialize)]
struct Author {
    id: String,
    username: String,
}

#[derive(Default, Deserialize)]
struct Meta {
    next_token: Option<String>,
}

#[derive(Deserialize)]
struct Post {
    id: String,
    text: String,
    author_id: String,
    created_at: Timestamp,
    in_reply_to_user_id: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    id: String,
    /// Left out where it is a picture alone.
    #[serde(default)]
    text: String,
    sender_id: String,
    created_at: Timestamp,
}

impl<T> Answer<T> {
    /// The page, of what makes news. Whoever X does not introduce goes by the id.
    fn page(self, news: impl Fn(T, &dyn Fn(String) -> String) -> Option<News>) -> Page {
        let users = self.includes.users;
        let name = |id: String| {
            let known = users.iter().find(|user| user.id == id);
            known.map_or(id, |user| user.username.clone())
        };
        let items = self.data.into_iter().filter_map(|item| {
            let news = news(item, &name)?;
            Some(Item {
                id: news.id.parse().ok()?,
                news,
            })
        });
        Page {
            items: items.collect(),
            next: self.meta.next_token,
        }
    }
}

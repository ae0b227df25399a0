//! One look at what X has for an account: a page of posts that name it, and a page of its direct messages.

use http::StatusCode;
use protocol::notification::NotificationType;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::DIALECT;
use super::cursor::Cursor;
use crate::api::{self, Credential};
use crate::foreign::{Id, each};
use crate::http::{Http, below};
use crate::platform::{ApiError, PlatformNotification};

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
    pub(super) notifications: PlatformNotification,
}

impl Inbox<'_> {
    /// Posts that name the user, of which each is paid for: a first look takes the fewest, and so does one whose posts are long.
    pub(super) async fn mentions(&self, cursor: &Cursor) -> Result<Page, ApiError> {
        let mut size = if cursor.since.is_some() {
            LARGEST_PAGE
        } else {
            FEWEST_POSTS
        };
        loop {
            match self.page_of_mentions(cursor, size).await {
                Err(error) => size = api::smaller_page(size, FEWEST_POSTS, error)?,
                page => return page,
            }
        }
    }

    async fn page_of_mentions(&self, cursor: &Cursor, size: usize) -> Result<Page, ApiError> {
        let mut url = below(self.api, &["users", self.user, "mentions"]);
        url.query_pairs_mut()
            .append_pair("max_results", &size.to_string())
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
            let answered = post.in_reply_to_user_id.as_ref().map(Id::as_str);
            Some(PlatformNotification {
                id: post.id.into(),
                kind: if answered == Some(self.user) {
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

    /// What others wrote to the user, the newest of it; less where it is long. Nothing where the user has not let the application read
    /// it.
    pub(super) async fn messages(&self) -> Result<Page, ApiError> {
        let mut size = LARGEST_PAGE;
        loop {
            match self.page_of_messages(size).await {
                Err(error) => size = api::smaller_page(size, 1, error)?,
                page => return page,
            }
        }
    }

    async fn page_of_messages(&self, size: usize) -> Result<Page, ApiError> {
        let mut url = below(self.api, &["dm_events"]);
        url.query_pairs_mut()
            .append_pair("max_results", &size.to_string())
            .append_pair("event_types", "MessageCreate")
            .append_pair("dm_event.fields", "created_at,sender_id,text")
            .append_pair("expansions", "sender_id");
        let answer = api::get(&DIALECT, self.http, &url, Credential::Bearer(self.token)).await?;
        if answer.status() == StatusCode::FORBIDDEN {
            return Ok(Page::default());
        }
        let messages: Answer<Message> = api::read(DIALECT.account, &answer)?;
        Ok(messages.page(|message, sender| {
            (message.sender_id.as_str() != self.user).then(|| PlatformNotification {
                id: message.id.into(),
                kind: NotificationType::Message,
                content: message.text,
                sender: sender(message.sender_id),
                at: message.created_at,
            })
        }))
    }
}

/// The most that X lists at once, and the fewest posts.
const LARGEST_PAGE: usize = 100;
const FEWEST_POSTS: usize = 5;

/// Both timelines answer alike; what is empty is left out.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Answer<T> {
    #[serde(default = "Vec::new", deserialize_with = "each")]
    data: Vec<T>,
    #[serde(default)]
    includes: Includes,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Includes {
    #[serde(default, deserialize_with = "each")]
    users: Vec<Author>,
}

#[derive(Deserialize)]
struct Author {
    id: Id,
    username: String,
}

#[derive(Default, Deserialize)]
struct Meta {
    next_token: Option<String>,
}

#[derive(Deserialize)]
struct Post {
    id: Id,
    #[serde(default)]
    text: String,
    author_id: Id,
    created_at: Timestamp,
    in_reply_to_user_id: Option<Id>,
}

#[derive(Deserialize)]
struct Message {
    id: Id,
    /// Left out where it is a picture alone.
    #[serde(default)]
    text: String,
    sender_id: Id,
    created_at: Timestamp,
}

impl<T> Answer<T> {
    /// The page, of what makes news. Whoever X does not introduce goes by the id.
    fn page(self, notifications: impl Fn(T, &dyn Fn(Id) -> String) -> Option<PlatformNotification>) -> Page {
        let users = self.includes.users;
        let name = |id: Id| {
            let known = users.iter().find(|user| user.id == id);
            known.map_or(id.into(), |user| user.username.clone())
        };
        let items = self.data.into_iter().filter_map(|item| {
            let notifications = notifications(item, &name)?;
            Some(Item {
                id: notifications.id.parse().ok()?,
                notifications,
            })
        });
        Page {
            items: items.collect(),
            next: self.meta.next_token,
        }
    }
}

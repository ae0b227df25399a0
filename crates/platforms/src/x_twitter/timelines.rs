//! Timelines of an account at X: a page of posts that mention it, and a page of its direct messages.

use http::StatusCode;
use protocol::notification::NotificationType;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::DIALECT;
use super::cursor::Cursor;
use super::page::{Item, Page};
use crate::api::{self, Credential};
use crate::http::Http;
use crate::platform::{ApiError, PlatformNotification};
use crate::route::below;
use crate::untrusted::{Id, lenient_list};

/// X's API with one user's token.
pub(super) struct Timelines<'a> {
    pub(super) http: &'a Http,
    pub(super) api: &'a Url,
    pub(super) token: &'a Secret,
    /// Id of the user.
    pub(super) user: &'a str,
}

impl Timelines<'_> {
    /// Posts that mention the user. X bills each of them: the first sync requests the fewest, and so does one whose posts are
    /// long.
    pub(super) async fn mentions(&self, cursor: &Cursor) -> Result<Page, ApiError> {
        let mut size = if cursor.since.is_some() { PAGE_SIZE } else { MIN_POSTS };
        loop {
            match self.page_of_mentions(cursor, size).await {
                Err(error) => size = api::smaller_page(size, MIN_POSTS, error)?,
                page => return page,
            }
        }
    }

    async fn page_of_mentions(&self, cursor: &Cursor, size: usize) -> Result<Page, ApiError> {
        let template = "/users/{id}/mentions";
        let mut url = below(self.api, ["users", self.user, "mentions"]);
        url.query_pairs_mut()
            .append_pair("max_results", &size.to_string())
            .append_pair("tweet.fields", "author_id,created_at,in_reply_to_user_id")
            .append_pair("expansions", "author_id")
            .extend_pairs(cursor.since.filter(|&id| id > 0).map(|id| ("since_id", id.to_string())));
        let first = url.clone();
        url.query_pairs_mut()
            .extend_pairs(cursor.next.as_ref().map(|next| ("pagination_token", next)));
        let mut answer = api::get(&DIALECT, self.http, (template, &url), Credential::Bearer(self.token)).await?;
        if cursor.next.is_some() && answer.status() == StatusCode::BAD_REQUEST {
            // X has dropped the pages; posts that were read already are reported under the same ids.
            answer = api::get(&DIALECT, self.http, (template, &first), Credential::Bearer(self.token)).await?;
        }
        let posts: TimelineAnswer<Post> = api::read(DIALECT.account, &answer)?;
        Ok(posts.page(|post, sender| {
            let replied_to = post.in_reply_to_user_id.as_ref().map(Id::as_str);
            Some(PlatformNotification {
                id: post.id.into(),
                kind: if replied_to == Some(self.user) {
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

    /// Newest direct messages to the user, fewer if they are long. None if the user has not granted access to them.
    pub(super) async fn messages(&self) -> Result<Page, ApiError> {
        let mut size = PAGE_SIZE;
        loop {
            match self.page_of_messages(size).await {
                Err(error) => size = api::smaller_page(size, 1, error)?,
                page => return page,
            }
        }
    }

    async fn page_of_messages(&self, size: usize) -> Result<Page, ApiError> {
        let template = "/dm_events";
        let mut url = DIALECT.route(template).below(self.api);
        url.query_pairs_mut()
            .append_pair("max_results", &size.to_string())
            .append_pair("event_types", "MessageCreate")
            .append_pair("dm_event.fields", "created_at,sender_id,text")
            .append_pair("expansions", "sender_id");
        let answer = api::get(&DIALECT, self.http, (template, &url), Credential::Bearer(self.token)).await?;
        if answer.status() == StatusCode::FORBIDDEN {
            return Ok(Page::default());
        }
        let messages: TimelineAnswer<Message> = api::read(DIALECT.account, &answer)?;
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

/// Largest page of X, and the least number of posts.
const PAGE_SIZE: usize = 100;
const MIN_POSTS: usize = 5;

/// Answer of both timelines; empty fields are left out.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct TimelineAnswer<T> {
    #[serde(default = "Vec::new", deserialize_with = "lenient_list")]
    data: Vec<T>,
    #[serde(default)]
    includes: Includes,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Includes {
    #[serde(default, deserialize_with = "lenient_list")]
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
    /// Text; left out if the message is only a picture.
    #[serde(default)]
    text: String,
    sender_id: Id,
    created_at: Timestamp,
}

impl<T> TimelineAnswer<T> {
    /// Page of items with a notification. A sender missing in `includes` is named by the id.
    fn page(self, notification: impl Fn(T, &dyn Fn(Id) -> String) -> Option<PlatformNotification>) -> Page {
        let users = self.includes.users;
        let name = |id: Id| {
            let known = users.iter().find(|user| user.id == id);
            known.map_or(id.into(), |user| user.username.clone())
        };
        let items = self.data.into_iter().filter_map(|item| {
            let notification = notification(item, &name)?;
            Some(Item {
                id: notification.id.parse().ok()?,
                notification,
            })
        });
        Page {
            items: items.collect(),
            next: self.meta.next_token,
        }
    }
}

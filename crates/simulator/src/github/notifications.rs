//! `GET /notifications`: notifications of the account in pages, or 304 if nothing changed.

use axum::{
    Extension, Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use time::{
    UtcDateTime,
    format_description::{StaticFormatDescription, well_known::Rfc3339},
    macros::format_description,
};
use url::Url;

use crate::{
    inboxes::github::{Thread, rfc3339},
    world::World,
};

use super::{admission::Caller, problem};

/// Documented query parameters.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct NotificationsQuery {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    participating: bool,
    since: Option<String>,
    before: Option<String>,
    #[serde(default = "first_page")]
    page: usize,
    #[serde(default = "largest_page")]
    per_page: usize,
}

/// Filter of the notifications.
#[derive(Debug)]
struct Filter {
    all: bool,
    participating: bool,
    since: Option<UtcDateTime>,
    before: Option<UtcDateTime>,
}

pub(super) async fn list(
    State(world): State<World>,
    Extension(Caller(token)): Extension<Caller>,
    headers: HeaderMap,
    query: Result<Query<NotificationsQuery>, QueryRejection>,
) -> Response {
    if token
        .scopes
        .is_disjoint(&["notifications".to_owned(), "repo".to_owned()].into())
    {
        let answer = problem(StatusCode::FORBIDDEN, "Missing the 'notifications' scope.");
        return ([("x-accepted-oauth-scopes", "notifications, repo")], answer).into_response();
    }
    let Ok((Query(asked), filter)) = query
        .map_err(drop)
        .and_then(|query| Ok((query.clone(), filter(&query)?)))
    else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
    };
    let inbox = world.lock().github.inboxes.of(&token.login);
    let usage = [
        (header::LAST_MODIFIED, http_date(inbox.changed_at)),
        (header::HeaderName::from_static("x-poll-interval"), "60".to_owned()),
    ];
    if seen_at(&headers).is_some_and(|seen| seen >= inbox.changed_at) {
        return (StatusCode::NOT_MODIFIED, usage).into_response();
    }
    let wanted: Vec<&Thread> = inbox.threads.iter().filter(|thread| filter.wants(thread)).collect();
    let pages = wanted.len().div_ceil(asked.per_page).max(1);
    let page: Vec<Value> = wanted
        .iter()
        .skip((asked.page - 1).saturating_mul(asked.per_page))
        .take(asked.per_page)
        .map(|thread| written(&world, thread))
        .collect();
    let mut answer = (usage, Json(page)).into_response();
    if let Some(link) = links(&world, &asked, pages).and_then(|link| HeaderValue::try_from(link).ok()) {
        answer.headers_mut().insert(header::LINK, link);
    }
    answer
}

/// Filter of the query; an error if it is malformed.
fn filter(asked: &NotificationsQuery) -> Result<Filter, ()> {
    let time = |text: &Option<String>| {
        text.as_deref()
            .map(|text| UtcDateTime::parse(text, &Rfc3339))
            .transpose()
            .map_err(drop)
    };
    if asked.page == 0 || !(1..=largest_page()).contains(&asked.per_page) {
        return Err(());
    }
    Ok(Filter {
        all: asked.all,
        participating: asked.participating,
        since: time(&asked.since)?,
        before: time(&asked.before)?,
    })
}

impl Filter {
    fn wants(&self, thread: &Thread) -> bool {
        let takes_part = !matches!(
            thread.event.reason.as_str(),
            "subscribed" | "ci_activity" | "security_alert"
        );
        (self.all || thread.event.unread)
            && (!self.participating || takes_part)
            && self.since.is_none_or(|since| thread.updated_at > since)
            && self.before.is_none_or(|before| thread.updated_at < before)
    }
}

/// Notification in the format of the API.
fn written(world: &World, Thread { id, updated_at, event }: &Thread) -> Value {
    let api = format!("{}/github/api", world.base());
    let (owner, name) = event.repository.split_once('/').unwrap_or((&event.repository, ""));
    let subject = format!("{api}/repos/{}/issues/{id}", event.repository);
    json!({
        "id": id.to_string(),
        "unread": event.unread,
        "reason": event.reason,
        "updated_at": rfc3339(*updated_at),
        "last_read_at": (!event.unread).then(|| rfc3339(*updated_at)),
        "subject": {"title": event.title, "url": subject, "latest_comment_url": subject, "type": event.subject},
        "repository": {"name": name, "full_name": event.repository, "private": false, "owner": {"login": owner}},
        "url": format!("{api}/notifications/threads/{id}"),
        "subscription_url": format!("{api}/notifications/threads/{id}/subscription"),
    })
}

/// `Link` header (RFC 8288) with the reachable pages; none if there is only one page.
fn links(world: &World, asked: &NotificationsQuery, pages: usize) -> Option<String> {
    let to = |page: usize, relation: &str| {
        let mut url = Url::parse(&format!("{}/github/api/notifications", world.base())).ok()?;
        let mut query = url.query_pairs_mut();
        query.append_pair("all", &asked.all.to_string());
        query.append_pair("participating", &asked.participating.to_string());
        for (name, value) in [("since", &asked.since), ("before", &asked.before)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.append_pair("per_page", &asked.per_page.to_string());
        query.append_pair("page", &page.to_string());
        drop(query);
        Some(format!("<{url}>; rel=\"{relation}\""))
    };
    let back = (asked.page > 1).then(|| [to(asked.page - 1, "prev"), to(1, "first")]);
    let on = (asked.page < pages).then(|| [to(asked.page + 1, "next"), to(pages, "last")]);
    let links: Vec<String> = back.into_iter().chain(on).flatten().flatten().collect();
    (!links.is_empty()).then(|| links.join(", "))
}

/// Time of the caller's last successful poll.
fn seen_at(headers: &HeaderMap) -> Option<UtcDateTime> {
    UtcDateTime::parse(headers.get(header::IF_MODIFIED_SINCE)?.to_str().ok()?, HTTP_DATE).ok()
}

fn http_date(time: UtcDateTime) -> String {
    // The format never fails: every date has each of its parts.
    time.format(HTTP_DATE).unwrap_or_default()
}

/// The date format that HTTP servers send (RFC 9110 section 5.6.7).
const HTTP_DATE: StaticFormatDescription =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

fn first_page() -> usize {
    1
}

/// Default and maximum page size.
fn largest_page() -> usize {
    50
}

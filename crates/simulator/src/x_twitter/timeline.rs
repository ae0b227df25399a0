//! Timelines of X: pages, newest first, without empty fields.

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{allowed, problem, refusal};
use crate::{
    account::Account,
    inboxes::x_twitter::{Post, PostKind},
    world::World,
};

/// Query of a timeline. Fields and expansions are returned whether requested or not.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    since_id: Option<u64>,
    max_results: Option<usize>,
    pagination_token: Option<String>,
}

pub(super) async fn mentions(
    State(world): State<World>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let token = match allowed(&world, &headers, &[]) {
        Ok(token) => token,
        Err(status) => return refusal(status),
    };
    let size = wanted.max_results.unwrap_or(10);
    if Account::named(&token.login).snowflake() != id || !(5..=100).contains(&size) {
        return problem(StatusCode::BAD_REQUEST, "Invalid Request");
    }
    let posts = world
        .lock()
        .x_twitter
        .of(&token.login, |kind| kind != PostKind::Message);
    page(posts, &wanted, size, Post::mention)
}

pub(super) async fn messages(State(world): State<World>, Query(wanted): Query<Wanted>, headers: HeaderMap) -> Response {
    let token = match allowed(&world, &headers, &["dm.read"]) {
        Ok(token) => token,
        Err(status) => return refusal(status),
    };
    let posts = world
        .lock()
        .x_twitter
        .of(&token.login, |kind| kind == PostKind::Message);
    page(posts, &wanted, wanted.max_results.unwrap_or(100), Post::message)
}

fn page(posts: Vec<Post>, wanted: &Wanted, size: usize, show: impl Fn(&Post) -> Value) -> Response {
    let since = wanted.since_id.unwrap_or_default();
    // A page token is the first post that the page no longer has.
    let before = match wanted.pagination_token.as_deref().map(str::parse) {
        None => u64::MAX,
        Some(Ok(before)) => before,
        Some(Err(_)) => return problem(StatusCode::BAD_REQUEST, "Invalid Request"),
    };
    let all = posts.into_iter().filter(|post| since < post.id && post.id < before);
    let mut shown: Vec<Post> = all.take(size + 1).collect();
    let goes_on = shown.len() > size;
    shown.truncate(size);
    let (Some(newest), Some(oldest)) = (shown.first(), shown.last()) else {
        return Json(json!({ "meta": { "result_count": 0 } })).into_response();
    };
    let meta = json!({
        "result_count": shown.len(),
        "newest_id": newest.id.to_string(),
        "oldest_id": oldest.id.to_string(),
        "next_token": goes_on.then(|| oldest.id.to_string()),
    });
    let users: Vec<Value> = shown.iter().map(Post::introduction).collect();
    let data: Vec<Value> = shown.iter().map(show).collect();
    Json(json!({ "data": data, "includes": { "users": users }, "meta": meta })).into_response()
}

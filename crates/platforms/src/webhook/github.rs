//! GitHub: an HMAC in hexadecimal digits. A repository's or organisation's webhook tells of what was written there; it is news for
//! those whom the text names by `@login` and whose id the delivery itself carries: the author of the issue, its assignees, reviewers.
//! For others a login says nothing about who that is, as it may change hands.

use std::collections::BTreeMap;

use protocol::notification::NotificationType;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::{Request, WebhookDelivery, WebhookError, WebhookResponse, delivery_id, mac};
use crate::foreign::{self, Id};
use crate::platform::{AddressedNotification, PlatformNotification};

pub(super) fn read(secret: &Secret, request: &Request<'_>) -> Result<WebhookDelivery, WebhookError> {
    let signature = request.header("x-hub-signature-256")?;
    let signature = signature.strip_prefix("sha256=").and_then(mac::unhex::<32>);
    mac::verify(secret, request.body, &signature.ok_or(WebhookError::InvalidSignature)?)?;
    let unreadable = |_missing| WebhookError::Unreadable;
    let event = request.header("x-github-event").map_err(unreadable)?;
    let id = request.header("x-github-delivery").map_err(unreadable)?;
    Ok(WebhookDelivery {
        id: delivery_id(id)?,
        notifications: match written(&event) {
            Some(write) => mentions(&payload(request)?, write),
            None => Vec::new(),
        },
        // It tells GitHub Apps alone, which have no notifications.
        deauthorized: Vec::new(),
        response: WebhookResponse::Ok,
    })
}

/// The delivery, which is the body, or what the body's form calls `payload`: GitHub's settings offer both, and forms first.
fn payload(request: &Request<'_>) -> Result<Value, WebhookError> {
    let is_form = request.body.starts_with(FORM);
    match form_urlencoded::parse(request.body).next() {
        Some((_, payload)) if is_form => foreign::read(payload.as_bytes()).ok_or(WebhookError::Unreadable),
        _ => request.json(),
    }
}

/// The beginning of a form, which is none of JSON.
const FORM: &[u8] = b"payload=";

/// Where an event's text is, and in which action it is new.
struct Write {
    action: &'static str,
    field: &'static str,
}

fn written(event: &str) -> Option<Write> {
    let (action, field) = match event {
        "issue_comment" | "commit_comment" | "pull_request_review_comment" | "discussion_comment" => {
            ("created", "comment")
        }
        "pull_request_review" => ("submitted", "review"),
        "issues" => ("opened", "issue"),
        "pull_request" => ("opened", "pull_request"),
        "discussion" => ("created", "discussion"),
        _ => return None,
    };
    Some(Write { action, field })
}

#[derive(Deserialize)]
struct Text {
    id: Id,
    body: Option<String>,
    user: Person,
    #[serde(alias = "submitted_at")]
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct Person {
    login: String,
    id: Id,
}

fn mentions(delivery: &Value, Write { action, field }: Write) -> Vec<AddressedNotification> {
    let is_new = delivery.get("action").and_then(Value::as_str) == Some(action);
    let text = delivery.get(field).filter(|_| is_new);
    // What has no author or no date, as a deleted account's, is nobody's mention.
    let Some(text) = text.and_then(|text| Text::deserialize(text).ok()) else {
        return Vec::new();
    };
    let Some(body) = text.body else { return Vec::new() };
    let mut people = BTreeMap::new();
    find_people(delivery, &mut people);
    people.remove(&text.user.login.to_ascii_lowercase());
    let named = people.into_iter().filter(|(login, _)| names(&body, login));
    named
        .map(|(_, id)| AddressedNotification {
            platform_user_id: id.into(),
            notifications: PlatformNotification {
                id: format!("{field} {}", text.id),
                kind: NotificationType::Mention,
                content: body.clone(),
                sender: text.user.login.clone(),
                at: text.created_at,
            },
        })
        .collect()
}

/// Everybody whom the delivery speaks of, by login in lower case.
fn find_people(value: &Value, people: &mut BTreeMap<String, Id>) {
    match value {
        Value::Object(fields) => {
            if let Ok(person) = Person::deserialize(value) {
                people.insert(person.login.to_ascii_lowercase(), person.id);
            }
            fields.values().for_each(|value| find_people(value, people));
        }
        Value::Array(values) => values.iter().for_each(|value| find_people(value, people)),
        _ => {}
    }
}

/// Whether the text says `@login`, and not a longer name or an address.
fn names(text: &str, login: &str) -> bool {
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let lower = text.to_ascii_lowercase();
    let called = format!("@{login}");
    lower.match_indices(&called).any(|(at, _)| {
        let before = lower.get(..at).and_then(|before| before.chars().next_back());
        let after = lower.get(at + called.len()..).and_then(|after| after.chars().next());
        // `@org/team` calls a team.
        !before.is_some_and(of_a_name) && !after.is_some_and(|c| of_a_name(c) || c == '/')
    })
}

//! GitHub: HMAC in hexadecimal digits. The webhook of a repository or organisation delivers comments, issues and reviews; they
//! notify the users whom the text mentions by `@login` and whose id the delivery itself contains: the author of the issue, its
//! assignees, reviewers. For other users a login is no stable identity, because it may change hands.

use std::collections::BTreeMap;

use protocol::notification::NotificationType;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::{Request, WebhookDelivery, WebhookError, WebhookResponse, delivery_id, mac};
use crate::platform::{AddressedNotification, PlatformNotification};
use crate::untrusted::{self, Id};

pub(super) fn read(secret: &Secret, request: &Request<'_>) -> Result<WebhookDelivery, WebhookError> {
    let signature = request.header("x-hub-signature-256")?;
    let signature = signature.strip_prefix("sha256=").and_then(mac::decode_hex::<32>);
    mac::verify(secret, request.body, &signature.ok_or(WebhookError::InvalidSignature)?)?;
    let unreadable = |_missing| WebhookError::Unreadable;
    let event = request.header("x-github-event").map_err(unreadable)?;
    let id = request.header("x-github-delivery").map_err(unreadable)?;
    Ok(WebhookDelivery {
        id: delivery_id(id)?,
        notifications: match text_field(&event) {
            Some(write) => mentions(&payload(request)?, write),
            None => Vec::new(),
        },
        // GitHub reports revoked authorizations to GitHub Apps only, which have no notifications.
        deauthorized: Vec::new(),
        response: WebhookResponse::Ok,
    })
}

/// Payload of the delivery: the body, or field `payload` of a URL-encoded form. GitHub's settings offer both, the form first.
fn payload(request: &Request<'_>) -> Result<Value, WebhookError> {
    let is_urlencoded = request.body.starts_with(URLENCODED_START);
    match form_urlencoded::parse(request.body).next() {
        Some((_, payload)) if is_urlencoded => untrusted::read(payload.as_bytes()).ok_or(WebhookError::Unreadable),
        _ => request.json(),
    }
}

/// Beginning of a form, which no JSON text has.
const URLENCODED_START: &[u8] = b"payload=";

/// Field of an event that has the text, and the action in which the text is new.
struct TextField {
    action: &'static str,
    field: &'static str,
}

fn text_field(event: &str) -> Option<TextField> {
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
    Some(TextField { action, field })
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

fn mentions(delivery: &Value, TextField { action, field }: TextField) -> Vec<AddressedNotification> {
    let is_new = delivery.get("action").and_then(Value::as_str) == Some(action);
    let text = delivery.get(field).filter(|_| is_new);
    // A text without author or date, such as that of a deleted account, notifies nobody.
    let Some(text) = text.and_then(|text| Text::deserialize(text).ok()) else {
        return Vec::new();
    };
    let Some(body) = text.body else { return Vec::new() };
    let mut people = BTreeMap::new();
    collect_people(delivery, &mut people);
    people.remove(&text.user.login.to_ascii_lowercase());
    let mentioned = people.into_iter().filter(|(login, _)| mentions_login(&body, login));
    mentioned
        .map(|(_, id)| AddressedNotification {
            platform_user_id: id.into(),
            notification: PlatformNotification {
                id: format!("{field} {}", text.id),
                kind: NotificationType::Mention,
                content: body.clone(),
                sender: text.user.login.clone(),
                at: text.created_at,
            },
        })
        .collect()
}

/// Collects all users in the delivery, by login in lower case.
fn collect_people(value: &Value, people: &mut BTreeMap<String, Id>) {
    match value {
        Value::Object(fields) => {
            if let Ok(person) = Person::deserialize(value) {
                people.insert(person.login.to_ascii_lowercase(), person.id);
            }
            fields.values().for_each(|value| collect_people(value, people));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_people(value, people)),
        _ => {}
    }
}

/// Reports whether the text has `@login`, and not as part of a longer name or an address.
fn mentions_login(text: &str, login: &str) -> bool {
    let is_name_char = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let lower = text.to_ascii_lowercase();
    let mention = format!("@{login}");
    lower.match_indices(&mention).any(|(at, _)| {
        let before = lower.get(..at).and_then(|before| before.chars().next_back());
        let after = lower.get(at + mention.len()..).and_then(|after| after.chars().next());
        // `@org/team` mentions a team.
        !before.is_some_and(is_name_char) && !after.is_some_and(|c| is_name_char(c) || c == '/')
    })
}

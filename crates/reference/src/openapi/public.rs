//! Routes of the public port: the hosted callback and the webhooks of the platforms.

use protocol::account::AccountType;
use protocol::http_routes::{OAUTH_CALLBACK, PUBLIC, WEBHOOK};
use serde_json::{Map, Value, json};

use super::{ExportError, Paths};

/// Adds every public route of the gateway.
pub(super) fn add(paths: &mut Paths) -> Result<(), ExportError> {
    for (method, path) in PUBLIC {
        let described = operation(method, path);
        let operation = described.ok_or_else(|| ExportError::NotDescribed(format!("{method} {path}")))?;
        paths.add(method, path, "public", operation);
    }
    Ok(())
}

fn operation(method: &str, path: &str) -> Option<Value> {
    Some(match (method, path) {
        ("GET", OAUTH_CALLBACK) => receive(),
        ("POST", OAUTH_CALLBACK) => confirm(),
        ("GET", WEBHOOK) => challenge(),
        ("POST", WEBHOOK) => deliver(),
        _ => return None,
    })
}

fn receive() -> Value {
    json!({
        "operationId": "receiveAuthorization",
        "summary": "Receives a browser that a platform sends back, and shows the page that asks for the link.",
        "security": [],
        "parameters": [
            platform(),
            query("code", "Authorization code of the platform."),
            query("state", "State of `account:authorize`."),
            query("error", "Error of the platform, instead of a code."),
            query("iss", "Issuer of the answer (RFC 9207)."),
        ],
        "responses": pages(&["200", "400", "403", "404", "409", "429", "500", "502", "503", "504"]),
    })
}

fn confirm() -> Value {
    json!({
        "operationId": "confirmLink",
        "summary": "Links the account that the page has shown. The cookie of the page must come with it.",
        "security": [],
        "parameters": [platform()],
        "requestBody": {
            "required": true,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "required": ["token"],
                        "properties": {"token": {"type": "string", "description": "Token of the page."}},
                    },
                },
            },
        },
        "responses": pages(&["200", "400", "403", "404", "409", "429", "500", "502", "503", "504"]),
    })
}

fn challenge() -> Value {
    json!({
        "operationId": "answerChallenge",
        "summary": "Answers the challenge-response check of X; no other platform has one.",
        "security": [],
        "parameters": [platform(), query("crc_token", "Token to answer.")],
        "responses": webhook_responses(json!({
            "type": "object",
            "properties": {"response_token": {"type": "string", "description": "HMAC of the token."}},
        })),
    })
}

fn deliver() -> Value {
    json!({
        "operationId": "receiveDelivery",
        "summary": "Receives a delivery of a platform, signed by it.",
        "security": [],
        "parameters": [platform()],
        "requestBody": {
            "description": "Delivery in the platform's own form, at most 256 KiB.",
            "required": true,
            "content": {"application/json": {"schema": {}}},
        },
        "responses": webhook_responses(json!({})),
    })
}

fn platform() -> Value {
    let platforms = AccountType::ALL.map(AccountType::as_str);
    let schema = json!({"type": "string", "enum": platforms});
    json!({"name": "platform", "in": "path", "required": true, "schema": schema})
}

fn query(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": "string"}})
}

/// Responses that are pages, for a person.
fn pages(statuses: &[&str]) -> Value {
    let page = |status: &&str| {
        let description = if *status == "200" {
            "Page."
        } else {
            "Page that says what went wrong."
        };
        let response = json!({
            "description": description,
            "content": {"text/html": {"schema": {"type": "string"}}},
        });
        ((*status).to_owned(), response)
    };
    statuses.iter().map(page).collect::<Map<_, _>>().into()
}

fn webhook_responses(schema: Value) -> Value {
    let success = json!({
        "description": "Accepted; most deliveries are answered without a body.",
        "content": {"application/json": {"schema": schema}},
    });
    // Discord's deliveries are answered without a body.
    let empty = json!({"description": "Accepted, without a body."});
    let failure = |description: &str| {
        json!({
            "description": description,
            "content": {"application/json": {"schema": protocol::schema::reference_to("HttpFailure")}},
        })
    };
    json!({
        "200": success,
        "204": empty,
        "400": failure("The delivery cannot be read."),
        "401": failure("The signature is missing or wrong."),
        "404": failure("There is no such webhook."),
        "429": failure("Too many requests."),
        "500": failure("A fault of Postern."),
        "503": failure("Part of Postern is unavailable; the platform delivers again."),
    })
}

/// Schema of the body of a failed request of the public port.
pub(super) fn failure() -> Value {
    json!({
        "type": "object",
        "description": "Failure of a request to the public port.",
        "required": ["error", "message"],
        "properties": {
            "error": protocol::schema::reference_to("ErrorCode"),
            "message": {"type": "string", "description": "Message for a person."},
            "retryAfter": {"type": "integer", "minimum": 0, "description": "Seconds to wait."},
        },
    })
}

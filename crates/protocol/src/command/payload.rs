//! Reading of payloads.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::AccountType;
use crate::code::ErrorCode;
use crate::fault::Fault;
use crate::id::UserId;
use crate::json::lenient;
use crate::trace::TraceParent;

/// Payload of a command. Nothing here has a default: a payload that forgets its user does not compile.
pub(super) trait Payload {
    /// User that the payload names. It must be the token's own.
    fn user(&self) -> Option<&UserId>;

    /// Linked account that the payload names, or the platform that is to be linked.
    fn account_type(&self) -> Option<AccountType>;

    /// Texts whose length a client chooses: a job carries them to a worker, and costs what they do. Ids are bounded by their type,
    /// the token of `auth:refresh` by the size of a message; it is part of no job.
    fn texts(&self) -> Vec<BoundedText>;
}

/// Payload with nothing but its user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UserPayload {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
}

impl Payload for UserPayload {
    fn user(&self) -> Option<&UserId> {
        self.user_id.as_ref()
    }

    fn account_type(&self) -> Option<AccountType> {
        None
    }

    fn texts(&self) -> Vec<BoundedText> {
        Vec::new()
    }
}

/// Text of a payload, and its longest length.
pub(super) struct BoundedText {
    field: &'static str,
    bytes: usize,
    max: usize,
}

impl BoundedText {
    pub(super) fn new(field: &'static str, text: &str, max: usize) -> Self {
        Self {
            field,
            bytes: text.len(),
            max,
        }
    }

    /// Checks the length.
    ///
    /// # Errors
    /// [`InvalidCommand`] when the text is too long.
    pub(super) fn check(&self) -> Result<(), InvalidCommand> {
        if self.bytes <= self.max {
            return Ok(());
        }
        Err(InvalidCommand {
            field: self.field.to_owned(),
            problem: format!("a text of at most {} bytes was expected", self.max),
        })
    }
}

/// Longest code, token, name or state, in bytes; RFC 7636 section 4.1 bounds a PKCE verifier by the same.
pub(super) const MAX_WORD: usize = 128;

/// Payload that is not what its command needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidCommand {
    /// Path in the payload, `settings.sessionTimeout`; `data` for the payload itself.
    pub field: String,
    /// Description of the value that was expected. Never the value itself: it may be a secret.
    pub problem: String,
}

impl Fault for InvalidCommand {
    fn code(&self) -> ErrorCode {
        ErrorCode::BadRequest
    }
}

/// Idempotency key of a payload, under which a client may repeat a command and get the first result: 1 to 128 characters, beside
/// the payload's own fields.
///
/// # Errors
/// [`InvalidCommand`] when the field is present and not such a text.
pub fn idempotency_key(data: &Value) -> Result<Option<String>, InvalidCommand> {
    match data.get("idempotencyKey") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(key)) if (1..=128).contains(&key.len()) => Ok(Some(key.clone())),
        Some(_) => Err(InvalidCommand {
            field: "idempotencyKey".to_owned(),
            problem: "a text of 1 to 128 characters was expected".to_owned(),
        }),
    }
}

/// Trace context of a payload, beside its own fields: W3C `traceparent`. One that is not valid counts as none, since a command is not
/// refused for its trace.
#[must_use]
pub fn traceparent(data: &Value) -> Option<TraceParent> {
    data.get("traceparent")?.as_str()?.parse().ok()
}

/// Reads an untrusted payload; null counts as an empty object.
///
/// # Errors
/// [`InvalidCommand`], which names the field and never its value.
pub fn read<T: DeserializeOwned>(data: Value) -> Result<T, InvalidCommand> {
    let data = if data.is_null() {
        Value::Object(serde_json::Map::new())
    } else {
        data
    };
    if !data.is_object() {
        return Err(InvalidCommand {
            field: "data".to_owned(),
            problem: "an object was expected".to_owned(),
        });
    }
    lenient::read(data).map_err(|error| invalid(&error))
}

/// Splits serde's report into field and problem. serde quotes the offending value after `invalid type:` or `invalid value:`; only
/// the expected value is kept.
fn invalid(error: &serde_path_to_error::Error<serde_json::Error>) -> InvalidCommand {
    let report = error.inner().to_string();
    let path = error.path().to_string();
    if let Some(missing) = report
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
    {
        let field = if path == "." {
            missing.to_owned()
        } else {
            format!("{path}.{missing}")
        };
        return InvalidCommand {
            field,
            problem: "this field is required".to_owned(),
        };
    }
    let field = if path == "." { "data".to_owned() } else { path };
    let problem = match report.rsplit_once("expected ") {
        Some((_, expected)) => format!("{expected} was expected"),
        None => "this value is not allowed".to_owned(),
    };
    InvalidCommand { field, problem }
}

//! What the client asks: one type per command, one table of their names, and one of what varies between them.

mod policy;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::AccountType;
use crate::answer::Failure;
use crate::cluster::job::Lane;
use crate::code::ErrorCode;
use crate::fault::Fault;
use crate::id::{AlertId, UserId};
use crate::json::lenient;
use crate::secret::Secret;
use crate::security::SettingsChange;

pub use self::policy::{CommandPolicy, Cost, LimitScope, PerMinute};

/// A command as the client's payload says it, checked for shape, not yet for permission.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", content = "data")]
pub enum Command {
    /// Begin linking an account.
    #[serde(rename = "account:authorize")]
    Authorize(Authorize),
    /// Link an account with a code of the platform.
    #[serde(rename = "account:connect")]
    Connect(Connect),
    /// Unlink an account.
    #[serde(rename = "account:disconnect")]
    Disconnect(AccountPayload),
    /// Fetch what is new on the platform.
    #[serde(rename = "account:sync")]
    Sync(AccountPayload),
    /// List linked accounts.
    #[serde(rename = "account:list")]
    List(Plain),
    /// Give a second factor.
    #[serde(rename = "security:verify_2fa")]
    VerifyTwoFactor(VerifyTwoFactor),
    /// Ask for a one-time confirmation token.
    #[serde(rename = "security:request_confirmation")]
    RequestConfirmation(RequestConfirmation),
    /// Unlink everything.
    #[serde(rename = "security:revoke_all")]
    RevokeAll(RevokeAll),
    /// Read the security settings.
    #[serde(rename = "security:get_settings")]
    GetSettings(Plain),
    /// Change the security settings.
    #[serde(rename = "security:update_settings")]
    UpdateSettings(UpdateSettings),
    /// Move the session's end.
    #[serde(rename = "security:extend_session")]
    ExtendSession(Plain),
    /// List the user's sessions.
    #[serde(rename = "security:sessions")]
    Sessions(Plain),
    /// End one session or all others.
    #[serde(rename = "security:end_sessions")]
    EndSessions(EndSessions),
    /// Acknowledge an alert.
    #[serde(rename = "security:ack")]
    Acknowledge(Acknowledge),
    /// Read past alerts.
    #[serde(rename = "security:alerts")]
    Alerts(Alerts),
    /// Replace the token of this socket.
    #[serde(rename = "auth:refresh")]
    Refresh(Refresh),
}

/// Which command, without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CommandKind {
    /// `account:authorize`
    Authorize,
    /// `account:connect`
    Connect,
    /// `account:disconnect`
    Disconnect,
    /// `account:sync`
    Sync,
    /// `account:list`
    List,
    /// `security:verify_2fa`
    VerifyTwoFactor,
    /// `security:request_confirmation`
    RequestConfirmation,
    /// `security:revoke_all`
    RevokeAll,
    /// `security:get_settings`
    GetSettings,
    /// `security:update_settings`
    UpdateSettings,
    /// `security:extend_session`
    ExtendSession,
    /// `security:sessions`
    Sessions,
    /// `security:end_sessions`
    EndSessions,
    /// `security:ack`
    Acknowledge,
    /// `security:alerts`
    Alerts,
    /// `auth:refresh`
    Refresh,
}

impl CommandKind {
    /// Every command, in the order of docs/protocol.md.
    pub const ALL: [Self; 16] = [
        Self::Authorize,
        Self::Connect,
        Self::Disconnect,
        Self::Sync,
        Self::List,
        Self::VerifyTwoFactor,
        Self::RequestConfirmation,
        Self::RevokeAll,
        Self::GetSettings,
        Self::UpdateSettings,
        Self::ExtendSession,
        Self::Sessions,
        Self::EndSessions,
        Self::Acknowledge,
        Self::Alerts,
        Self::Refresh,
    ];

    /// The command of this event name.
    #[must_use]
    pub fn of_event(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.event() == name)
    }

    /// The event the client sends.
    #[must_use]
    pub fn event(self) -> &'static str {
        self.row().0
    }

    /// The event the client is answered with, success or failure.
    #[must_use]
    pub fn response_event(self) -> &'static str {
        self.row().1
    }

    /// Which queue its job waits in.
    #[must_use]
    pub fn lane(self) -> Lane {
        self.policy().lane
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Authorize => ("account:authorize", "account:authorize_response"),
            Self::Connect => ("account:connect", "account:connect_response"),
            Self::Disconnect => ("account:disconnect", "account:disconnect_response"),
            Self::Sync => ("account:sync", "account:sync_complete"),
            Self::List => ("account:list", "account:list_response"),
            Self::VerifyTwoFactor => ("security:verify_2fa", "security:2fa_verified"),
            Self::RequestConfirmation => ("security:request_confirmation", "security:confirmation"),
            Self::RevokeAll => ("security:revoke_all", "security:revoke_complete"),
            Self::GetSettings => ("security:get_settings", "security:settings"),
            Self::UpdateSettings => ("security:update_settings", "security:update_settings_response"),
            Self::ExtendSession => ("security:extend_session", "security:session_extended"),
            Self::Sessions => ("security:sessions", "security:sessions_response"),
            Self::EndSessions => ("security:end_sessions", "security:end_sessions_response"),
            Self::Acknowledge => ("security:ack", "security:ack_response"),
            Self::Alerts => ("security:alerts", "security:alerts_response"),
            Self::Refresh => ("auth:refresh", "auth:refreshed"),
        }
    }

    /// Adds to a failure what this command's answer always has; `data` is the client's payload.
    #[must_use]
    pub fn failure(self, failure: Failure, data: &Value) -> Failure {
        let named = || data.get("accountType").and_then(Value::as_str).map(ToOwned::to_owned);
        match self {
            Self::Disconnect => Failure {
                account_type: failure.account_type.or_else(named),
                ..failure
            },
            Self::Sync => Failure {
                last_synced: failure.last_synced.or(Some(None)),
                ..failure
            },
            Self::RevokeAll => Failure {
                accounts_disconnected: Some(0),
                ..failure
            },
            _ => failure,
        }
    }
}

impl Command {
    /// Reads a client's event.
    ///
    /// # Errors
    /// [`InvalidCommand`], which names the field and never its value.
    pub fn parse(kind: CommandKind, data: Value) -> Result<Self, InvalidCommand> {
        let command = match kind {
            CommandKind::Authorize => Self::Authorize(read(data)?),
            CommandKind::Connect => Self::Connect(read(data)?),
            CommandKind::Disconnect => Self::Disconnect(read(data)?),
            CommandKind::Sync => Self::Sync(read(data)?),
            CommandKind::List => Self::List(read(data)?),
            CommandKind::VerifyTwoFactor => Self::VerifyTwoFactor(read(data)?),
            CommandKind::RequestConfirmation => Self::RequestConfirmation(read(data)?),
            CommandKind::RevokeAll => Self::RevokeAll(read(data)?),
            CommandKind::GetSettings => Self::GetSettings(read(data)?),
            CommandKind::UpdateSettings => Self::UpdateSettings(read(data)?),
            CommandKind::ExtendSession => Self::ExtendSession(read(data)?),
            CommandKind::Sessions => Self::Sessions(read(data)?),
            CommandKind::EndSessions => Self::EndSessions(read(data)?),
            CommandKind::Acknowledge => Self::Acknowledge(read(data)?),
            CommandKind::Alerts => Self::Alerts(read(data)?),
            CommandKind::Refresh => Self::Refresh(read(data)?),
        };
        match command.texts().into_iter().find(|text| text.bytes > text.most) {
            Some(text) => Err(text.too_long()),
            None => Ok(command),
        }
    }

    /// The texts whose length a client chooses: a job carries them to a worker, and costs what they do. Ids are bounded by their
    /// type, a token of `auth:refresh` by the size of a message and goes into no job.
    fn texts(&self) -> Vec<Text> {
        let bytes = |secret: &Option<Secret>| secret.as_ref().map_or(0, |secret| secret.expose().len());
        match self {
            Self::Authorize(data) => vec![Text::new("redirectUri", data.redirect_uri.len(), MAX_URI)],
            Self::Connect(data) => vec![
                Text::new("redirectUri", data.redirect_uri.len(), MAX_URI),
                Text::new("oauthCode", data.oauth_code.expose().len(), MAX_CODE),
                Text::new("state", bytes(&data.state), MAX_WORD),
                Text::new("codeVerifier", bytes(&data.code_verifier), MAX_WORD),
            ],
            Self::VerifyTwoFactor(data) => vec![
                Text::new("sessionId", data.session_id.len(), MAX_WORD),
                Text::new("token", data.token.expose().len(), MAX_WORD),
            ],
            Self::RequestConfirmation(data) => vec![Text::new("action", data.action.len(), MAX_WORD)],
            Self::RevokeAll(data) => {
                let bytes = data.confirmation_token.expose().len();
                vec![Text::new("confirmationToken", bytes, MAX_WORD)]
            }
            Self::UpdateSettings(data) => {
                let bytes = data.settings.address.as_ref().map_or(0, String::len);
                vec![Text::new("settings.address", bytes, MAX_ADDRESS)]
            }
            Self::EndSessions(data) => vec![Text::new("sessionId", data.session_id.len(), MAX_WORD)],
            Self::Disconnect(_)
            | Self::Sync(_)
            | Self::List(_)
            | Self::GetSettings(_)
            | Self::ExtendSession(_)
            | Self::Sessions(_)
            | Self::Acknowledge(_)
            | Self::Alerts(_)
            | Self::Refresh(_) => Vec::new(),
        }
    }

    /// Which command it is.
    #[must_use]
    pub fn kind(&self) -> CommandKind {
        match self {
            Self::Authorize(_) => CommandKind::Authorize,
            Self::Connect(_) => CommandKind::Connect,
            Self::Disconnect(_) => CommandKind::Disconnect,
            Self::Sync(_) => CommandKind::Sync,
            Self::List(_) => CommandKind::List,
            Self::VerifyTwoFactor(_) => CommandKind::VerifyTwoFactor,
            Self::RequestConfirmation(_) => CommandKind::RequestConfirmation,
            Self::RevokeAll(_) => CommandKind::RevokeAll,
            Self::GetSettings(_) => CommandKind::GetSettings,
            Self::UpdateSettings(_) => CommandKind::UpdateSettings,
            Self::ExtendSession(_) => CommandKind::ExtendSession,
            Self::Sessions(_) => CommandKind::Sessions,
            Self::EndSessions(_) => CommandKind::EndSessions,
            Self::Acknowledge(_) => CommandKind::Acknowledge,
            Self::Alerts(_) => CommandKind::Alerts,
            Self::Refresh(_) => CommandKind::Refresh,
        }
    }

    /// The linked account that the payload names, or the platform that is to be linked.
    #[must_use]
    pub fn account_type(&self) -> Option<AccountType> {
        match self {
            Self::Authorize(data) => Some(data.account_type),
            Self::Connect(data) => Some(data.account_type),
            Self::Disconnect(data) | Self::Sync(data) => Some(data.account_type),
            Self::List(_)
            | Self::VerifyTwoFactor(_)
            | Self::RequestConfirmation(_)
            | Self::RevokeAll(_)
            | Self::GetSettings(_)
            | Self::UpdateSettings(_)
            | Self::ExtendSession(_)
            | Self::Sessions(_)
            | Self::EndSessions(_)
            | Self::Acknowledge(_)
            | Self::Alerts(_)
            | Self::Refresh(_) => None,
        }
    }

    /// The user the payload names. It must be the token's own.
    #[must_use]
    pub fn named_user(&self) -> Option<&UserId> {
        match self {
            Self::Authorize(data) => data.user_id.as_ref(),
            Self::Connect(data) => Some(&data.user_id),
            Self::Disconnect(data) | Self::Sync(data) => Some(&data.user_id),
            Self::VerifyTwoFactor(data) => Some(&data.user_id),
            Self::RequestConfirmation(data) => data.user_id.as_ref(),
            Self::RevokeAll(data) => Some(&data.user_id),
            Self::UpdateSettings(data) => Some(&data.user_id),
            Self::EndSessions(data) => data.user_id.as_ref(),
            Self::Acknowledge(data) => data.user_id.as_ref(),
            Self::Alerts(data) => data.user_id.as_ref(),
            Self::Refresh(data) => data.user_id.as_ref(),
            Self::List(data) | Self::GetSettings(data) | Self::ExtendSession(data) | Self::Sessions(data) => {
                data.user_id.as_ref()
            }
        }
    }
}

/// A text of a payload, and how long it may be.
struct Text {
    field: &'static str,
    bytes: usize,
    most: usize,
}

impl Text {
    fn new(field: &'static str, bytes: usize, most: usize) -> Self {
        Self { field, bytes, most }
    }

    fn too_long(&self) -> InvalidCommand {
        InvalidCommand {
            field: self.field.to_owned(),
            problem: format!("a text of at most {} bytes was expected", self.most),
        }
    }
}

/// The longest redirect URI, in bytes.
const MAX_URI: usize = 2_048;
/// The longest authorization code: no platform's comes near it.
const MAX_CODE: usize = 4_096;
/// The longest code, token, name or state of ours; RFC 7636 section 4.1 bounds a PKCE verifier by the same.
const MAX_WORD: usize = 128;
/// The longest address that codes are sent to (RFC 5321 section 4.5.3.1.3).
const MAX_ADDRESS: usize = 256;

/// The name under which a client may repeat a command and get the first result: 1 to 128 characters, beside the payload's own
/// fields.
///
/// # Errors
/// [`InvalidCommand`] when it is there and is no such text.
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

/// A payload that is not what its command needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidCommand {
    /// Where in the payload, `settings.sessionTimeout`; `data` for the payload itself.
    pub field: String,
    /// What was expected there. Never the value: it may be a secret.
    pub problem: String,
}

impl Fault for InvalidCommand {
    fn code(&self) -> ErrorCode {
        ErrorCode::BadRequest
    }
}

/// Reads a payload that came from outside; none at all counts as an empty object.
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

/// Turns serde's report into field and problem. serde quotes the offending value after `invalid type:` or `invalid value:`; only
/// what was expected is kept.
fn invalid(error: &serde_path_to_error::Error<serde_json::Error>) -> InvalidCommand {
    let said = error.inner().to_string();
    let path = error.path().to_string();
    if let Some(missing) = said
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
    let problem = match said.rsplit_once("expected ") {
        Some((_, expected)) => format!("{expected} was expected"),
        None => "this value is not allowed".to_owned(),
    };
    InvalidCommand { field, problem }
}

/// `account:authorize`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorize {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Which platform.
    pub account_type: AccountType,
    /// Where the platform sends the user back to, byte for byte.
    pub redirect_uri: String,
}

/// `account:connect`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connect {
    /// The caller.
    pub user_id: UserId,
    /// Which platform.
    pub account_type: AccountType,
    /// The code from the platform's callback.
    pub oauth_code: Secret,
    /// The redirect URI that the code was issued for.
    pub redirect_uri: String,
    /// The state of `account:authorize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Secret>,
    /// The PKCE verifier (RFC 7636), where the application ran the authorization itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_verifier: Option<Secret>,
}

/// `account:disconnect` and `account:sync`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountPayload {
    /// The caller.
    pub user_id: UserId,
    /// Which platform.
    pub account_type: AccountType,
}

/// A command that says nothing more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plain {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
}

/// `security:verify_2fa`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyTwoFactor {
    /// The caller.
    pub user_id: UserId,
    /// The challenge.
    pub session_id: String,
    /// The code, or a recovery code.
    pub token: Secret,
}

/// `security:request_confirmation`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestConfirmation {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The event name of the command to confirm.
    pub action: String,
}

/// `security:revoke_all`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokeAll {
    /// The caller.
    pub user_id: UserId,
    /// From `security:request_confirmation`.
    pub confirmation_token: Secret,
}

/// `security:update_settings`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateSettings {
    /// The caller.
    pub user_id: UserId,
    /// What to change.
    pub settings: SettingsChange,
}

/// `security:end_sessions`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndSessions {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// One session, or `others`.
    pub session_id: String,
}

/// `security:ack`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledge {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Which alert.
    pub alert_id: AlertId,
}

/// `security:alerts`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alerts {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Only alerts after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<AlertId>,
}

/// `auth:refresh`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refresh {
    /// The caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The new token.
    pub token: Secret,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(kind: CommandKind, data: Value) -> String {
        Command::parse(kind, data).unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_names_the_field_and_not_the_value() {
        let connect = json!({"userId": "u", "accountType": "github", "redirectUri": "https://app/cb"});
        assert_eq!(
            refusal(CommandKind::Connect, connect),
            "oauthCode: this field is required"
        );
        let wrong =
            json!({"userId": "u", "accountType": "github", "oauthCode": 271828, "redirectUri": "https://app/cb"});
        assert_eq!(refusal(CommandKind::Connect, wrong), "oauthCode: a string was expected");
        let nested = json!({"userId": "u", "settings": {"sessionTimeout": "long"}});
        assert_eq!(
            refusal(CommandKind::UpdateSettings, nested),
            "settings.sessionTimeout: u32 was expected"
        );
        let platform = json!({"userId": "u", "accountType": "myspace"});
        assert_eq!(
            refusal(CommandKind::Sync, platform),
            "accountType: one of `telegram`, `x_twitter`, `discord`, `github` was expected"
        );
        assert_eq!(refusal(CommandKind::List, json!([1])), "data: an object was expected");
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_by_its_field() {
        let refused = |kind, field: &str, most: usize| {
            let mut data = json!({
                "userId": "u", "accountType": "github", "oauthCode": "c", "redirectUri": "https://app/cb",
                "sessionId": "s", "token": "t", "action": "a", "confirmationToken": "t", "settings": {},
            });
            let place = format!("/{}", field.replace('.', "/"));
            let mut put = |bytes: usize| {
                let text = json!("x".repeat(bytes));
                let (parent, name) = place.rsplit_once('/').unwrap();
                data.pointer_mut(parent).unwrap()[name] = text;
                Command::parse(kind, data.clone()).map(drop)
            };
            assert_eq!(put(most), Ok(()), "{field}");
            let sentence = put(most + 1).unwrap_err().to_string();
            assert_eq!(
                sentence,
                format!("{field}: a text of at most {most} bytes was expected")
            );
        };
        refused(CommandKind::Authorize, "redirectUri", 2_048);
        refused(CommandKind::Connect, "redirectUri", 2_048);
        refused(CommandKind::Connect, "oauthCode", 4_096);
        refused(CommandKind::Connect, "state", 128);
        refused(CommandKind::Connect, "codeVerifier", 128);
        refused(CommandKind::VerifyTwoFactor, "sessionId", 128);
        refused(CommandKind::VerifyTwoFactor, "token", 128);
        refused(CommandKind::RequestConfirmation, "action", 128);
        refused(CommandKind::RevokeAll, "confirmationToken", 128);
        refused(CommandKind::UpdateSettings, "settings.address", 256);
        refused(CommandKind::EndSessions, "sessionId", 128);
    }

    #[test]
    fn no_data_counts_as_an_empty_object() {
        assert!(Command::parse(CommandKind::List, Value::Null).is_ok());
    }

    #[test]
    fn a_command_travels_under_its_event_name() {
        for kind in CommandKind::ALL {
            assert_eq!(CommandKind::of_event(kind.event()), Some(kind));
        }
        let sync = Command::parse(CommandKind::Sync, json!({"userId": "u", "accountType": "github"})).unwrap();
        assert_eq!(
            serde_json::to_value(&sync).unwrap(),
            json!({"event": "account:sync", "data": {"userId": "u", "accountType": "github"}})
        );
    }
}

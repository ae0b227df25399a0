//! Commands of clients: payloads, answers, and the policy table with one row for each.

mod account;
mod payload;
mod policy;
mod security;
mod session;

use serde_json::Value;

use crate::account::AccountType;
use crate::answer::Failure;
use crate::id::UserId;
use crate::lane::Lane;

pub use self::account::*;
pub use self::payload::{InvalidCommand, UserPayload, idempotency_key, read, traceparent};
pub use self::policy::*;
pub use self::security::*;
pub use self::session::*;

impl CommandKind {
    /// Finds the command of an event name.
    #[must_use]
    pub fn of_event(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.event() == name)
    }

    /// Event that the client sends.
    #[must_use]
    pub fn event(self) -> &'static str {
        self.policy().event
    }

    /// Event of the answer, success or failure.
    #[must_use]
    pub fn response_event(self) -> &'static str {
        self.policy().response_event
    }

    /// Queue of its job.
    #[must_use]
    pub fn lane(self) -> Lane {
        self.policy().lane
    }

    /// Adds to a failure the fields that it shares with the success; `data` is the client's payload.
    #[must_use]
    pub fn failure(self, failure: Failure, data: &Value) -> Failure {
        let named = || data.get("accountType").and_then(Value::as_str).map(ToOwned::to_owned);
        match self.policy().failure_fields {
            FailureFields::Common => failure,
            FailureFields::AccountType => Failure {
                account_type: failure.account_type.or_else(named),
                ..failure
            },
            FailureFields::LastSynced => Failure {
                last_synced: failure.last_synced.or(Some(None)),
                ..failure
            },
            FailureFields::AccountsDisconnected => Failure {
                accounts_disconnected: Some(0),
                ..failure
            },
        }
    }
}

impl Command {
    /// Reads a client's event.
    ///
    /// # Errors
    /// [`InvalidCommand`], which names the field and never its value.
    pub fn parse(kind: CommandKind, data: Value) -> Result<Self, InvalidCommand> {
        let command = Self::read(kind, data)?;
        for text in command.payload().texts() {
            text.check()?;
        }
        Ok(command)
    }

    /// Reports whether a second factor must have been given recently on the same socket, where one is on.
    #[must_use]
    pub fn needs_second_factor(&self) -> bool {
        match self.kind().policy().second_factor {
            SecondFactor::NotNeeded | SecondFactor::Confirmed | SecondFactor::NeededForOwnAlert => false,
            SecondFactor::Needed => true,
            SecondFactor::NeededWithoutState => !matches!(self, Self::Connect(Connect { state: Some(_), .. })),
        }
    }

    /// Linked account that the payload names, or the platform that is to be linked.
    #[must_use]
    pub fn account_type(&self) -> Option<AccountType> {
        self.payload().account_type()
    }

    /// User that the payload names. It must be the token's own.
    #[must_use]
    pub fn named_user(&self) -> Option<&UserId> {
        self.payload().user()
    }
}

impl Answer {
    /// Reports whether the payload has secrets of its user.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        match self.kind().policy().secrets {
            AnswerSecrets::Never => false,
            AnswerSecrets::Always => true,
            AnswerSecrets::OnEnrolment => !matches!(
                self,
                Self::VerifyTwoFactor(VerifyTwoFactorAnswer {
                    recovery_codes: None,
                    ..
                }) | Self::UpdateSettings(UpdateSettingsAnswer { enrolment: None, .. })
            ),
        }
    }
}

/// Schema of the name of a command that needs a confirmation.
#[cfg(feature = "schema")]
fn confirmed_commands(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let confirmed = CommandKind::ALL
        .into_iter()
        .filter(|kind| kind.policy().second_factor == SecondFactor::Confirmed);
    schemars::json_schema!({
        "type": "string",
        "enum": confirmed.map(CommandKind::event).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(kind: CommandKind, data: Value) -> String {
        Command::parse(kind, data).unwrap_err().to_string()
    }

    #[test]
    fn invalid_payload_names_the_field_and_not_the_value() {
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
    fn too_long_text_is_refused_by_its_field() {
        let refused = |kind, field: &str, most: usize| {
            let mut data = json!({
                "userId": "u", "accountType": "github", "oauthCode": "c", "redirectUri": "https://app/cb",
                "sessionId": "s", "token": "t", "action": "a", "confirmationToken": "t", "settings": {},
            });
            let path = format!("/{}", field.replace('.', "/"));
            let mut put = |bytes: usize| {
                let text = json!("x".repeat(bytes));
                let (parent, name) = path.rsplit_once('/').unwrap();
                data.pointer_mut(parent).unwrap()[name] = text;
                Command::parse(kind, data.clone()).map(drop)
            };
            assert_eq!(put(most), Ok(()), "{field}");
            let message = put(most + 1).unwrap_err().to_string();
            assert_eq!(message, format!("{field}: a text of at most {most} bytes was expected"));
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
    fn missing_data_counts_as_an_empty_object() {
        assert!(Command::parse(CommandKind::List, Value::Null).is_ok());
    }

    #[test]
    fn command_is_written_under_its_event_name() {
        for kind in CommandKind::ALL {
            assert_eq!(CommandKind::of_event(kind.event()), Some(kind));
        }
        let sync = Command::parse(CommandKind::Sync, json!({"userId": "u", "accountType": "github"})).unwrap();
        assert_eq!(
            serde_json::to_value(&sync).unwrap(),
            json!({"event": "account:sync", "data": {"userId": "u", "accountType": "github"}})
        );
    }

    #[test]
    fn sensitive_commands_need_a_second_factor() {
        let data = |more: Value| {
            let mut data = json!({
                "userId": "u", "accountType": "github", "oauthCode": "c", "redirectUri": "https://app/cb", "sessionId": "s",
                "token": "t", "action": "a", "confirmationToken": "t", "settings": {}, "alertId": "a",
            });
            data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            data
        };
        let needs = |kind, more| Command::parse(kind, data(more)).unwrap().needs_second_factor();
        let sensitive: Vec<_> = CommandKind::ALL
            .into_iter()
            .filter(|kind| needs(*kind, json!({})))
            .collect();
        assert_eq!(
            sensitive,
            [
                CommandKind::Authorize,
                CommandKind::Connect,
                CommandKind::Disconnect,
                CommandKind::RequestConfirmation,
                CommandKind::UpdateSettings,
                CommandKind::EndSessions,
            ]
        );
        assert!(!needs(CommandKind::Connect, json!({"state": "s"})));
    }
}

//! Policy of the commands: one row for each, with everything that varies between them.

mod define;
mod field;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::define::commands;
use super::account::{
    AccountPayload, Authorize, AuthorizeAnswer, Connect, ConnectAnswer, DisconnectAnswer, ListAnswer, SyncAnswer,
};
use super::payload::{InvalidCommand, Payload, UserPayload, read};
use super::security::{
    Acknowledge, AcknowledgeAnswer, Alerts, AlertsAnswer, GetSettingsAnswer, RequestConfirmation,
    RequestConfirmationAnswer, RevokeAll, RevokeAllAnswer, UpdateSettings, UpdateSettingsAnswer, VerifyTwoFactor,
    VerifyTwoFactorAnswer,
};
use super::session::{EndSessions, EndSessionsAnswer, ExtendSessionAnswer, Refresh, RefreshAnswer, SessionsAnswer};
use crate::answer::success;
use crate::audit::AuditAction;
use crate::json::Json;
use crate::lane::Lane;

pub use self::field::{
    AnswerSecrets, CommandPolicy, Cost, Effect, Executor, FailureFields, LimitScope, PerMinute, Relay, SecondFactor,
    SessionStep, SignInAge,
};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

#[rustfmt::skip]
commands! {
    /// Begins linking an account.
    Authorize ("account:authorize", Authorize) -> ("account:authorize_response", AuthorizeAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Commands(1), limit: Some(PerMinute(10, LimitScope::User)),
        session: SessionStep::Check, second_factor: SecondFactor::Needed, sign_in: SignInAge::Any,
        effect: Effect::Read, relay: Relay::NotNeeded,
        retention: minutes(5), secrets: AnswerSecrets::Always,
        audit: &[],
    }
    /// Links an account with a code of the platform.
    Connect ("account:connect", Connect) -> ("account:connect_response", ConnectAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Commands(1), limit: Some(PerMinute(10, LimitScope::User)),
        session: SessionStep::Check, second_factor: SecondFactor::NeededWithoutState, sign_in: SignInAge::Any,
        effect: Effect::Write, relay: Relay::WithAnswer,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[AuditAction::AccountLinked, AuditAction::AccountRenewed, AuditAction::LinkRefused],
    }
    /// Unlinks an account.
    Disconnect ("account:disconnect", AccountPayload) -> ("account:disconnect_response", DisconnectAnswer) {
        failure_fields: FailureFields::AccountType,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Commands(1), limit: Some(PerMinute(10, LimitScope::User)),
        session: SessionStep::Check, second_factor: SecondFactor::Needed, sign_in: SignInAge::Any,
        effect: Effect::Write, relay: Relay::WithAnswer,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[AuditAction::AccountUnlinked],
    }
    /// Fetches profile and notifications from the platform.
    Sync ("account:sync", AccountPayload) -> ("account:sync_complete", SyncAnswer) {
        failure_fields: FailureFields::LastSynced,
        executor: Executor::Worker, lane: Lane::Platform, deadline: seconds(30),
        cost: Cost::Commands(1), limit: Some(PerMinute(6, LimitScope::Account)),
        session: SessionStep::Check, second_factor: SecondFactor::NotNeeded, sign_in: SignInAge::Any,
        effect: Effect::Write, relay: Relay::WithAnswer,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[AuditAction::AccountDisconnected],
    }
    /// Lists linked accounts.
    List ("account:list", UserPayload) -> ("account:list_response", ListAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Commands(1), limit: None,
        session: SessionStep::Check, second_factor: SecondFactor::NotNeeded, sign_in: SignInAge::Any,
        effect: Effect::Read, relay: Relay::NotNeeded,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[],
    }
    /// Gives a second factor.
    VerifyTwoFactor ("security:verify_2fa", VerifyTwoFactor) -> ("security:2fa_verified", VerifyTwoFactorAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Worker, lane: Lane::SignIn, deadline: seconds(10),
        cost: Cost::Protection(1), limit: None,
        session: SessionStep::Renew, second_factor: SecondFactor::NotNeeded, sign_in: SignInAge::Any,
        effect: Effect::Write, relay: Relay::WithAnswer,
        retention: minutes(5), secrets: AnswerSecrets::OnEnrolment,
        audit: &[AuditAction::FactorVerified, AuditAction::FactorEnabled],
    }
    /// Asks for a one-time confirmation token.
    RequestConfirmation ("security:request_confirmation", RequestConfirmation) -> ("security:confirmation", RequestConfirmationAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Protection(1), limit: Some(PerMinute(10, LimitScope::Session)),
        session: SessionStep::Check, second_factor: SecondFactor::Needed, sign_in: SignInAge::Any,
        effect: Effect::Write, relay: Relay::NotNeeded,
        retention: minutes(5), secrets: AnswerSecrets::Always,
        audit: &[AuditAction::ConfirmationIssued],
    }
    /// Unlinks all accounts.
    RevokeAll ("security:revoke_all", RevokeAll) -> ("security:revoke_complete", RevokeAllAnswer) {
        failure_fields: FailureFields::AccountsDisconnected,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Protection(1), limit: Some(PerMinute(10, LimitScope::Session)),
        session: SessionStep::Check, second_factor: SecondFactor::Confirmed, sign_in: SignInAge::Any,
        effect: Effect::Write, relay: Relay::WithAnswer,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[AuditAction::AccountUnlinked, AuditAction::LinkRefused, AuditAction::AccessRevoked],
    }
    /// Reads the security settings.
    GetSettings ("security:get_settings", UserPayload) -> ("security:settings", GetSettingsAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Commands(1), limit: None,
        session: SessionStep::Check, second_factor: SecondFactor::NotNeeded, sign_in: SignInAge::Any,
        effect: Effect::Read, relay: Relay::NotNeeded,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[],
    }
    /// Changes the security settings.
    UpdateSettings ("security:update_settings", UpdateSettings) -> ("security:update_settings_response", UpdateSettingsAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Commands(1), limit: Some(PerMinute(10, LimitScope::User)),
        session: SessionStep::Check, second_factor: SecondFactor::Needed, sign_in: SignInAge::RecentToEnrol,
        effect: Effect::Write, relay: Relay::WithAnswer,
        retention: minutes(5), secrets: AnswerSecrets::OnEnrolment,
        audit: &[AuditAction::SettingsChanged, AuditAction::FactorSetupStarted, AuditAction::FactorDisabled],
    }
    /// Moves the end of the session.
    ExtendSession ("security:extend_session", UserPayload) -> ("security:session_extended", ExtendSessionAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Gateway, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Exempt, limit: None,
        session: SessionStep::Renew, second_factor: SecondFactor::NotNeeded, sign_in: SignInAge::Any,
        effect: Effect::Read, relay: Relay::NotNeeded,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[],
    }
    /// Lists the user's sessions.
    Sessions ("security:sessions", UserPayload) -> ("security:sessions_response", SessionsAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Commands(1), limit: None,
        session: SessionStep::Renew, second_factor: SecondFactor::NotNeeded, sign_in: SignInAge::Any,
        effect: Effect::Read, relay: Relay::NotNeeded,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[],
    }
    /// Ends one session or all others.
    EndSessions ("security:end_sessions", EndSessions) -> ("security:end_sessions_response", EndSessionsAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Protection(1), limit: None,
        session: SessionStep::Check, second_factor: SecondFactor::Needed, sign_in: SignInAge::RecentReplacesFactor,
        effect: Effect::Write, relay: Relay::BeforeAnswer,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[AuditAction::SessionEnded],
    }
    /// Acknowledges an alert.
    Acknowledge ("security:ack", Acknowledge) -> ("security:ack_response", AcknowledgeAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Commands(1), limit: None,
        session: SessionStep::Check, second_factor: SecondFactor::NeededForOwnAlert, sign_in: SignInAge::Any,
        effect: Effect::Write, relay: Relay::NotNeeded,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[AuditAction::AlertAcknowledged],
    }
    /// Reads past alerts.
    Alerts ("security:alerts", Alerts) -> ("security:alerts_response", AlertsAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Worker, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Commands(1), limit: None,
        session: SessionStep::Check, second_factor: SecondFactor::NotNeeded, sign_in: SignInAge::Any,
        effect: Effect::Read, relay: Relay::NotNeeded,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[],
    }
    /// Replaces the token of this socket.
    Refresh ("auth:refresh", Refresh) -> ("auth:refreshed", RefreshAnswer) {
        failure_fields: FailureFields::Common,
        executor: Executor::Connection, lane: Lane::Interactive, deadline: seconds(10),
        cost: Cost::Exempt, limit: None,
        session: SessionStep::ReplaceToken, second_factor: SecondFactor::NotNeeded, sign_in: SignInAge::Any,
        effect: Effect::Read, relay: Relay::NotNeeded,
        retention: minutes(60), secrets: AnswerSecrets::Never,
        audit: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_make_jobs_cost_something_and_others_are_free() {
        for kind in CommandKind::ALL {
            let policy = kind.policy();
            match policy.cost {
                Cost::Exempt => assert_ne!(policy.executor, Executor::Worker, "{}", policy.event),
                Cost::Commands(cost) | Cost::Protection(cost) => {
                    assert!(policy.executor == Executor::Worker && cost > 0, "{}", policy.event);
                }
            }
        }
    }

    #[test]
    fn answers_with_secrets_are_kept_for_minutes_only() {
        for kind in CommandKind::ALL {
            let policy = kind.policy();
            let expected = if policy.secrets == AnswerSecrets::Never {
                minutes(60)
            } else {
                minutes(5)
            };
            assert_eq!(policy.retention, expected, "{}", policy.event);
        }
    }

    #[test]
    fn commands_that_write_into_the_audit_log_are_writes() {
        for kind in CommandKind::ALL {
            let policy = kind.policy();
            assert_eq!(
                policy.effect == Effect::Read,
                policy.audit.is_empty(),
                "{}",
                policy.event
            );
            assert!(
                policy.effect == Effect::Write || policy.relay == Relay::NotNeeded,
                "{}",
                policy.event
            );
        }
    }
}

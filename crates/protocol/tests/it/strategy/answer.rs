//! Strategies for answers and failures.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use protocol::account::UserAccount;
use protocol::answer::Failure;
use protocol::command::{
    AcknowledgeAnswer, AlertsAnswer, Answer, AuthorizeAnswer, ConnectAnswer, DisconnectAnswer, EndSessionsAnswer,
    ExtendSessionAnswer, GetSettingsAnswer, ListAnswer, RefreshAnswer, RequestConfirmationAnswer, RevokeAllAnswer,
    SessionsAnswer, SyncAnswer, SyncData, UpdateSettingsAnswer, VerifyTwoFactorAnswer,
};
use protocol::expiry::Expiry;
use protocol::id::SessionId;
use protocol::security::{Enrolment, SessionInfo};

use super::event::{alert, settings};
use super::{account_status, account_type, code, json, method, secret, text, timestamp, token_fault};

pub(crate) fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        (secret(), secret(), any::<u64>()).prop_map(|(authorization_url, state, expires_in)| {
            Answer::Authorize(AuthorizeAnswer {
                authorization_url,
                state,
                expires_in,
            })
        }),
        account().prop_map(|account| Answer::Connect(ConnectAnswer { account })),
        account_type().prop_map(|account_type| Answer::Disconnect(DisconnectAnswer { account_type })),
        (timestamp(), json(), any::<u64>(), any::<bool>()).prop_map(|(last_synced, profile, notifications, more)| {
            let data = SyncData {
                profile,
                notifications,
                more,
            };
            Answer::Sync(SyncAnswer { last_synced, data })
        }),
        vec(account(), 0..4).prop_map(|accounts| Answer::List(ListAnswer { accounts })),
        (any::<bool>(), expiry(), timestamp(), option::of(vec(secret(), 10))).prop_map(
            |(session_extended, expiry, server_time, recovery_codes)| {
                Answer::VerifyTwoFactor(VerifyTwoFactorAnswer {
                    session_extended,
                    expiry,
                    reason: expiry.limit(),
                    server_time,
                    recovery_codes,
                })
            }
        ),
        (secret(), any::<u64>()).prop_map(|(confirmation_token, expires_in)| {
            Answer::RequestConfirmation(RequestConfirmationAnswer {
                confirmation_token,
                expires_in,
            })
        }),
        any::<u64>().prop_map(|accounts_disconnected| Answer::RevokeAll(RevokeAllAnswer { accounts_disconnected })),
        settings().prop_map(|settings| Answer::GetSettings(GetSettingsAnswer { settings })),
        settings_update().prop_map(Answer::UpdateSettings),
        (expiry(), timestamp())
            .prop_map(|(expiry, server_time)| { Answer::ExtendSession(ExtendSessionAnswer::new(expiry, server_time)) }),
        (vec(session_info(), 0..4), timestamp())
            .prop_map(|(sessions, server_time)| { Answer::Sessions(SessionsAnswer { sessions, server_time }) }),
        any::<u64>().prop_map(|sessions_ended| Answer::EndSessions(EndSessionsAnswer { sessions_ended })),
        Just(Answer::Acknowledge(AcknowledgeAnswer {})),
        vec(alert(), 0..4).prop_map(|alerts| Answer::Alerts(AlertsAnswer { alerts })),
        (expiry(), timestamp())
            .prop_map(|(expiry, server_time)| Answer::Refresh(RefreshAnswer { expiry, server_time })),
    ]
}

pub(crate) fn expiry() -> impl Strategy<Value = Expiry> {
    (timestamp(), option::of(timestamp())).prop_map(|(session, token)| Expiry::new(session, token))
}

pub(crate) fn failure() -> impl Strategy<Value = Failure> {
    (
        code(),
        option::of(token_fault()),
        text(),
        option::of(any::<u64>()),
        option::of(option::of(timestamp())),
        option::of(text()),
        option::of(any::<u64>()),
    )
        .prop_map(
            |(error, reason, message, retry_after, last_synced, account_type, accounts_disconnected)| Failure {
                error,
                reason,
                message,
                retry_after,
                last_synced,
                account_type,
                accounts_disconnected,
            },
        )
}

fn account() -> impl Strategy<Value = UserAccount> {
    let names = (text(), text(), option::of(text()), option::of(text()));
    let state = (
        account_status(),
        vec(text(), 0..20),
        timestamp(),
        option::of(timestamp()),
        option::of(text()),
    );
    (account_type(), names, state).prop_map(|(account_type, names, state)| {
        let (platform_user_id, username, display_name, avatar_url) = names;
        let (status, scopes, connected_at, last_synced, error_message) = state;
        UserAccount {
            account_type,
            platform_user_id,
            username,
            display_name,
            avatar_url,
            status,
            scopes,
            connected_at,
            last_synced,
            error_message,
        }
    })
}

fn settings_update() -> impl Strategy<Value = UpdateSettingsAnswer> {
    let shown = (option::of(secret()), option::of(secret()), option::of(secret()));
    let enrolment = (text(), method(), any::<u64>(), shown).prop_map(|(session_id, method, expires_in, shown)| {
        let (secret, otpauth_url, qr_png) = shown;
        Enrolment {
            session_id,
            method,
            expires_in,
            secret,
            otpauth_url,
            qr_png,
        }
    });
    (settings(), option::of(enrolment)).prop_map(|(settings, enrolment)| UpdateSettingsAnswer { settings, enrolment })
}

fn session_info() -> impl Strategy<Value = SessionInfo> {
    let device = (
        any::<bool>(),
        option::of(text()),
        option::of(text()),
        text(),
        any::<u32>(),
    );
    let times = (timestamp(), timestamp(), expiry());
    ("[ -~]{1,128}", device, times).prop_map(|(session_id, device, times)| {
        let (current, device_name, user_agent, address, sockets) = device;
        let (connected_at, last_active_at, expiry) = times;
        SessionInfo {
            session_id: SessionId::new(session_id).unwrap(),
            current,
            device_name,
            user_agent,
            address,
            connected_at,
            last_active_at,
            expiry,
            sockets,
        }
    })
}

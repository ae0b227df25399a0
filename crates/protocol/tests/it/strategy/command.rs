//! Strategies for well-formed commands.

use proptest::option;
use proptest::prelude::*;
use protocol::command::{self, Command};
use protocol::secret::Secret;
use protocol::security::SettingsChange;

use super::{account_type, alert_id, method, user};

pub(crate) fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (option::of(user()), account_type(), text()).prop_map(|(user_id, account_type, redirect_uri)| {
            Command::Authorize(command::Authorize {
                user_id,
                account_type,
                redirect_uri,
            })
        }),
        (
            user(),
            account_type(),
            secret(),
            text(),
            option::of(short_secret()),
            option::of(short_secret())
        )
            .prop_map(
                |(user_id, account_type, oauth_code, redirect_uri, state, code_verifier)| {
                    Command::Connect(command::Connect {
                        user_id,
                        account_type,
                        oauth_code,
                        redirect_uri,
                        state,
                        code_verifier,
                    })
                }
            ),
        for_account().prop_map(Command::Disconnect),
        for_account().prop_map(Command::Sync),
        user_payload().prop_map(Command::List),
        (user(), short(128), short_secret()).prop_map(|(user_id, session_id, token)| {
            Command::VerifyTwoFactor(command::VerifyTwoFactor {
                user_id,
                session_id,
                token,
            })
        }),
        (option::of(user()), short(128)).prop_map(|(user_id, action)| {
            Command::RequestConfirmation(command::RequestConfirmation { user_id, action })
        }),
        (user(), short_secret()).prop_map(|(user_id, confirmation_token)| {
            Command::RevokeAll(command::RevokeAll {
                user_id,
                confirmation_token,
            })
        }),
        user_payload().prop_map(Command::GetSettings),
        (user(), settings_change())
            .prop_map(|(user_id, settings)| Command::UpdateSettings(command::UpdateSettings { user_id, settings })),
        user_payload().prop_map(Command::ExtendSession),
        user_payload().prop_map(Command::Sessions),
        (option::of(user()), short(128))
            .prop_map(|(user_id, session_id)| Command::EndSessions(command::EndSessions { user_id, session_id })),
        (option::of(user()), alert_id())
            .prop_map(|(user_id, alert_id)| Command::Acknowledge(command::Acknowledge { user_id, alert_id })),
        (option::of(user()), option::of(alert_id()))
            .prop_map(|(user_id, after)| Command::Alerts(command::Alerts { user_id, after })),
        (option::of(user()), secret())
            .prop_map(|(user_id, token)| Command::Refresh(command::Refresh { user_id, token })),
    ]
}

/// Text that a command may contain: NUL is refused.
fn text() -> impl Strategy<Value = String> {
    super::text().prop_map(|text| text.replace('\0', "\u{1}"))
}

fn secret() -> impl Strategy<Value = Secret> {
    text().prop_map(Secret::new)
}

/// Text of at most `most` bytes.
fn short(most: usize) -> impl Strategy<Value = String> {
    text().prop_map(move |mut text| {
        text.truncate(text.floor_char_boundary(most));
        text
    })
}

fn short_secret() -> impl Strategy<Value = Secret> {
    short(128).prop_map(Secret::new)
}

fn settings_change() -> impl Strategy<Value = SettingsChange> {
    let timeout = option::of(any::<u32>());
    (
        timeout,
        option::of(any::<bool>()),
        option::of(method()),
        option::of(short(256)),
    )
        .prop_map(
            |(session_timeout, two_factor_enabled, method, address)| SettingsChange {
                session_timeout,
                two_factor_enabled,
                method,
                address,
            },
        )
}

fn for_account() -> impl Strategy<Value = command::AccountPayload> {
    (user(), account_type()).prop_map(|(user_id, account_type)| command::AccountPayload { user_id, account_type })
}

fn user_payload() -> impl Strategy<Value = command::UserPayload> {
    option::of(user()).prop_map(|user_id| command::UserPayload { user_id })
}

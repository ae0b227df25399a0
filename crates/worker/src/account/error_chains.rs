//! Errors of the account commands, each printed without repetition.

use std::time::Duration;

use platforms::{ExchangeError, PauseScope};
use protocol::account::AccountType::Github;
use tokio::sync::oneshot;

use super::authorization::AuthorizationError;
use super::authorize::AuthorizeError;
use super::connect_error::{ConnectError, NotQueued};
use super::disconnect::DisconnectError;
use super::sync::SyncCommandError;
use crate::error_chains::{bus_errors, cause, check_chains, parse_error, recall_errors, store_errors, vault_errors};
use crate::settings::{RedirectNotAllowed, RedirectPolicy};
use crate::sync::error_chains::{api_errors, sync_failures};

fn authorization_errors() -> Vec<AuthorizationError> {
    let mut errors = vec![
        AuthorizationError::Unknown,
        AuthorizationError::Elsewhere,
        AuthorizationError::Unreadable(parse_error()),
    ];
    errors.extend(vault_errors().map(AuthorizationError::Decrypt));
    errors.extend(bus_errors().map(AuthorizationError::Bus));
    errors
}

fn exchange_errors() -> [ExchangeError; 4] {
    [
        ExchangeError::NotSent(Github, cause()),
        ExchangeError::Refused(Github, "bad_verification_code".to_owned()),
        ExchangeError::Unknown(Github, cause()),
        ExchangeError::Throttled {
            account: Github,
            wait: Duration::from_secs(1),
            pause: PauseScope::Account,
        },
    ]
}

fn redirect_error() -> RedirectNotAllowed {
    let policy = RedirectPolicy::standard(None);
    policy.check(Github, "https://evil.example/").unwrap_err()
}

#[test]
fn errors_of_authorize_disconnect_and_sync_repeat_no_part() {
    check_chains!(AuthorizationError:
        AuthorizationError::Unknown
            | AuthorizationError::Elsewhere
            | AuthorizationError::Decrypt(_)
            | AuthorizationError::Unreadable(_)
            | AuthorizationError::Bus(_) => authorization_errors(),
    );
    check_chains!(AuthorizeError:
        // One part.
        AuthorizeError::NotOffered(_) => [],
        AuthorizeError::Redirect(_) => [AuthorizeError::Redirect(redirect_error())],
        AuthorizeError::Store(_) => store_errors().map(AuthorizeError::Store),
        AuthorizeError::Bus(_) => bus_errors().map(AuthorizeError::Bus),
    );
    check_chains!(DisconnectError:
        DisconnectError::NotConnected => [DisconnectError::NotConnected],
        DisconnectError::Store(_) => store_errors().map(DisconnectError::Store),
        DisconnectError::Recall(_) => recall_errors().map(DisconnectError::Recall),
    );
    let failed = |cause| SyncCommandError::Failed {
        cause,
        last_synced: None,
    };
    check_chains!(SyncCommandError:
        // One part.
        SyncCommandError::NotOffered(_) | SyncCommandError::Busy(_) => [],
        SyncCommandError::NotConnected => [SyncCommandError::NotConnected],
        SyncCommandError::Store(_) => store_errors().map(SyncCommandError::Store),
        SyncCommandError::Failed { .. } => sync_failures().into_iter().map(failed),
    );
}

#[test]
fn errors_of_connect_and_callback_repeat_no_part() {
    let (lost, receiver) = oneshot::channel::<()>();
    drop(lost);
    let cut = receiver.blocking_recv().unwrap_err();
    check_chains!(ConnectError:
        // One part.
        ConnectError::NotOffered(_) | ConnectError::Busy(_) => [],
        ConnectError::Redirect(_) => [ConnectError::Redirect(redirect_error())],
        ConnectError::OtherRedirect => [ConnectError::OtherRedirect],
        ConnectError::StateMissing => [ConnectError::StateMissing],
        ConnectError::State(_) => authorization_errors().into_iter().map(ConnectError::State),
        ConnectError::Bus(_) => bus_errors().map(ConnectError::Bus),
        ConnectError::Spent => [ConnectError::Spent],
        ConnectError::Paused(_) => [ConnectError::Paused(Duration::from_secs(1))],
        ConnectError::NotHosted => [ConnectError::NotHosted],
        ConnectError::OtherIssuer => [ConnectError::OtherIssuer],
        ConnectError::Denied => [ConnectError::Denied],
        ConnectError::Failed => [ConnectError::Failed],
        ConnectError::Exchange(_) => exchange_errors().map(ConnectError::Exchange),
        ConnectError::Profile(_) => api_errors().into_iter().map(ConnectError::Profile),
        ConnectError::Cut(_) => [ConnectError::Cut(cut)],
        ConnectError::NotQueued(_) => [ConnectError::NotQueued(NotQueued)],
        ConnectError::AlreadyConnected => [ConnectError::AlreadyConnected],
        ConnectError::EpochMoved => [ConnectError::EpochMoved],
        ConnectError::SessionEnded => [ConnectError::SessionEnded],
        ConnectError::NotPending => [ConnectError::NotPending],
        ConnectError::Decrypt(_) => vault_errors().map(ConnectError::Decrypt),
        ConnectError::Store(_) => store_errors().map(ConnectError::Store),
        ConnectError::Recall(_) => recall_errors().map(ConnectError::Recall),
    );
}

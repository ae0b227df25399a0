//! Errors of syncs, each printed without repetition.

use std::time::Duration;

use platforms::{ApiError, PauseScope, RefreshError};
use protocol::account::AccountType::Github;

use super::failure::SyncFailure;
use super::lease::LeaseError;
use crate::error_chains::{cause, check_chains, recall_errors, store_errors, vault_errors};

/// Wait of a throttled request.
const WAIT: Duration = Duration::from_secs(1);

pub(crate) fn api_errors() -> Vec<ApiError> {
    let throttled = ApiError::Throttled {
        account: Github,
        wait: WAIT,
        pause: PauseScope::Account,
    };
    vec![
        ApiError::Refused(Github),
        throttled,
        ApiError::Unavailable(Github, cause()),
    ]
}

fn refresh_errors() -> Vec<RefreshError> {
    let throttled = RefreshError::Throttled {
        account: Github,
        wait: WAIT,
        pause: PauseScope::Account,
    };
    vec![
        RefreshError::NotSent(Github, cause()),
        RefreshError::Refused(Github),
        RefreshError::Unknown(Github, cause()),
        throttled,
    ]
}

pub(crate) fn sync_failures() -> Vec<SyncFailure> {
    let mut failures = vec![
        SyncFailure::RefreshThrottled(WAIT, PauseScope::App),
        SyncFailure::Paused(WAIT),
        SyncFailure::Disconnected(Github),
        SyncFailure::Superseded,
    ];
    failures.extend(vault_errors().map(SyncFailure::Decrypt));
    failures.extend(api_errors().into_iter().map(SyncFailure::Platform));
    failures.extend(refresh_errors().into_iter().map(SyncFailure::Refresh));
    failures.extend(store_errors().map(SyncFailure::Store));
    failures.extend(recall_errors().map(SyncFailure::Recall));
    failures
}

#[test]
fn errors_of_syncs_repeat_no_part() {
    check_chains!(SyncFailure:
        // One part.
        SyncFailure::NotOffered(_) => [],
        SyncFailure::Decrypt(_)
            | SyncFailure::Platform(_)
            | SyncFailure::Refresh(_)
            | SyncFailure::RefreshThrottled(..)
            | SyncFailure::Paused(_)
            | SyncFailure::Disconnected(_)
            | SyncFailure::Superseded
            | SyncFailure::Store(_)
            | SyncFailure::Recall(_) => sync_failures(),
    );
    check_chains!(LeaseError:
        LeaseError::NotConnected => [LeaseError::NotConnected],
        LeaseError::Failure(_) => sync_failures().into_iter().map(LeaseError::Failure),
        LeaseError::Store(_) => store_errors().map(LeaseError::Store),
    );
}

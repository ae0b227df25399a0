//! Retention of an answer, after which neither its job nor its idempotency key can repeat it.

use std::time::Duration;

use protocol::cluster::callback::Callback;
use protocol::command::CommandKind;

/// Retention of the answer to this job, and the life of its idempotency key. Answers that may hold secrets are kept for less.
pub(super) fn answer_retention(name: &str) -> Duration {
    if name == Callback::NAME {
        return Duration::from_secs(5 * 60);
    }
    match CommandKind::of_event(name) {
        Some(
            CommandKind::Authorize
            | CommandKind::VerifyTwoFactor
            | CommandKind::RequestConfirmation
            | CommandKind::UpdateSettings,
        ) => Duration::from_secs(5 * 60),
        _ => Duration::from_secs(60 * 60),
    }
}

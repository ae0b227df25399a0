//! Retention of an answer, after which neither its job nor its idempotency key can repeat it.

use std::time::Duration;

use protocol::cluster::job::Work;

/// Retention of the answer to this work, and the life of its idempotency key: by the policy table for commands. The answer to a
/// callback has secrets, so it is kept for less than the others.
pub(super) fn answer_retention(work: &Work) -> Duration {
    match work {
        Work::Command(command) => command.kind().policy().retention,
        Work::Callback(_) => Duration::from_mins(5),
        Work::ConfirmLink(_)
        | Work::OpenSession(_)
        | Work::Joined(_)
        | Work::RaiseAlert(_)
        | Work::EndAllSessions
        | Work::Refusals(_)
        | Work::RestoreLog
        | Work::Webhook(_)
        | Work::ApiRequest(_) => Duration::from_hours(1),
    }
}

//! Which commands are sent on: those for the caller's own user, within the limits of the cluster.

use std::time::Duration;

use bus::{Bucket, Bus, Quota, Verdict};
use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::code::ErrorCode;
use protocol::command::{Command, InvalidCommand};
use protocol::fault::{Fault, chain};

use super::Caller;

/// A payload that cannot be read: the sentence names the field.
pub(super) fn invalid(error: &InvalidCommand) -> Failure {
    Failure::saying(error.code(), error.to_string())
}

/// A caller acts only for itself.
pub(super) fn own_user(caller: &Caller, command: &Command) -> Result<(), Failure> {
    match command.named_user() {
        Some(named) if *named != caller.user => {
            tracing::debug!(
                command = command.kind().event(),
                "a command for another user was refused"
            );
            Err(Failure::of(ErrorCode::Forbidden))
        }
        _ => Ok(()),
    }
}

/// Takes one from the user's count of this command, if it has one. A limit that cannot be asked is no permission.
pub(super) async fn within_limits(bus: &dyn Bus, caller: &Caller, command: &Command) -> Result<(), Failure> {
    let verdict = match limit(caller, command) {
        None => return Ok(()),
        Some(Limit::Refilled(bucket, quota)) => bus.admit(&caller.user, &bucket, quota).await,
        Some(Limit::Attempts(bucket, quota)) => bus.admit_attempt(&caller.user, &bucket, quota).await,
    };
    match verdict {
        Ok(Verdict::Admitted) => Ok(()),
        Ok(Verdict::Refused(wait)) => Err(rate_limited(wait)),
        Err(error) => {
            tracing::warn!(error = chain(&error), "a limit could not be asked");
            Err(Failure::of(error.code()))
        }
    }
}

/// Too much; the client may try again after this long, rounded up to seconds.
pub(super) fn rate_limited(wait: Duration) -> Failure {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Failure {
        retry_after: Some(seconds.max(1)),
        ..Failure::of(ErrorCode::RateLimited)
    }
}

/// How a command is counted.
enum Limit {
    /// What was taken comes back evenly.
    Refilled(Bucket, Quota),
    /// What was taken comes back when its own period is over.
    Attempts(Bucket, Quota),
}

/// The limits of docs/protocol.md.
fn limit(caller: &Caller, command: &Command) -> Option<Limit> {
    let quota = |count| Quota {
        count,
        period: Duration::from_secs(60),
    };
    let per_minute = |name, of, count| Some(Limit::Refilled(Bucket { name, of }, quota(count)));
    match command {
        Command::VerifyTwoFactor(_) => {
            let (name, of) = ("verify_2fa", None);
            Some(Limit::Attempts(Bucket { name, of }, quota(5)))
        }
        Command::Authorize(_) => per_minute("authorize", None, 10),
        Command::Connect(_) => per_minute("connect", None, 10),
        Command::Disconnect(_) => per_minute("disconnect", None, 10),
        Command::UpdateSettings(_) => per_minute("update_settings", None, 10),
        Command::RequestConfirmation(_) => per_minute("request_confirmation", Some(caller.session.to_string()), 10),
        Command::RevokeAll(_) => per_minute("revoke_all", Some(caller.session.to_string()), 10),
        Command::Sync(sync) => per_minute("sync", Some(account(sync.account_type)), 6),
        _ => None,
    }
}

fn account(account_type: AccountType) -> String {
    account_type.as_str().to_owned()
}

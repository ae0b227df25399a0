//! Admission of commands: for the caller's own user, within the limits of the cluster.

use std::time::Duration;

use bus::{Bucket, BusError, Charge, LimitDecision, Limits, Quota};
use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::code::ErrorCode;
use protocol::command::{Command, CommandKind, Cost, InvalidCommand, LimitScope, PerMinute};
use protocol::fault::Fault;

use crate::settings::Rate;
use crate::socket::Caller;

/// Failure for an invalid payload; the message names the field.
pub(super) fn invalid(error: &InvalidCommand) -> Failure {
    Failure::with_message(error.code(), error.to_string())
}

/// Refuses a command for another user.
pub(super) fn own_user(caller: &Caller, command: &Command) -> Result<(), Failure> {
    match command.named_user() {
        Some(named) if *named != caller.user => {
            tracing::debug!(
                command = command.kind().event(),
                "command refused: it names another user"
            );
            Err(Failure::of(ErrorCode::Forbidden))
        }
        _ => Ok(()),
    }
}

/// Refuses a command whose charges exceed a limit, or whose limits cannot be read.
pub(super) fn within_limits(charged: Result<LimitDecision, BusError>) -> Result<(), Failure> {
    match charged {
        Ok(LimitDecision::Admitted) => Ok(()),
        Ok(LimitDecision::Refused(wait)) => Err(rate_limited(wait)),
        Err(error) => Err(Failure::of(error.code())),
    }
}

/// Failure `rate_limited` with this retry delay, rounded up to seconds.
pub(crate) fn rate_limited(wait: Duration) -> Failure {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Failure {
        retry_after: Some(seconds.max(1)),
        ..Failure::of(ErrorCode::RateLimited)
    }
}

/// Charges the cost of a command to its user's budgets, of this rate, and one to the command's own limit, in one round trip. Workers
/// charge second factors, since they alone know what is an attempt.
///
/// # Errors
/// [`BusError`].
pub(super) async fn charge(
    limits: &dyn Limits,
    rate: Option<Rate>,
    caller: &Caller,
    command: &Command,
) -> Result<LimitDecision, BusError> {
    let policy = command.kind().policy();
    let mut charges = rate.map_or_else(Vec::new, |rate| budgets(caller, policy.cost, rate));
    charges.extend(command_limit(command.kind(), |scope| scope_of(scope, caller, command)));
    if charges.is_empty() {
        return Ok(LimitDecision::Admitted);
    }
    limits.admit_all(&caller.user, &charges).await
}

/// Charge to the command's own limit, if it has one.
pub(crate) fn command_limit(kind: CommandKind, of: impl FnOnce(LimitScope) -> Option<String>) -> Option<Charge> {
    let PerMinute(count, scope) = kind.policy().limit?;
    Some(Charge {
        bucket: Bucket {
            name: bucket_name(kind),
            scope: of(scope),
        },
        quota: per_minute(count),
        cost: 1,
    })
}

/// Charges to the budgets of the user.
fn budgets(caller: &Caller, cost: Cost, rate: Rate) -> Vec<Charge> {
    let charge = |name, of, quota, cost| Charge {
        bucket: Bucket { name, scope: of },
        quota,
        cost,
    };
    let whole = Quota {
        count: rate.burst.get(),
        period: Duration::from_secs(rate.burst.get().into()) / rate.per_second.get(),
    };
    match cost {
        Cost::Exempt => Vec::new(),
        Cost::Commands(cost) => vec![charge("commands", None, whole, cost)],
        Cost::Protection(cost) => {
            let part = Quota {
                count: (whole.count / SESSION_SHARE).max(cost),
                ..whole
            };
            let session = Some(caller.session.to_string());
            vec![
                charge("protection", None, whole, cost),
                charge("protection", session, part, cost),
            ]
        }
    }
}

/// Divisor for the share of one session in a user's budget of protective commands.
const SESSION_SHARE: u32 = 6;

/// Quota of this many per minute.
pub(crate) fn per_minute(count: u32) -> Quota {
    Quota {
        count,
        period: Duration::from_secs(60),
    }
}

/// Name of the command without its family: `connect`.
fn bucket_name(kind: CommandKind) -> &'static str {
    let event = kind.event();
    event.split_once(':').map_or(event, |(_, name)| name)
}

fn scope_of(scope: LimitScope, caller: &Caller, command: &Command) -> Option<String> {
    match scope {
        LimitScope::User => None,
        LimitScope::Session => Some(caller.session.to_string()),
        LimitScope::Account => command.account_type().map(AccountType::as_str).map(str::to_owned),
    }
}

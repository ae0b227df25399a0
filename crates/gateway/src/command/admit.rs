//! Which commands are sent on: those for the caller's own user, within the limits of the cluster.

use std::time::Duration;

use bus::{Bucket, Bus, BusError, Charge, LimitDecision, Quota};
use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::code::ErrorCode;
use protocol::command::{Command, CommandKind, Cost, InvalidCommand, LimitScope, PerMinute};
use protocol::fault::{Fault, chain};

use super::Caller;
use crate::settings::Rate;

/// A payload that cannot be read: the sentence names the field.
pub(super) fn invalid(error: &InvalidCommand) -> Failure {
    Failure::with_message(error.code(), error.to_string())
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

/// Takes what the command costs from its user's budgets, and one from its own limit; `rate` is that of a budget. A limit that
/// cannot be asked is no permission.
pub(super) async fn within_limits(
    bus: &dyn Bus,
    rate: Option<Rate>,
    caller: &Caller,
    command: &Command,
) -> Result<(), Failure> {
    match take(bus, rate, caller, command).await {
        Ok(LimitDecision::Admitted) => Ok(()),
        Ok(LimitDecision::Refused(wait)) => Err(rate_limited(wait)),
        Err(error) => {
            tracing::warn!(error = chain(&error), "a limit could not be asked");
            Err(Failure::of(error.code()))
        }
    }
}

/// Too much; the client may try again after this long, rounded up to seconds.
pub(crate) fn rate_limited(wait: Duration) -> Failure {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Failure {
        retry_after: Some(seconds.max(1)),
        ..Failure::of(ErrorCode::RateLimited)
    }
}

/// One round trip for all. Second factors are counted by workers, which know what is an attempt.
async fn take(
    bus: &dyn Bus,
    rate: Option<Rate>,
    caller: &Caller,
    command: &Command,
) -> Result<LimitDecision, BusError> {
    let policy = command.kind().policy();
    let mut charges = rate.map_or_else(Vec::new, |rate| budgets(caller, policy.cost, rate));
    charges.extend(command_limit(command.kind(), |scope| scope_of(scope, caller, command)));
    bus.admit_all(&caller.user, &charges).await
}

/// What a command takes from the limit that it has for itself, if it has one.
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

/// What a command takes from the budgets of its user.
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
                count: (whole.count / SESSIONS_SHARE).max(cost),
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

/// The part of a user's protective commands that one session may take: one in so many.
const SESSIONS_SHARE: u32 = 6;

pub(crate) fn per_minute(count: u32) -> Quota {
    Quota {
        count,
        period: Duration::from_secs(60),
    }
}

/// The command's name without its family: `connect`.
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

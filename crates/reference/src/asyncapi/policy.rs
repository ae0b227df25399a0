//! Policy of a command, as an extension of its operation.

use protocol::command::{CommandKind, Cost, Effect, LimitScope, PerMinute, SecondFactor};
use serde_json::{Value, json};

/// Deadline, limits, second factor and idempotency of a command.
pub(super) fn of(kind: CommandKind) -> Value {
    let policy = kind.policy();
    let (budget, charge) = match policy.cost {
        Cost::Exempt => ("none", 0),
        Cost::Commands(charge) => ("commands", charge),
        Cost::Protection(charge) => ("protective commands", charge),
    };
    let limit = policy.limit.map(|PerMinute(count, scope)| {
        let scope = match scope {
            LimitScope::User => "user",
            LimitScope::Session => "session",
            LimitScope::Account => "account",
        };
        json!({"perMinute": count, "per": scope})
    });
    let factor = match policy.second_factor {
        SecondFactor::NotNeeded => "not needed",
        SecondFactor::Needed => "needed",
        SecondFactor::NeededWithoutState => "needed without state",
        SecondFactor::Confirmed => "confirmation token",
        SecondFactor::NeededForOwnAlert => "needed for an alert about its own session",
    };
    let kept = match policy.effect {
        Effect::Read => None,
        Effect::Write => Some(policy.retention.as_secs()),
    };
    json!({
        "answeredWithinSeconds": policy.deadline.as_secs(),
        "budget": budget,
        "charge": charge,
        "limit": limit,
        "secondFactor": factor,
        "answerKeptSeconds": kept,
    })
}

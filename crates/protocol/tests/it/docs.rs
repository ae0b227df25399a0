//! Tables of commands in docs/protocol.md, checked against the policy table.

use std::time::Duration;

use protocol::command::{CommandKind, CommandPolicy, Cost, Effect, LimitScope, PerMinute, SecondFactor, SignInAge};

const PAGE: &str = include_str!("../../../../docs/protocol.md");

#[test]
fn documented_commands_and_answers_are_those_of_the_policy_table() {
    let documented: Vec<_> = rows("| event | data | answer |")
        .map(|row| {
            let cells: Vec<_> = row.split(" | ").collect();
            (quoted(cells[0]), quoted(cells.last().unwrap()))
        })
        .collect();
    let expected = CommandKind::ALL.map(|kind| (kind.event(), kind.response_event()));
    assert_eq!(documented, expected);
}

#[test]
fn documented_policies_are_those_of_the_policy_table() {
    let documented: Vec<_> = rows("| event | answered within |").collect();
    let expected = CommandKind::ALL.map(|kind| row(kind.policy()));
    assert_eq!(
        documented,
        expected,
        "docs/protocol.md expects:\n{}",
        expected.join("\n")
    );
}

/// Rows of the table whose head begins like this.
fn rows(head: &str) -> impl Iterator<Item = &'static str> {
    let lines = PAGE.lines().skip_while(move |line| !line.starts_with(head));
    lines.skip(2).take_while(|line| line.starts_with('|'))
}

/// First text in backquotes of a cell.
fn quoted(cell: &'static str) -> &'static str {
    cell.split('`').nth(1).unwrap()
}

fn row(policy: &CommandPolicy) -> String {
    let CommandPolicy {
        event,
        deadline,
        limit,
        cost,
        effect,
        retention,
        ..
    } = policy;
    let limit = limit.map_or_else(|| "-".to_owned(), own_limit);
    let charge = charge(*cost);
    let deadline = time(*deadline);
    let retention = match effect {
        Effect::Read => "-".to_owned(),
        Effect::Write => time(*retention),
    };
    let factor = second_factor(policy);
    format!("| `{event}` | {deadline} | {limit} | {charge} | {factor} | {retention} |")
}

fn time(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

fn own_limit(PerMinute(count, scope): PerMinute) -> String {
    let scope = match scope {
        LimitScope::User => "user",
        LimitScope::Session => "session",
        LimitScope::Account => "account",
    };
    format!("{count} a minute per {scope}")
}

fn charge(cost: Cost) -> String {
    match cost {
        Cost::Exempt => "free".to_owned(),
        Cost::Commands(count) => format!("{count} command"),
        Cost::Protection(count) => format!("{count} protective command"),
    }
}

fn second_factor(policy: &CommandPolicy) -> &'static str {
    match (policy.second_factor, policy.sign_in) {
        (SecondFactor::NotNeeded, SignInAge::Any) => "-",
        (SecondFactor::Needed, SignInAge::Any) => "needed",
        (SecondFactor::Needed, SignInAge::RecentReplacesFactor) => "needed, or a recent sign-in",
        (SecondFactor::Needed, SignInAge::RecentToEnrol) => "needed; to enrol, also a recent sign-in",
        (SecondFactor::NeededWithoutState, SignInAge::Any) => "needed without `state`",
        (SecondFactor::Confirmed, SignInAge::Any) => "confirmation token",
        (SecondFactor::NeededForOwnAlert, SignInAge::Any) => "needed for an alert about its own session",
        (factor, sign_in) => panic!("undocumented: {factor:?} with {sign_in:?}"),
    }
}

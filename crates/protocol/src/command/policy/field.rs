//! Columns of the policy table.

use std::time::Duration;

use crate::audit::AuditAction;
use crate::lane::Lane;

/// Row of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandPolicy {
    /// Event that the client sends.
    pub event: &'static str,
    /// Event of the answer, success or failure.
    pub response_event: &'static str,
    /// Fields that a failure shares with the success.
    pub failure_fields: FailureFields,
    /// Part that executes the command.
    pub executor: Executor,
    /// Queue of its job.
    pub lane: Lane,
    /// Time within which it is answered.
    pub deadline: Duration,
    /// Charge on the budgets of its user.
    pub cost: Cost,
    /// Limit of this command alone, beside the budgets.
    pub limit: Option<PerMinute>,
    /// Step on the caller's session before the command is executed.
    pub session: SessionStep,
    /// Second factor that the user must have given, where one is on.
    pub second_factor: SecondFactor,
    /// Effect of a recent sign-in.
    pub sign_in: SignInAge,
    /// Effect on durable state. A change is committed by a transaction that refuses an ended session.
    pub effect: Effect,
    /// Relay of the events that its transaction wrote.
    pub relay: Relay,
    /// Time for which the answer is kept for a repetition of the command: the life of an idempotency key.
    pub retention: Duration,
    /// Secrets in the answer.
    pub secrets: AnswerSecrets,
    /// Actions that the command may write into the audit log. Each command may also write
    /// [`AuditAction::CommandRefused`].
    pub audit: &'static [AuditAction],
}

/// Fields of a failure beside `error` and `message`, which a client reads without looking at `success` first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureFields {
    /// None.
    Common,
    /// `accountType`, as the client named it.
    AccountType,
    /// `lastSynced`, or null.
    LastSynced,
    /// `accountsDisconnected`, 0.
    AccountsDisconnected,
}

/// Part of the cluster that executes a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executor {
    /// A worker, as a job.
    Worker,
    /// The gateway, which asks the bus alone: no worker knows more.
    Gateway,
    /// The connection, whose token the command replaces.
    Connection,
}

/// Charge on the budgets of a user, which count over the whole cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Free: the command makes no job, and a flood of other commands must not end the session that it renews.
    Exempt,
    /// Charge on the user's commands.
    Commands(u32),
    /// Charge on the user's protective commands, of which each session has a share only: a flood in one session does not keep the
    /// user from ending it in another.
    Protection(u32),
}

/// Limit of one command: a number a minute, refilled evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerMinute(pub u32, pub LimitScope);

/// Scope of a limit's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitScope {
    /// All sessions of the user together.
    User,
    /// One session.
    Session,
    /// One linked account, which the command names.
    Account,
}

/// Step on the caller's session before a command is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStep {
    /// The session must be alive. Its renewal may wait for the next batch.
    Check,
    /// The session is renewed at once, because the answer names its end.
    Renew,
    /// The session goes on with the new token.
    ReplaceToken,
}

/// Second factor that a command needs, where one is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactor {
    /// Not needed: the command reads the user's own data, or protects the user, or is itself the second factor.
    NotNeeded,
    /// Needed: a factor given recently on the same socket.
    Needed,
    /// Needed unless the payload brings the `state` of `account:authorize`, which needed it.
    NeededWithoutState,
    /// Replaced by the confirmation token of `security:request_confirmation`, which needed it.
    Confirmed,
    /// Needed if the alert is about the caller's own session. Only the handler knows.
    NeededForOwnAlert,
}

/// Effect of a recent sign-in (`auth_time` of the token, else `iat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInAge {
    /// None: a sign-in of any age counts.
    Any,
    /// A recent sign-in replaces the second factor: a user may end a thief's session after the thief has used up all guesses.
    RecentReplacesFactor,
    /// A recent sign-in is needed to begin the enrolment of a second factor; else `reauth_required`.
    RecentToEnrol,
}

/// Effect of a command on durable state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Reads. The session is checked once more before the answer is sent.
    Read,
    /// Commits a change.
    Write,
}

/// Relay of events from the outbox that belong to one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relay {
    /// No event.
    NotNeeded,
    /// Events are relayed while the answer is sent.
    WithAnswer,
    /// Events are relayed before the answer is sent: no gateway admits the session that the answer calls ended.
    BeforeAnswer,
}

/// Secrets in a successful answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerSecrets {
    /// No answer has secrets.
    Never,
    /// Each answer has secrets.
    Always,
    /// Answers of an enrolment have secrets: its shared secret, or its recovery codes.
    OnEnrolment,
}

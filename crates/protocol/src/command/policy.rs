//! What varies from command to command before its job runs: one row for each, in one match that names them all.

use super::CommandKind;
use crate::cluster::job::Lane;

/// The row of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandPolicy {
    /// The queue its job waits in.
    pub lane: Lane,
    /// What it takes from the budgets of its user.
    pub cost: Cost,
    /// The limit of its own, beside the budgets.
    pub limit: Option<PerMinute>,
}

/// What a command takes from the budgets of its user, which count over the whole cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Nothing: it makes no job, and a flood of other commands must not end the session that it renews.
    Exempt,
    /// So much of the user's commands.
    Commands(u32),
    /// So much of the user's protective commands, of which each session has a part only: whoever floods in one session keeps
    /// nobody from ending it in another.
    Protection(u32),
}

/// A limit that one command has for itself: so many a minute, each coming back evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerMinute(pub u32, pub LimitScope);

/// Whose count a limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitScope {
    /// All sessions of the user together.
    User,
    /// One session.
    Session,
    /// One linked account, which the command names.
    Account,
}

impl CommandKind {
    /// The row of this command: the limits of docs/protocol.md.
    #[must_use]
    pub fn policy(self) -> CommandPolicy {
        use Cost::{Commands, Exempt, Protection};
        use Lane::{Interactive, Platform, SignIn};
        use LimitScope::{Account, Session, User};

        let row = |lane, cost, limit| CommandPolicy { lane, cost, limit };
        match self {
            Self::Authorize => row(Interactive, Commands(1), Some(PerMinute(10, User))),
            Self::Connect => row(Interactive, Commands(1), Some(PerMinute(10, User))),
            Self::Disconnect => row(Interactive, Commands(1), Some(PerMinute(10, User))),
            Self::Sync => row(Platform, Commands(1), Some(PerMinute(6, Account))),
            Self::List => row(Interactive, Commands(1), None),
            Self::VerifyTwoFactor => row(SignIn, Protection(1), None),
            Self::RequestConfirmation => row(Interactive, Protection(1), Some(PerMinute(10, Session))),
            Self::RevokeAll => row(Interactive, Protection(1), Some(PerMinute(10, Session))),
            Self::GetSettings => row(Interactive, Commands(1), None),
            Self::UpdateSettings => row(Interactive, Commands(1), Some(PerMinute(10, User))),
            Self::ExtendSession => row(Interactive, Exempt, None),
            Self::Sessions => row(Interactive, Commands(1), None),
            Self::EndSessions => row(Interactive, Protection(1), None),
            Self::Acknowledge => row(Interactive, Commands(1), None),
            Self::Alerts => row(Interactive, Commands(1), None),
            Self::Refresh => row(Interactive, Exempt, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_but_those_that_renew_a_session_costs_its_user_something() {
        for kind in CommandKind::ALL {
            let is_exempt = matches!(kind, CommandKind::Refresh | CommandKind::ExtendSession);
            match kind.policy().cost {
                Cost::Exempt => assert!(is_exempt, "{}", kind.event()),
                Cost::Commands(cost) | Cost::Protection(cost) => assert!(!is_exempt && cost > 0, "{}", kind.event()),
            }
        }
    }
}

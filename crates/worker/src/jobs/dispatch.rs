//! The one match from command to feature.

use protocol::cluster::job::Outcome;
use protocol::code::ErrorCode;
use protocol::command::{Command, CommandKind};
use protocol::fault::Fault;

use super::call::Call;
use super::refusal::Refusal;
use crate::account::AccountService;

/// The features.
pub(crate) struct Dispatch {
    pub(crate) account: AccountService,
}

impl Dispatch {
    /// Does what is asked.
    pub(super) async fn dispatch(&self, call: &Call, command: &Command) -> Result<Outcome, Box<dyn Refusal>> {
        Ok(match command {
            Command::Authorize(data) => self.account.authorize(call, data).await?,
            Command::Connect(data) => self.account.connect(call, data).await?,
            Command::Disconnect(data) => self.account.disconnect(call, data).await?,
            Command::Sync(data) => self.account.sync(call, data).await?,
            Command::List(_) => self.account.list(call).await?,
            Command::VerifyTwoFactor(_)
            | Command::RequestConfirmation(_)
            | Command::RevokeAll(_)
            | Command::GetSettings(_)
            | Command::UpdateSettings(_)
            | Command::ExtendSession(_)
            | Command::Sessions(_)
            | Command::EndSessions(_)
            | Command::Acknowledge(_)
            | Command::Alerts(_)
            | Command::Refresh(_) => return Err(NotDoneHere(command.kind()).into()),
        })
    }

    /// Whether a command of this kind writes to the store, so that events may wait to be relayed after it.
    pub(super) fn writes(kind: CommandKind) -> bool {
        matches!(kind, CommandKind::Connect | CommandKind::Disconnect | CommandKind::Sync)
    }
}

/// A command that no feature takes.
#[derive(Debug, thiserror::Error)]
#[error("{} is not done here", .0.event())]
struct NotDoneHere(CommandKind);

impl Fault for NotDoneHere {
    fn code(&self) -> ErrorCode {
        ErrorCode::NotSupported
    }
}

impl Refusal for NotDoneHere {}

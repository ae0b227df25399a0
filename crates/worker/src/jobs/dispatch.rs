//! The one match from what is asked to the feature that does it.

use protocol::cluster::job::{Outcome, Work};
use protocol::code::ErrorCode;
use protocol::command::Command;
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
    pub(super) async fn dispatch(&self, call: &Call, work: &Work) -> Result<Outcome, Box<dyn Refusal>> {
        match work {
            Work::Command(command) => self.command(call, command).await,
            Work::OpenSession(_) => Err(NotDoneHere(work.name()).into()),
        }
    }

    async fn command(&self, call: &Call, command: &Command) -> Result<Outcome, Box<dyn Refusal>> {
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
            | Command::Refresh(_) => return Err(NotDoneHere(call.name).into()),
        })
    }

    /// Whether this writes to the store, so that events may wait to be relayed after it.
    pub(super) fn writes(work: &Work) -> bool {
        matches!(
            work,
            Work::Command(Command::Connect(_) | Command::Disconnect(_) | Command::Sync(_))
        )
    }
}

/// What no feature takes.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not done here")]
struct NotDoneHere(&'static str);

impl Fault for NotDoneHere {
    fn code(&self) -> ErrorCode {
        ErrorCode::NotSupported
    }
}

impl Refusal for NotDoneHere {}

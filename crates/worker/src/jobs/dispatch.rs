//! Dispatch: the one match from job and command to feature.

use protocol::cluster::job::{Job, JobOutcome, Joined, Work};
use protocol::code::ErrorCode;
use protocol::command::Command;
use protocol::fault::Fault;

use crate::account::AccountService;
use crate::audit::Refusals;
use crate::call::{Call, Refusal};
use crate::deliveries::Webhooks;
use crate::factor::{FactorService, StepUp};
use crate::security::{AcknowledgeError, SecurityService};
use crate::session::SessionService;

/// Features of the worker.
pub(crate) struct Dispatch {
    pub(crate) account: AccountService,
    pub(crate) factor: FactorService,
    pub(crate) security: SecurityService,
    pub(crate) refusals: Refusals,
    pub(crate) session: SessionService,
    pub(crate) webhooks: Webhooks,
}

impl Dispatch {
    /// Executes the job.
    pub(super) async fn dispatch(
        &self,
        call: &Call,
        work: &Work,
        step_up: StepUp,
    ) -> Result<JobOutcome, Box<dyn Refusal>> {
        match work {
            Work::Command(command) => self.command(call, command, step_up).await,
            Work::Joined(joined) => Ok(self.security.joined(call, joined).await?),
            Work::EndAllSessions => Ok(self.session.end_all(call).await?),
            Work::Callback(returned) => Ok(self.account.callback(call, returned).await?),
            Work::ConfirmLink(asked) => Ok(self.account.confirm(call, asked).await?),
            Work::RaiseAlert(alert) => Ok(self.security.raise_alert(call, alert).await?),
            Work::Refusals(refused) => self.refusals.record(call, refused).await,
            Work::OpenSession(asked) => Ok(self.session.open(call, asked).await?),
            Work::Webhook(webhook) => Ok(self.webhooks.receive(webhook).await?),
        }
    }

    async fn command(&self, call: &Call, command: &Command, step_up: StepUp) -> Result<JobOutcome, Box<dyn Refusal>> {
        Ok(match command {
            Command::Authorize(data) => self.account.authorize(call, data).await?,
            Command::Connect(data) => self.account.connect(call, data).await?,
            Command::Disconnect(data) => self.account.disconnect(call, data).await?,
            Command::Sync(data) => self.account.sync(call, data).await?,
            Command::EndSessions(data) => self.session.end(call, data).await?,
            Command::List(_) => self.account.list(call).await?,
            Command::VerifyTwoFactor(data) => {
                let outcome = self.factor.verify(call, data).await?;
                self.security.forget_seen_after_wrong_code(call, &outcome).await;
                if outcome.error == Some(ErrorCode::TwoFactorInvalid) {
                    self.session.count_wrong_code(call, &outcome).await;
                }
                outcome
            }
            Command::RequestConfirmation(data) => self.security.request_confirmation(call, data).await?,
            Command::RevokeAll(data) => self.security.revoke_all(call, data).await?,
            Command::GetSettings(_) => self.factor.get_settings(call).await?,
            Command::UpdateSettings(data) => self.factor.update_settings(call, &data.settings, step_up).await?,
            Command::Acknowledge(data) => match self.security.acknowledge(call, data).await {
                // Where there is a second factor, it is what shows that the caller is the user.
                Err(AcknowledgeError::OwnSession) => {
                    self.factor.challenge(call).await?;
                    return Err(AcknowledgeError::OwnSession.into());
                }
                acknowledged => acknowledged?,
            },
            Command::Alerts(data) => self.security.alerts(call, data).await?,
            Command::Sessions(_) => self.session.list(call).await?,
            Command::ExtendSession(_) | Command::Refresh(_) => {
                return Err(NotForWorkers(call.name).into());
            }
        })
    }

    /// Fulfils the guarantee of an answer that was committed before and is repeated now.
    pub(super) async fn keep_promise(&self, call: &Call, work: &Work) -> Result<(), Box<dyn Refusal>> {
        if matches!(work, Work::Command(Command::EndSessions(_)) | Work::EndAllSessions) {
            self.session.confirm_ends(call).await?;
        }
        Ok(())
    }

    /// What follows a job that may have committed, whatever became of it: done again, it changes nothing more.
    pub(super) async fn follow_up(&self, job: &Job) {
        if let Work::Command(Command::UpdateSettings(asked)) = &job.work
            && asked.settings.session_timeout.is_some()
        {
            self.session.retime(&job.user).await;
        }
    }

    /// Whether what is answered is read, and not committed by a transaction that refuses a session that has ended: then the session is
    /// looked at once more before anybody is told. Who joins is told what is open; where it came from is noted whatever became of it.
    pub(super) fn reads(work: &Work) -> bool {
        match work {
            Work::Command(command) => match command {
                Command::Authorize(_)
                | Command::List(_)
                | Command::GetSettings(_)
                | Command::Alerts(_)
                | Command::Sessions(_)
                | Command::ExtendSession(_)
                | Command::Refresh(_) => true,
                Command::Connect(_)
                | Command::Disconnect(_)
                | Command::Sync(_)
                | Command::EndSessions(_)
                | Command::VerifyTwoFactor(_)
                | Command::RequestConfirmation(_)
                | Command::RevokeAll(_)
                | Command::UpdateSettings(_)
                | Command::Acknowledge(_) => false,
            },
            Work::Joined(_) => true,
            Work::Callback(_)
            | Work::ConfirmLink(_)
            | Work::OpenSession(_)
            | Work::EndAllSessions
            | Work::RaiseAlert(_)
            | Work::Refusals(_)
            | Work::Webhook(_) => false,
        }
    }

    /// Whether this ends sessions.
    pub(super) fn ends_sessions(work: &Work) -> bool {
        matches!(work, Work::Command(Command::EndSessions(_)) | Work::EndAllSessions)
    }

    /// Whether this writes to the store for its user, so that events of theirs may wait to be relayed after it.
    pub(super) fn writes(work: &Work) -> bool {
        matches!(
            work,
            Work::Command(
                Command::Connect(_)
                    | Command::Disconnect(_)
                    | Command::Sync(_)
                    | Command::VerifyTwoFactor(_)
                    | Command::RevokeAll(_)
                    | Command::UpdateSettings(_)
                    | Command::EndSessions(_)
            ) | Work::RaiseAlert(_)
                | Work::Joined(Joined { unseen: true, .. })
                | Work::EndAllSessions
                | Work::Callback(_)
                | Work::ConfirmLink(_)
        )
    }
}

/// Refusal of a command that gateways answer themselves.
#[derive(Debug, thiserror::Error)]
#[error("{0} is answered by gateways, not by workers")]
struct NotForWorkers(&'static str);

impl Fault for NotForWorkers {
    fn code(&self) -> ErrorCode {
        ErrorCode::NotSupported
    }
}

impl Refusal for NotForWorkers {}

//! Dispatch: the one match from job and command to feature.

use std::sync::Arc;

use protocol::cluster::api_request::ApiRequest;
use protocol::cluster::job::{Job, JobOutcome, Work};
use protocol::code::ErrorCode;
use protocol::command::{Command, Relay};
use protocol::fault::Fault;

use super::work_policy;
use crate::account::AccountService;
use crate::audit::Refusals;
use crate::call::{Call, Refusal};
use crate::deliveries::Webhooks;
use crate::factor::{FactorService, StepUp};
use crate::outbox::OutboxRelay;
use crate::security::SecurityService;
use crate::session::SessionService;

/// Features of the worker.
pub(crate) struct Dispatch {
    pub(crate) account: AccountService,
    pub(crate) factor: Arc<FactorService>,
    pub(crate) security: SecurityService,
    pub(crate) refusals: Refusals,
    pub(crate) relay: Arc<OutboxRelay>,
    pub(crate) session: Arc<SessionService>,
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
            Work::ConfirmLink(payload) => Ok(self.account.confirm(call, payload).await?),
            Work::RaiseAlert(alert) => Ok(self.security.raise_alert(call, alert).await?),
            Work::Refusals(refused) => self.refusals.record(call, refused).await,
            Work::OpenSession(payload) => Ok(self.session.open(call, payload).await?),
            Work::RestoreLog => Ok(self.relay.restore_for(call).await?),
            Work::Webhook(webhook) => Ok(self.webhooks.receive(webhook).await?),
            Work::ApiRequest(request) => self.api_request(call, request).await,
        }
    }

    async fn api_request(&self, call: &Call, request: &ApiRequest) -> Result<JobOutcome, Box<dyn Refusal>> {
        Ok(match request {
            ApiRequest::Sessions => self.session.list_for_application(call).await?,
            ApiRequest::Devices => self.security.devices(call).await?,
            ApiRequest::Accounts => self.account.states(call).await?,
            ApiRequest::Alerts(query) => self.security.alert_page(call, query).await?,
            ApiRequest::Settings => self.factor.settings(call).await?,
            ApiRequest::Audit(query) => self.security.audit_page(call, query).await?,
            ApiRequest::EndSession(session) => self.session.end_one(call, session).await?,
            ApiRequest::UnlinkAccount(account) => self.account.disconnect(call, *account).await?,
            ApiRequest::RevokeAll => self.security.revoke_all_unconfirmed(call).await?,
            ApiRequest::LockFactor(lock) => self.factor.lock(call, *lock).await?,
            ApiRequest::UnlockFactor => self.factor.unlock(call).await?,
        })
    }

    async fn command(&self, call: &Call, command: &Command, step_up: StepUp) -> Result<JobOutcome, Box<dyn Refusal>> {
        Ok(match command {
            Command::Authorize(data) => self.account.authorize(call, data).await?,
            Command::Connect(data) => self.account.connect(call, data).await?,
            Command::Disconnect(data) => self.account.disconnect(call, data.account_type).await?,
            Command::Sync(data) => self.account.sync(call, data).await?,
            Command::EndSessions(data) => self.session.end(call, data).await?,
            Command::List(_) => self.account.list(call).await?,
            Command::VerifyTwoFactor(data) => self.security.verify_two_factor(call, data).await?,
            Command::RequestConfirmation(data) => self.security.request_confirmation(call, data).await?,
            Command::RevokeAll(data) => self.security.revoke_all(call, data).await?,
            Command::GetSettings(_) => self.security.get_settings(call).await?,
            Command::UpdateSettings(data) => self.security.update_settings(call, &data.settings, step_up).await?,
            Command::Acknowledge(data) => self.security.acknowledge(call, data).await?,
            Command::Alerts(data) => self.security.alerts(call, data).await?,
            Command::Sessions(_) => self.session.list(call).await?,
            Command::ExtendSession(_) | Command::Refresh(_) => {
                return Err(NotForWorkers(call.name).into());
            }
        })
    }

    /// Repeats what a stored answer guarantees, before it is sent again: Redis knows the ended sessions.
    pub(super) async fn before_repeated_answer(&self, call: &Call, work: &Work) -> Result<(), Box<dyn Refusal>> {
        match work_policy::relay(work) {
            Relay::BeforeAnswer => Ok(self.session.confirm_ends(call).await?),
            Relay::WithAnswer | Relay::NotNeeded => Ok(()),
        }
    }

    /// Completes a job that may have committed, whatever its outcome. Repeated, it changes nothing more.
    pub(super) async fn follow_up(&self, job: &Job) {
        if let Work::Command(Command::UpdateSettings(payload)) = &job.work {
            self.security.apply_session_timeout(&job.user, &payload.settings).await;
        }
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

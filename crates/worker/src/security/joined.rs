//! A socket has joined: where it comes from may be news, and alerts may wait to be told again.

use protocol::answer::{self, Answer};
use protocol::cluster::job::{JobOutcome, Joined};
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::fault::chain;
use protocol::security::Alert;
use store::{SignInCheck, SignInFindings, StoreError};

use super::SecurityService;
use super::arrival::{alerts, guessed};
use crate::call::Call;

impl SecurityService {
    /// Tells which alerts are open, and takes note of where the socket comes from, if its gateway could not tell that it is known. A
    /// socket that is to be told of alerts hears them before its arrival can raise one: its gateway asks again after that.
    pub(crate) async fn joined(&self, call: &Call, joined: &Joined) -> Result<JobOutcome, StoreError> {
        let open = if joined.alerts_sent {
            Vec::new()
        } else {
            self.open_alerts(call).await?
        };
        let nothing_to_tell = open.is_empty();
        let outcome = JobOutcome::from(&Answer::Alerts(answer::Alerts { alerts: open }));
        if let Some(from) = call.origin.as_ref().filter(|_| joined.unseen && nothing_to_tell) {
            self.check_sign_in(call, from, &outcome).await?;
        }
        Ok(outcome)
    }

    /// A wrong second factor makes the connects that follow a worker's business.
    pub(crate) async fn forget_seen_after_wrong_code(&self, call: &Call, outcome: &JobOutcome) {
        if outcome.error == Some(ErrorCode::TwoFactorInvalid) {
            self.clear_seen(call).await;
        }
    }

    /// What is open. That there is nothing is noted, so that the next socket need not ask.
    async fn open_alerts(&self, call: &Call) -> Result<Vec<Alert>, StoreError> {
        let look = self.entropy.token();
        let begun = self.hints.begin_alert_check(&call.user, &look).await;
        let alerts = self.store.open_alerts(&call.user).await?;
        if begun.is_ok()
            && alerts.is_empty()
            && let Err(error) = self.hints.mark_no_open_alerts(&call.user, &look).await
        {
            tracing::debug!(error = chain(&error), "the next socket will ask for open alerts too");
        }
        Ok(alerts)
    }

    async fn check_sign_in(&self, call: &Call, from: &Origin, outcome: &JobOutcome) -> Result<(), StoreError> {
        let arrival = SignInCheck {
            user: &call.user,
            sign_in: &call.sign_in(),
            from,
            alert_rules: &|findings| alerts(&call.user, from, findings),
            receipt: &call.receipt(outcome),
        };
        let findings = self.store.check_sign_in(&arrival).await?;
        if let Err(error) = self.hints.mark_seen(&call.user, from).await {
            tracing::debug!(error = chain(&error), "the device will be looked at again");
        }
        self.look_again(call, &findings).await
    }

    /// A second factor that was wrong since the arrival was noted may have withdrawn the hint before it was there.
    async fn look_again(&self, call: &Call, then: &SignInFindings) -> Result<(), StoreError> {
        let Some(factor) = self.store.security(&call.user).await?.factor else {
            return Ok(());
        };
        let alerts_sent = guessed(then.failures, then.last_failed, then.now);
        if factor.failures > then.failures && alerts_sent != guessed(factor.failures, factor.last_failed, self.now()) {
            self.clear_seen(call).await;
        }
        Ok(())
    }

    async fn clear_seen(&self, call: &Call) {
        if let Err(error) = self.hints.clear_seen(&call.user).await {
            tracing::warn!(
                error = chain(&error),
                "connects from known devices are not looked at, though a second factor was wrong"
            );
        }
    }
}

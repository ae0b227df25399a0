//! Check of a socket that joined: repeats open alerts to it, and checks its sign-in for a first-seen device or network.

use protocol::cluster::job::{JobOutcome, Joined};
use protocol::cluster::origin::Origin;
use protocol::command::{AlertsAnswer, Answer};
use protocol::fault::chain;
use protocol::security::Alert;
use store::{SignInCheck, SignInFindings, StoreError};

use super::SecurityService;
use crate::call::Call;
use crate::new_device_alert::{alerts, recent_guesses};

impl SecurityService {
    /// Returns the open alerts, and checks the sign-in if its gateway has no hint that the device is known. Open alerts go to the socket
    /// before its sign-in can raise another one: if there are any, the check waits for the gateway's next job.
    pub(crate) async fn joined(&self, call: &Call, joined: &Joined) -> Result<JobOutcome, StoreError> {
        let open = if joined.alerts_sent {
            Vec::new()
        } else {
            self.open_alerts(call).await?
        };
        let has_none = open.is_empty();
        let outcome = JobOutcome::from(&Answer::Alerts(AlertsAnswer { alerts: open }));
        if let Some(from) = call.origin.as_ref().filter(|_| joined.unseen && has_none) {
            self.check_sign_in(call, from).await?;
        }
        Ok(outcome)
    }

    /// Open alerts of the user. If there are none, leaves a hint, so that the gateway of the next socket need not ask.
    async fn open_alerts(&self, call: &Call) -> Result<Vec<Alert>, StoreError> {
        let query = self.entropy.token();
        let started = self.hints.begin_alert_check(&call.user, &query).await;
        let alerts = self.alerts.open_alerts(&call.user).await?;
        if started.is_ok()
            && alerts.is_empty()
            && let Err(error) = self.hints.mark_no_open_alerts(&call.user, &query).await
        {
            tracing::debug!(error = chain(&error), "hint of no open alerts not written");
        }
        Ok(alerts)
    }

    async fn check_sign_in(&self, call: &Call, from: &Origin) -> Result<(), StoreError> {
        let check = SignInCheck {
            user: &call.user,
            sign_in: &call.sign_in(),
            from,
            alert_rules: &|findings| alerts(&call.user, from, findings),
            receipt: &call.receipt_without_answer(),
        };
        let findings = self.devices.check_sign_in(&check).await?;
        if let Err(error) = self.hints.mark_seen(&call.user, from).await {
            tracing::debug!(error = chain(&error), "hint of a known device not written");
        }
        self.forget_seen_after_guesses(call, &findings).await
    }

    /// Removes the hint again if a wrong code since the check may have removed it before it was written.
    async fn forget_seen_after_guesses(&self, call: &Call, then: &SignInFindings) -> Result<(), StoreError> {
        let Some(factor) = self.records.security(&call.user).await?.factor else {
            return Ok(());
        };
        let reported = recent_guesses(then.failures, then.last_failed, then.now);
        let current = recent_guesses(factor.failures, factor.last_failed, self.now());
        if factor.failures > then.failures && reported != current {
            self.clear_seen(call).await;
        }
        Ok(())
    }

    /// Removes the hint of known devices after a wrong code, so that a worker checks the sign-ins that follow.
    pub(super) async fn clear_seen(&self, call: &Call) {
        if let Err(error) = self.hints.clear_seen(&call.user).await {
            tracing::warn!(
                error = chain(&error),
                "hint of known devices not removed after a wrong second factor"
            );
        }
    }
}

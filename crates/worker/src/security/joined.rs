//! A socket has joined: where it comes from may be news, and alerts may wait to be told again.

use protocol::answer::{self, Answer};
use protocol::cluster::job::{Joined, Outcome};
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::fault::chain;
use protocol::security::Alert;
use store::{Arrival, Novelty, StoreError};

use super::SecurityService;
use super::arrival::{alerts, guessed};
use crate::call::Call;

impl SecurityService {
    /// Tells which alerts are open, and takes note of where the socket comes from, if its gateway could not tell that it is known. A
    /// socket that is to be told of alerts hears them before its arrival can raise one: its gateway asks again after that.
    pub(crate) async fn joined(&self, call: &Call, joined: &Joined) -> Result<Outcome, StoreError> {
        let open = if joined.told {
            Vec::new()
        } else {
            self.open_alerts(call).await?
        };
        let nothing_to_tell = open.is_empty();
        let outcome = Outcome::from(&Answer::Alerts(answer::Alerts { alerts: open }));
        if let Some(from) = call.origin.as_ref().filter(|_| joined.unseen && nothing_to_tell) {
            self.arrive(call, from, &outcome).await?;
        }
        Ok(outcome)
    }

    /// A wrong second factor makes the connects that follow a worker's business.
    pub(crate) async fn checked(&self, call: &Call, outcome: &Outcome) {
        if outcome.error == Some(ErrorCode::TwoFactorInvalid) {
            self.forget_seen(call).await;
        }
    }

    /// What is open. That there is nothing is noted, so that the next socket need not ask.
    async fn open_alerts(&self, call: &Call) -> Result<Vec<Alert>, StoreError> {
        let look = self.entropy.token();
        let begun = self.hints.begin_look(&call.user, &look).await;
        let alerts = self.store.open_alerts(&call.user).await?;
        if begun.is_ok()
            && alerts.is_empty()
            && let Err(error) = self.hints.note_none_open(&call.user, &look).await
        {
            tracing::debug!(error = chain(&error), "the next socket will ask for open alerts too");
        }
        Ok(alerts)
    }

    async fn arrive(&self, call: &Call, from: &Origin, outcome: &Outcome) -> Result<(), StoreError> {
        let arrival = Arrival {
            user: &call.user,
            sign_in: &call.sign_in(),
            from,
            judge: &|novelty| alerts(&call.user, from, novelty),
            receipt: &call.receipt(outcome),
        };
        let novelty = self.store.arrive(&arrival).await?;
        if let Err(error) = self.hints.note_seen(&call.user, from).await {
            tracing::debug!(error = chain(&error), "the device will be looked at again");
        }
        self.look_again(call, &novelty).await
    }

    /// A second factor that was wrong since the arrival was noted may have withdrawn the hint before it was there.
    async fn look_again(&self, call: &Call, then: &Novelty) -> Result<(), StoreError> {
        let Some(factor) = self.store.security(&call.user).await?.factor else {
            return Ok(());
        };
        let told = guessed(then.failures, then.last_failed, then.now);
        if factor.failures > then.failures && told != guessed(factor.failures, factor.last_failed, self.now()) {
            self.forget_seen(call).await;
        }
        Ok(())
    }

    async fn forget_seen(&self, call: &Call) {
        if let Err(error) = self.hints.forget_seen(&call.user).await {
            tracing::warn!(
                error = chain(&error),
                "connects from known devices are not looked at, though a second factor was wrong"
            );
        }
    }
}

//! A socket has joined: where it comes from may be news, and alerts may wait to be told again.

use protocol::answer::{self, Answer};
use protocol::cluster::job::{Joined, Outcome};
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::fault::chain;
use store::{Arrival, Novelty, StoreError};

use super::SecurityService;
use super::arrival::{alerts, guessed};
use crate::jobs::Call;

impl SecurityService {
    /// Tells which alerts are open, and takes note of where the socket comes from, if its gateway could not tell that it is known.
    pub(crate) async fn joined(&self, call: &Call, joined: &Joined) -> Result<Outcome, StoreError> {
        // In this order: what the arrival raises reaches the socket as an event, like all others.
        let open = self.open_alerts(call).await?;
        if let Some(from) = call.origin.as_ref().filter(|_| joined.unseen) {
            self.arrive(call, from, &open).await?;
        }
        Ok(open)
    }

    /// A wrong second factor makes the connects that follow a worker's business.
    pub(crate) async fn checked(&self, call: &Call, outcome: &Outcome) {
        if outcome.error == Some(ErrorCode::TwoFactorInvalid) {
            self.forget_seen(call).await;
        }
    }

    /// What is open. That there is nothing is noted, so that the next socket need not ask.
    async fn open_alerts(&self, call: &Call) -> Result<Outcome, StoreError> {
        let look = self.entropy.token();
        let begun = self.hints.begin_look(&call.user, &look).await;
        let alerts = self.store.open_alerts(&call.user).await?;
        if begun.is_ok()
            && alerts.is_empty()
            && let Err(error) = self.hints.note_none_open(&call.user, &look).await
        {
            tracing::debug!(error = chain(&error), "the next socket will ask for open alerts too");
        }
        Ok(Outcome::from(&Answer::Alerts(answer::Alerts { alerts })))
    }

    async fn arrive(&self, call: &Call, from: &Origin, outcome: &Outcome) -> Result<(), StoreError> {
        let arrival = Arrival {
            user: &call.user,
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

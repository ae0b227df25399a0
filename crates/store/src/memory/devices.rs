//! Devices and networks.

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;

use super::state::State;
use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::audit::Entry;
use crate::devices::{Devices, Recognition, SignInCheck, SignInFindings};

#[async_trait]
impl Devices for MemoryStore {
    async fn check_sign_in(&self, sign_in_check: &SignInCheck<'_>) -> Result<SignInFindings, StoreError> {
        let SignInCheck {
            user,
            sign_in,
            from,
            alert_rules,
            receipt,
        } = sign_in_check;
        let now = self.now();
        let mut state = self.state();
        state.refuse_ended("check the sign-in", user, receipt.actor.session())?;
        in_time("check the sign-in", receipt)?;
        let factor = state.security.get(*user).and_then(|record| record.factor.as_ref());
        let (failures, last_failed) = factor.map_or((0, None), |factor| (factor.failures, factor.last_failed));
        let network = from.network();
        let findings = SignInFindings {
            device: recognition(&state, user, "device", from.device()),
            network: recognition(&state, user, "network", &network),
            failures,
            last_failed,
            now: now.into(),
        };
        for (kind, name) in [("device", from.device()), ("network", &network)] {
            state.seen.insert(((*user).clone(), kind, name.to_owned()), now);
        }
        state.had_device.insert((*user).clone());
        if findings.device != Recognition::Known {
            state.audit(
                &self.audit,
                user,
                Entry::of_new_device(&findings, &network),
                receipt,
                now,
            );
        }
        for alert in alert_rules(&findings) {
            let entry = Entry::of_raised_alert(&alert);
            if state.send_with_subject(user, &[Envelope::of_alert(alert)], Some(sign_in), now) > 0 {
                state.audit(&self.audit, user, entry, receipt, now);
            }
        }
        Ok(findings)
    }
}

/// A device and its network are recorded together, so `had_device` decides for both.
fn recognition(state: &State, user: &UserId, kind: &'static str, name: &str) -> Recognition {
    if state.seen.contains_key(&(user.clone(), kind, name.to_owned())) {
        Recognition::Known
    } else if state.had_device.contains(user) {
        Recognition::New
    } else {
        Recognition::First
    }
}

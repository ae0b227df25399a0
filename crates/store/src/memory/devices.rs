//! Devices and networks.

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;

use super::state::State;
use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::audit::Entry;
use crate::devices::{Acquaintance, Arrival, Devices, Novelty};

#[async_trait]
impl Devices for MemoryStore {
    async fn arrive(&self, arrival: &Arrival<'_>) -> Result<Novelty, StoreError> {
        let Arrival {
            user,
            sign_in,
            from,
            judge,
            receipt,
        } = arrival;
        let now = self.now();
        let mut state = self.state();
        state.refuse_ended("note a device", user, receipt.actor.session())?;
        in_time("note a device", receipt)?;
        let factor = state.security.get(*user).and_then(|record| record.factor.as_ref());
        let (failures, last_failed) = factor.map_or((0, None), |factor| (factor.failures, factor.last_failed));
        let network = from.network();
        let novelty = Novelty {
            device: acquaintance(&state, user, "device", from.device()),
            network: acquaintance(&state, user, "network", &network),
            failures,
            last_failed,
            now: now.into(),
        };
        for (kind, name) in [("device", from.device()), ("network", &network)] {
            state.seen.insert(((*user).clone(), kind, name.to_owned()), now);
        }
        state.had_device.insert((*user).clone());
        if novelty.device != Acquaintance::Known {
            state.audit(
                &self.audit,
                user,
                Entry::of_new_device(&novelty, &network),
                receipt,
                now,
            );
        }
        for alert in judge(&novelty) {
            let entry = Entry::of_raised_alert(&alert);
            if state.send_about(user, &[Envelope::of_alert(alert)], Some(sign_in), now) > 0 {
                state.audit(&self.audit, user, entry, receipt, now);
            }
        }
        Ok(novelty)
    }
}

/// Every device comes on a network, so there was one of both or of neither.
fn acquaintance(state: &State, user: &UserId, kind: &'static str, name: &str) -> Acquaintance {
    if state.seen.contains_key(&(user.clone(), kind, name.to_owned())) {
        Acquaintance::Known
    } else if state.had_device.contains(user) {
        Acquaintance::New
    } else {
        Acquaintance::First
    }
}

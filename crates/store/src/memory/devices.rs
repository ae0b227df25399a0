//! Devices and networks.

use std::time::SystemTime;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::origin::Origin;
use protocol::id::UserId;

use super::state::State;
use super::{MemoryStore, in_time};
use crate::StoreError;
use crate::answers::Receipt;
use crate::audit::Entry;
use crate::devices::{Devices, Recognition, SignInCheck, SignInFindings};
use crate::operator::{MAX_LISTED, SeenOverview};
use crate::vault::AuditKeys;

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
        let findings = state.find_sign_in(user, from, now);
        state.record_sign_in(&self.audit, (user, from), &findings, receipt, now);
        for alert in alert_rules(&findings) {
            let entry = Entry::of_raised_alert(&alert);
            if state.send_with_subject(user, &[Envelope::of_alert(alert)], Some(sign_in), now) > 0 {
                state.audit(&self.audit, user, entry, receipt, now);
            }
        }
        Ok(findings)
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<SeenOverview>, StoreError> {
        let state = self.state();
        let seen = state.seen.range((user.clone(), "", String::new())..);
        let seen = seen.take_while(|((owner, ..), _)| owner == user);
        let mut seen: Vec<_> = seen
            .map(|((_, kind, name), at)| SeenOverview {
                kind: (*kind).to_owned(),
                name: name.clone(),
                seen_at: (*at).into(),
            })
            .collect();
        // Stable: those of one time stay ordered by kind and name.
        seen.sort_by_key(|seen| std::cmp::Reverse(seen.seen_at));
        seen.truncate(usize::try_from(MAX_LISTED).unwrap_or(usize::MAX));
        Ok(seen)
    }
}

impl State {
    pub(super) fn find_sign_in(&self, user: &UserId, from: &Origin, now: SystemTime) -> SignInFindings {
        let factor = self.security.get(user).and_then(|record| record.factor.as_ref());
        let (failures, last_failed) = factor.map_or((0, None), |factor| (factor.failures, factor.last_failed));
        SignInFindings {
            device: recognition(self, user, "device", from.device()),
            network: recognition(self, user, "network", &from.network()),
            failures,
            last_failed,
            now: now.into(),
        }
    }

    pub(super) fn record_sign_in(
        &mut self,
        keys: &AuditKeys,
        (user, from): (&UserId, &Origin),
        findings: &SignInFindings,
        receipt: &Receipt,
        now: SystemTime,
    ) {
        let network = from.network();
        for (kind, name) in [("device", from.device()), ("network", &network)] {
            self.seen.insert((user.clone(), kind, name.to_owned()), now);
        }
        self.had_device.insert(user.clone());
        if findings.device != Recognition::Known {
            let entry = Entry::of_new_device(findings, &network);
            self.audit(keys, user, entry, receipt, now);
        }
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

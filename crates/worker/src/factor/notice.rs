//! Whoever codes are, or were, sent to hears that the second factor was changed: the one who set the new one up may be a thief.

use protocol::fault::chain;
use protocol::id::UserId;
use protocol::security::FactorMethod;
use store::vault::Ciphertext;

use super::courier::Message;
use super::{FactorService, factor_binding};

impl FactorService {
    /// Tells these addresses once each, as far as their couriers manage to; nobody waits for it.
    pub(super) fn tell_addresses<'a>(
        &self,
        user: &UserId,
        means: impl Iterator<Item = (FactorMethod, &'a Ciphertext)>,
    ) {
        let mut told: Vec<String> = Vec::new();
        for (method, sealed) in means.filter(|(method, _)| *method != FactorMethod::Totp) {
            let address = match self.vault.decrypt(&factor_binding(user, method), sealed) {
                Ok(address) => address,
                Err(error) => {
                    tracing::error!(
                        error = chain(&error),
                        "an address is not told that the second factor was changed"
                    );
                    continue;
                }
            };
            if told.iter().any(|earlier| earlier == address.expose()) {
                continue;
            }
            told.push(address.expose().to_owned());
            let (message_senders, metrics) = (self.message_senders.clone(), self.metrics.clone());
            self.tasks.each("notice of a changed factor", async move {
                let message = Message::factor_changed();
                if let Err(error) = message_senders.carry(method, &address, &message, &metrics).await {
                    tracing::warn!(
                        error = chain(&error),
                        "an address is not told that the second factor was changed"
                    );
                }
            });
        }
    }
}

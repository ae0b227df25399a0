//! Notice of a changed second factor, sent to the old and the new address: a thief may have set up the new factor.

use protocol::fault::chain;
use protocol::id::UserId;
use protocol::security::FactorMethod;
use store::vault::Ciphertext;
use tracing::Instrument;

use super::message::{Message, is_logged_outage};
use super::{FactorService, factor_binding};
use crate::trace::task_span;

impl FactorService {
    /// Sends a notice to each of these addresses once, in the background and without a retry.
    pub(super) fn notify_addresses<'a>(
        &self,
        user: &UserId,
        addresses: impl Iterator<Item = (FactorMethod, &'a Ciphertext)>,
    ) {
        let mut notified: Vec<String> = Vec::new();
        for (method, encrypted) in addresses.filter(|(method, _)| *method != FactorMethod::Totp) {
            let address = match self.vault.decrypt(&factor_binding(user, method), encrypted) {
                Ok(address) => address,
                Err(error) => {
                    tracing::error!(
                        error = chain(&error),
                        "notice of a changed second factor not sent: address not decrypted"
                    );
                    continue;
                }
            };
            if notified.iter().any(|earlier| earlier == address.expose()) {
                continue;
            }
            notified.push(address.expose().to_owned());
            let (message_senders, metrics) = (self.message_senders.clone(), self.metrics.clone());
            let notice = async move {
                let message = Message::factor_changed();
                if let Err(error) = message_senders.send(method, &address, &message, &metrics).await
                    && !is_logged_outage(&error)
                {
                    tracing::warn!(
                        method = method.as_str(),
                        error = chain(&error),
                        "notice of a changed second factor not sent"
                    );
                }
            };
            let span = task_span("notice of a changed factor");
            self.tasks.each("notice of a changed factor", notice.instrument(span));
        }
    }
}

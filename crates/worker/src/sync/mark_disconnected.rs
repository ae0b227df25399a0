//! Marking of a link that its platform has ended: all devices are notified, and no worker calls the platform for it until it is linked
//! again.

use std::time::Duration;

use protocol::account::{AccountStatus, StatusChanged, StatusMetadata};
use protocol::cluster::envelope::Envelope;
use protocol::event::Event;
use protocol::security::{Alert, AlertType, Severity};
use store::{Credentials, DisconnectOutcome, DisconnectedLink, SyncLease};

use super::failure::CONNECT_AGAIN;
use super::{SyncFailure, Syncer};
use crate::call::{background_receipt, digest, event_id};
use crate::metrics::SyncLabel;

impl Syncer {
    /// Marks the link disconnected and publishes that; returns the current account where it has other tokens by now.
    pub(super) async fn mark_disconnected(
        &self,
        lease: &SyncLease,
        found: &Credentials,
        kind: AlertType,
    ) -> Result<Option<Credentials>, SyncFailure> {
        let lost = DisconnectedLink {
            lease: lease.clone(),
            generation: found.generation,
            error_message: CONNECT_AGAIN.to_owned(),
            events: vec![self.status(lease, found), self.alert(lease, found, kind)],
        };
        match self
            .refreshes
            .mark_disconnected(&lost, &background_receipt(&*self.entropy, STORE_TIMEOUT))
            .await?
        {
            DisconnectOutcome::TokensReplaced => return self.read_again(lease).await.map(Some),
            DisconnectOutcome::NotConnected => return Err(SyncFailure::Superseded),
            DisconnectOutcome::Disconnected => {}
        }
        tracing::info!(platform = %lease.account, alert = kind.as_str(), "link marked disconnected, its platform has ended it");
        self.metrics.sync(lease.account, SyncLabel::Lost);
        self.relay.user(&lease.user).await;
        Ok(None)
    }

    fn status(&self, lease: &SyncLease, found: &Credentials) -> Envelope {
        let change = StatusChanged {
            metadata: Some(StatusMetadata {
                error_message: Some(CONNECT_AGAIN.to_owned()),
                last_synced: found.account.last_synced,
            }),
            ..StatusChanged::plain(&lease.user, lease.account, AccountStatus::Error, self.now())
        };
        Envelope::of(event_id(&event_subject(found, "status")), &Event::StatusChanged(change))
    }

    fn alert(&self, lease: &SyncLease, found: &Credentials, kind: AlertType) -> Envelope {
        let (platform, name) = (lease.account, &found.account.username);
        let message = match kind {
            AlertType::RefreshFailed => {
                format!("The {platform} account {name} did not answer when its access was renewed. Connect it again.")
            }
            _ => format!("{platform} has ended the access to the account {name}. Connect it again."),
        };
        Envelope::of_alert(Alert {
            user_id: lease.user.clone(),
            alert_id: event_id(&event_subject(found, "alert")).into(),
            severity: Severity::High,
            kind,
            message,
            timestamp: self.now(),
            requires_action: true,
        })
    }
}

/// Subject of the event ids: equal for all workers that find the same generation of tokens, which is never used twice.
fn event_subject(found: &Credentials, what: &str) -> [u8; 32] {
    digest([b"lost", what.as_bytes(), &found.generation.to_be_bytes()])
}

/// Limit of the transaction.
const STORE_TIMEOUT: Duration = Duration::from_secs(30);

//! A link that its platform has ended: all devices are told, and nobody asks that platform about it again until it is linked anew.

use std::time::Duration;

use protocol::account::{AccountStatus, StatusChanged, StatusMetadata};
use protocol::cluster::envelope::Envelope;
use protocol::event::Event;
use protocol::security::{Alert, AlertType, Severity};
use store::{Credentials, DisconnectOutcome, DisconnectedLink, SyncLease};

use super::failure::CONNECT_AGAIN;
use super::{SyncFailure, Syncer};
use crate::call::{digest, event_id, unasked};

impl Syncer {
    /// Records the loss and tells it; gives the account as it is where it has other tokens by now.
    pub(super) async fn lose(
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
            .store
            .mark_disconnected(&lost, &unasked(&*self.entropy, PATIENCE))
            .await?
        {
            DisconnectOutcome::TokensReplaced => return self.read_again(lease).await.map(Some),
            DisconnectOutcome::NotConnected => return Err(SyncFailure::Superseded),
            DisconnectOutcome::Disconnected => {}
        }
        tracing::info!(platform = %lease.account, alert = kind.as_str(), "a link is lost");
        self.metrics.sync(lease.account, "lost");
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
        Envelope::of(event_id(&about(found, "status")), &Event::StatusChanged(change))
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
            alert_id: event_id(&about(found, "alert")).into(),
            severity: Severity::High,
            kind,
            message,
            timestamp: self.now(),
            requires_action: true,
        })
    }
}

/// Whoever finds it out says the same: generations are never used twice.
fn about(found: &Credentials, what: &str) -> [u8; 32] {
    digest([b"lost", what.as_bytes(), &found.generation.to_be_bytes()])
}

const PATIENCE: Duration = Duration::from_secs(30);

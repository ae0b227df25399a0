//! `postern restore apply`: links whose tokens may have been used after the state that was restored.

use lifecycle::Clock;
use protocol::account::{AccountStatus, AccountType, StatusChanged, StatusMetadata};
use protocol::cluster::envelope::Envelope;
use protocol::event::Event;
use protocol::id::UserId;
use protocol::security::{Alert, AlertType, Severity};
use protocol::time::Timestamp;
use store::{DisconnectOutcome, DisconnectedLink, Receipt, Refreshes, StoreError, SyncLease};

use crate::call::{digest, event_id};

/// Links in a restored database.
pub struct OperatorLinks<'a> {
    /// Store.
    pub refreshes: &'a dyn Refreshes,
    /// Clock.
    pub clock: &'a dyn Clock,
}

/// Link whose refresh token may have been used after the state that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtfulLink {
    /// Owner.
    pub user: UserId,
    /// Platform.
    pub account: AccountType,
    /// Generation of the tokens.
    pub generation: i64,
    /// Name of the account at the platform.
    pub username: String,
    /// Time of the last sync.
    pub last_synced: Option<Timestamp>,
}

impl OperatorLinks<'_> {
    /// Has the user link the account again, as a worker does whose platform has refused the tokens: status `error`, an alert and an audit
    /// row, and no worker uses the tokens. False if the account has other tokens by now, or is no longer linked. A repeat changes
    /// nothing more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn require_new_link(&self, link: &DoubtfulLink, receipt: &Receipt) -> Result<bool, StoreError> {
        let lost = DisconnectedLink {
            // The generation decides, not the lease.
            lease: SyncLease {
                user: link.user.clone(),
                account: link.account,
                fence: 0,
            },
            generation: link.generation,
            error_message: LINK_AGAIN.to_owned(),
            events: vec![self.status(link, receipt), self.alert(link, receipt)],
        };
        let outcome = self.refreshes.mark_disconnected(&lost, receipt).await?;
        Ok(outcome == DisconnectOutcome::Disconnected)
    }

    fn status(&self, link: &DoubtfulLink, receipt: &Receipt) -> Envelope {
        let change = StatusChanged {
            metadata: Some(StatusMetadata {
                error_message: Some(LINK_AGAIN.to_owned()),
                last_synced: link.last_synced,
            }),
            ..StatusChanged::plain(&link.user, link.account, AccountStatus::Error, self.now())
        };
        Envelope::of(
            event_id(&event_subject(link, receipt, "status")),
            &Event::StatusChanged(change),
        )
    }

    fn alert(&self, link: &DoubtfulLink, receipt: &Receipt) -> Envelope {
        let (platform, name) = (link.account, &link.username);
        Envelope::of_alert(Alert {
            user_id: link.user.clone(),
            alert_id: event_id(&event_subject(link, receipt, "alert")).into(),
            severity: Severity::High,
            kind: AlertType::RefreshFailed,
            message: format!("The access to the {platform} account {name} may have been lost. Connect it again."),
            timestamp: self.now(),
            requires_action: true,
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now().into()
    }
}

/// Subject of the event ids. Generations of before the restore are used again after it, so those of the commands are part of it.
fn event_subject(link: &DoubtfulLink, receipt: &Receipt, what: &str) -> [u8; 32] {
    let (user, job) = (link.user.as_str().as_bytes(), receipt.job.as_str().as_bytes());
    digest([b"restored", what.as_bytes(), user, &link.generation.to_be_bytes(), job])
}

/// Message of the account for its user.
const LINK_AGAIN: &str = "The access to this account may have been lost; connect the account again.";

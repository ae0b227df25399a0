//! Security of a user's access: settings, the second factor's verification, confirmations, `security:revoke_all`, alerts, and checks
//! of new sign-ins.

mod alert_groups;
mod alerts;
mod confirmation;
mod devices;
#[cfg(test)]
mod error_chains;
mod page_cursor;
mod pages;
mod revoke_all;
mod settings;
mod sign_in;
mod verify;

use std::sync::Arc;

use bus::{Challenges, Hints};
use lifecycle::{Clock, Entropy};
use protocol::time::Timestamp;
use store::{Accounts, Alerts, Audit, Devices, Security};

pub(crate) use self::alert_groups::{AlertGroups, AlertQueue};
pub(crate) use self::page_cursor::PageCursors;
use crate::factor::FactorService;
use crate::outbox::OutboxRelay;
use crate::session::SessionService;

/// Handlers of these commands: one method each, in the file of its name.
pub(crate) struct SecurityService {
    pub(crate) records: Arc<dyn Security>,
    pub(crate) alerts: Arc<dyn Alerts>,
    pub(crate) alert_queue: AlertQueue,
    pub(crate) devices: Arc<dyn Devices>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) challenges: Arc<dyn Challenges>,
    pub(crate) hints: Arc<dyn Hints>,
    pub(crate) cursors: PageCursors,
    pub(crate) relay: Arc<OutboxRelay>,
    pub(crate) factor: Arc<FactorService>,
    pub(crate) session: Arc<SessionService>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl SecurityService {
    fn now(&self) -> Timestamp {
        self.clock.now().into()
    }
}

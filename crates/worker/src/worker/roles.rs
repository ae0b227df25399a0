//! Roles of bus and store that a worker uses. Each consumer takes the roles that it calls, so that a test replaces only those.

use std::sync::Arc;

use bus::{Bus, Challenges, Events, Hints, Jobs, Limits, Presence, SessionRegistry};
use store::{
    Accounts, Alerts, Answers, AppWebhooks, Audit, Deliveries, Devices, Inboxes, KeyUses, Outbox, Pauses, PendingLinks,
    Refreshes, Retention, Security, SessionRecords, Store, Syncs, TaskQueue,
};

/// Roles of the bus.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the role of its type")]
pub struct BusRoles {
    pub challenges: Arc<dyn Challenges>,
    pub events: Arc<dyn Events>,
    pub hints: Arc<dyn Hints>,
    pub jobs: Arc<dyn Jobs>,
    pub limits: Arc<dyn Limits>,
    pub presence: Arc<dyn Presence>,
    pub sessions: Arc<dyn SessionRegistry>,
}

impl BusRoles {
    /// All roles of one bus.
    #[must_use]
    pub fn of(bus: Arc<dyn Bus>) -> Self {
        Self {
            challenges: Arc::<dyn Bus>::clone(&bus),
            events: Arc::<dyn Bus>::clone(&bus),
            hints: Arc::<dyn Bus>::clone(&bus),
            jobs: Arc::<dyn Bus>::clone(&bus),
            limits: Arc::<dyn Bus>::clone(&bus),
            presence: Arc::<dyn Bus>::clone(&bus),
            sessions: bus,
        }
    }
}

/// Roles of the store.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the role of its type")]
pub struct StoreRoles {
    pub accounts: Arc<dyn Accounts>,
    pub alerts: Arc<dyn Alerts>,
    pub answers: Arc<dyn Answers>,
    pub app_webhooks: Arc<dyn AppWebhooks>,
    pub audit: Arc<dyn Audit>,
    pub deliveries: Arc<dyn Deliveries>,
    pub devices: Arc<dyn Devices>,
    pub inboxes: Arc<dyn Inboxes>,
    pub key_uses: Arc<dyn KeyUses>,
    pub outbox: Arc<dyn Outbox>,
    pub pauses: Arc<dyn Pauses>,
    pub pending_links: Arc<dyn PendingLinks>,
    pub refreshes: Arc<dyn Refreshes>,
    pub retention: Arc<dyn Retention>,
    pub security: Arc<dyn Security>,
    pub sessions: Arc<dyn SessionRecords>,
    pub syncs: Arc<dyn Syncs>,
    pub tasks: Arc<dyn TaskQueue>,
}

impl StoreRoles {
    /// All roles of one store.
    #[must_use]
    pub fn of(store: Arc<dyn Store>) -> Self {
        Self {
            accounts: Arc::<dyn Store>::clone(&store),
            alerts: Arc::<dyn Store>::clone(&store),
            answers: Arc::<dyn Store>::clone(&store),
            app_webhooks: Arc::<dyn Store>::clone(&store),
            audit: Arc::<dyn Store>::clone(&store),
            deliveries: Arc::<dyn Store>::clone(&store),
            devices: Arc::<dyn Store>::clone(&store),
            inboxes: Arc::<dyn Store>::clone(&store),
            key_uses: Arc::<dyn Store>::clone(&store),
            outbox: Arc::<dyn Store>::clone(&store),
            pauses: Arc::<dyn Store>::clone(&store),
            pending_links: Arc::<dyn Store>::clone(&store),
            refreshes: Arc::<dyn Store>::clone(&store),
            retention: Arc::<dyn Store>::clone(&store),
            security: Arc::<dyn Store>::clone(&store),
            sessions: Arc::<dyn Store>::clone(&store),
            syncs: Arc::<dyn Store>::clone(&store),
            tasks: store,
        }
    }
}

//! Roles of the bus that a gateway uses, each taken by the services that need it.

use std::sync::Arc;

use bus::{Bus, Challenges, Events, Hints, Jobs, Joins, Limits, Liveness, Presence, ResumeTokens, SessionRegistry};

/// Roles of one bus. A test replaces single roles.
#[derive(Clone)]
pub struct BusRoles {
    /// Short-lived values, such as pending authorizations.
    pub challenges: Arc<dyn Challenges>,
    /// Event logs and user channels.
    pub events: Arc<dyn Events>,
    /// First-seen devices and open alerts.
    pub hints: Arc<dyn Hints>,
    /// Job lanes and replies.
    pub jobs: Arc<dyn Jobs>,
    /// Joins of sockets to their sessions.
    pub joins: Arc<dyn Joins>,
    /// Rate limits of the cluster.
    pub limits: Arc<dyn Limits>,
    /// Reachability of the server.
    pub liveness: Arc<dyn Liveness>,
    /// Sockets of the cluster.
    pub presence: Arc<dyn Presence>,
    /// Session deadlines.
    pub sessions: Arc<dyn SessionRegistry>,
    /// Resume tokens.
    pub resume_tokens: Arc<dyn ResumeTokens>,
}

impl From<Arc<dyn Bus>> for BusRoles {
    fn from(bus: Arc<dyn Bus>) -> Self {
        Self {
            challenges: Arc::clone(&bus) as _,
            events: Arc::clone(&bus) as _,
            hints: Arc::clone(&bus) as _,
            jobs: Arc::clone(&bus) as _,
            joins: Arc::clone(&bus) as _,
            limits: Arc::clone(&bus) as _,
            liveness: Arc::clone(&bus) as _,
            presence: Arc::clone(&bus) as _,
            sessions: Arc::clone(&bus) as _,
            resume_tokens: bus,
        }
    }
}

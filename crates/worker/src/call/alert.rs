//! An alert that a job raises. Handed to the store among a transaction's events, it is a row of that transaction too.

use protocol::cluster::envelope::Envelope;
use protocol::security::{Alert, AlertType, Severity};
use protocol::time::Timestamp;

use super::Call;

/// What an alert says. Whose it is, and its name, follow from the job.
pub(crate) struct NewAlert {
    pub(crate) kind: AlertType,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) requires_action: bool,
}

impl NewAlert {
    /// The alert of this kind that this job raises, for all devices of its user. Done again, the job raises the same.
    pub(crate) fn raised_by(self, call: &Call, now: Timestamp) -> Envelope {
        Envelope::of_alert(Alert {
            user_id: call.user.clone(),
            alert_id: call.event_id(self.kind.as_str()).into(),
            severity: self.severity,
            kind: self.kind,
            message: self.message,
            timestamp: now,
            requires_action: self.requires_action,
        })
    }
}

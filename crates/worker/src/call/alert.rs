//! Alert that a job raises. The store writes it as a row of the transaction whose events contain it.

use protocol::cluster::envelope::Envelope;
use protocol::security::{Alert, AlertType, Severity};
use protocol::time::Timestamp;

use super::Call;

/// Content of an alert. Its user and id follow from the job.
pub(crate) struct NewAlert {
    pub(crate) kind: AlertType,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) requires_action: bool,
}

impl NewAlert {
    /// Envelope of the alert for all devices of the job's user. A repeated job raises the same alert.
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

//! What the user's devices hear about settings and second factor.

use protocol::cluster::envelope::Envelope;
use protocol::event::Event;
use protocol::security::{AlertType, SettingsUpdated, Severity};
use protocol::time::Timestamp;
use store::SecurityRecord;

use super::lockout::DELAY_FROM;
use crate::call::{Call, NewAlert};

/// The settings are these now.
pub(super) fn settings_updated(call: &Call, record: &SecurityRecord) -> Envelope {
    let updated = SettingsUpdated {
        user_id: call.user.clone(),
        settings: record.settings(),
    };
    call.envelope("settings", &Event::SettingsUpdated(updated))
}

/// A code was wrong, the last of so many.
pub(super) fn failed(call: &Call, failures: u32, now: Timestamp) -> Envelope {
    let is_attack = failures >= DELAY_FROM;
    let alert = NewAlert {
        kind: AlertType::FailedTwoFactor,
        severity: if is_attack { Severity::High } else { Severity::Medium },
        message: "A wrong second factor was given.".to_owned(),
        requires_action: is_attack,
    };
    alert.raised_by(call, now)
}

/// The factor was turned on or off: if it was not the user, the user must act.
pub(super) fn factor_changed(call: &Call, message: &str, now: Timestamp) -> Envelope {
    let alert = NewAlert {
        kind: AlertType::SettingsChanged,
        severity: Severity::High,
        message: message.to_owned(),
        requires_action: true,
    };
    alert.raised_by(call, now)
}

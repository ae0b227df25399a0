//! Events and alerts about settings and second factor, for all devices of the user.

use protocol::cluster::envelope::Envelope;
use protocol::event::Event;
use protocol::security::{AlertType, SettingsUpdated, Severity};
use protocol::time::Timestamp;
use store::SecurityRecord;

use super::lockout::DELAY_FROM;
use crate::call::{Call, NewAlert};

/// Event with the settings of this record.
pub(crate) fn settings_updated(call: &Call, record: &SecurityRecord) -> Envelope {
    let updated = SettingsUpdated {
        user_id: call.user.clone(),
        settings: record.settings(),
    };
    call.envelope("settings", &Event::SettingsUpdated(updated))
}

/// Alert about a wrong code; `failures` counts the wrong codes in a row, this one included.
pub(super) fn wrong_code(call: &Call, failures: u32, now: Timestamp) -> Envelope {
    let is_attack = failures >= DELAY_FROM;
    let alert = NewAlert {
        kind: AlertType::FailedTwoFactor,
        severity: if is_attack { Severity::High } else { Severity::Medium },
        message: "A wrong second factor was given.".to_owned(),
        requires_action: is_attack,
    };
    alert.raised_by(call, now)
}

/// Alert about a factor that was turned on or off: a user who did not do so must act.
pub(super) fn factor_changed(call: &Call, message: &str, now: Timestamp) -> Envelope {
    let alert = NewAlert {
        kind: AlertType::SettingsChanged,
        severity: Severity::High,
        message: message.to_owned(),
        requires_action: true,
    };
    alert.raised_by(call, now)
}

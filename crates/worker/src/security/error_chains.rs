//! Errors of alerts, confirmations and settings, each printed without repetition.

use std::sync::Arc;

use super::alerts::{AcknowledgeError, RaiseAlertError};
use super::confirmation::RequestConfirmationError;
use super::page_cursor::InvalidCursor;
use super::pages::PageError;
use super::revoke_all::RevokeAllError;
use super::settings::UpdateSettingsError;
use crate::error_chains::{bus_errors, check_chains, recall_errors, store_errors};
use crate::factor::error_chains::{factor_change_errors, step_up_errors};

#[test]
fn errors_of_alerts_confirmations_and_settings_repeat_no_part() {
    check_chains!(UpdateSettingsError:
        UpdateSettingsError::Timeout => [UpdateSettingsError::Timeout],
        UpdateSettingsError::Factor(_) => factor_change_errors().into_iter().map(UpdateSettingsError::Factor),
        UpdateSettingsError::Store(_) => store_errors().map(UpdateSettingsError::Store),
        UpdateSettingsError::Recall(_) => recall_errors().map(UpdateSettingsError::Recall),
    );
    check_chains!(AcknowledgeError:
        AcknowledgeError::Unknown => [AcknowledgeError::Unknown],
        AcknowledgeError::OwnSession => [AcknowledgeError::OwnSession],
        AcknowledgeError::StepUp(_) => step_up_errors().into_iter().map(AcknowledgeError::StepUp),
        AcknowledgeError::Store(_) => store_errors().map(AcknowledgeError::Store),
    );
    check_chains!(RaiseAlertError:
        RaiseAlertError::Store(_) => store_errors().map(RaiseAlertError::Store),
        RaiseAlertError::Group(_) => store_errors().map(|error| RaiseAlertError::Group(Arc::new(error))),
    );
    check_chains!(RequestConfirmationError:
        RequestConfirmationError::Action => [RequestConfirmationError::Action],
        RequestConfirmationError::Bus(_) => bus_errors().map(RequestConfirmationError::Bus),
        RequestConfirmationError::Store(_) => store_errors().map(RequestConfirmationError::Store),
        RequestConfirmationError::Recall(_) => recall_errors().map(RequestConfirmationError::Recall),
    );
    check_chains!(PageError:
        PageError::Cursor(_) => [PageError::Cursor(InvalidCursor)],
        PageError::Store(_) => store_errors().map(PageError::Store),
    );
    check_chains!(RevokeAllError:
        RevokeAllError::Unconfirmed => [RevokeAllError::Unconfirmed],
        RevokeAllError::Bus(_) => bus_errors().map(RevokeAllError::Bus),
        RevokeAllError::Store(_) => store_errors().map(RevokeAllError::Store),
        RevokeAllError::Recall(_) => recall_errors().map(RevokeAllError::Recall),
    );
}

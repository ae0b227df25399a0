//! Errors of the second factor, each printed without repetition.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{OsEntropy, SystemClock};
use protocol::id::UserId;
use protocol::secret::Secret;
use protocol::security::{FactorMethod, TwoFactorRequired};

use super::change::FactorChangeError;
use super::lock::LockError;
use super::message::{Message, SendError};
use super::settings_change::InvalidSettingsChange;
use super::step_up::StepUpError;
use super::verify::VerifyError;
use super::{EmailSender, EmailSettings, FromAddress, SmsSender, SmsSettings, SmtpServer};
use crate::error_chains::{
    assert_no_repetition, bus_errors, cause, check_chains, recall_errors, store_errors, vault_errors,
};

fn send_errors() -> Vec<SendError> {
    vec![
        SendError::NotOffered,
        SendError::Unaddressed,
        SendError::Refused(550),
        SendError::Rejected(421),
        SendError::Unreached(cause()),
        SendError::Late(Duration::from_secs(6)),
    ]
}

fn challenge() -> TwoFactorRequired {
    TwoFactorRequired {
        user_id: UserId::new("u").unwrap(),
        session_id: "challenge".to_owned(),
        expires_in: 300,
        method: FactorMethod::Sms,
    }
}

pub(crate) fn step_up_errors() -> Vec<StepUpError> {
    let mut errors = vec![
        StepUpError::Required(challenge()),
        StepUpError::TooManyMessages(challenge(), Duration::from_secs(1)),
        StepUpError::FactorChanged,
        StepUpError::Locked,
    ];
    errors.extend(
        send_errors()
            .into_iter()
            .map(|error| StepUpError::Unsent(challenge(), error)),
    );
    errors.extend(vault_errors().map(StepUpError::Decrypt));
    errors.extend(store_errors().map(StepUpError::Store));
    errors.extend(bus_errors().map(StepUpError::Bus));
    errors
}

pub(crate) fn factor_change_errors() -> Vec<FactorChangeError> {
    let mut errors = vec![
        FactorChangeError::NotOffered,
        FactorChangeError::Invalid(InvalidSettingsChange::FactorDisabled),
        FactorChangeError::TooManyMessages(Duration::from_secs(1)),
    ];
    errors.extend(send_errors().into_iter().map(FactorChangeError::Unsent));
    errors.extend(bus_errors().map(FactorChangeError::Bus));
    errors.extend(vault_errors().map(FactorChangeError::Decrypt));
    errors
}

#[test]
fn errors_of_the_second_factor_repeat_no_part() {
    check_chains!(SendError:
        SendError::NotOffered | SendError::Unaddressed | SendError::Refused(_) | SendError::Rejected(_) | SendError::Unreached(_) | SendError::Late(_)
            => send_errors(),
    );
    check_chains!(StepUpError:
        StepUpError::Required(_)
            | StepUpError::Unsent(..)
            | StepUpError::TooManyMessages(..)
            | StepUpError::FactorChanged
            | StepUpError::Locked
            | StepUpError::Decrypt(_)
            | StepUpError::Store(_)
            | StepUpError::Bus(_) => step_up_errors(),
    );
    check_chains!(VerifyError:
        VerifyError::NoCode => [VerifyError::NoCode],
        VerifyError::NoChallenge => [VerifyError::NoChallenge],
        VerifyError::TooMany(_) => [VerifyError::TooMany(Duration::from_secs(1))],
        VerifyError::Bus(_) => bus_errors().map(VerifyError::Bus),
        VerifyError::Store(_) => store_errors().map(VerifyError::Store),
        VerifyError::Recall(_) => recall_errors().map(VerifyError::Recall),
    );
    check_chains!(LockError:
        LockError::Store(_) => store_errors().map(LockError::Store),
        LockError::Recall(_) => recall_errors().map(LockError::Recall),
    );
    check_chains!(FactorChangeError:
        FactorChangeError::NotOffered
            | FactorChangeError::Invalid(_)
            | FactorChangeError::TooManyMessages(_)
            | FactorChangeError::Unsent(_)
            | FactorChangeError::Bus(_)
            | FactorChangeError::Decrypt(_) => factor_change_errors(),
    );
}

/// The discard port, on which no server listens.
#[tokio::test]
async fn errors_of_unreachable_servers_repeat_no_part() {
    let message = Message::factor_changed();
    let settings = EmailSettings {
        server: SmtpServer::parse(&Secret::new("smtp://127.0.0.1:9")).unwrap(),
        from: FromAddress::parse("postern@example.org").unwrap(),
    };
    let email = EmailSender::new(settings, Arc::new(SystemClock), Arc::new(OsEntropy)).unwrap();
    assert_no_repetition(&email.send(&Secret::new("a@b.example"), &message).await.unwrap_err());

    let settings = SmsSettings::new(
        "http://127.0.0.1:9",
        "AC1".to_owned(),
        Secret::new("token"),
        "+15550100".to_owned(),
    );
    let sms = SmsSender::new(settings.unwrap()).unwrap();
    assert_no_repetition(&sms.send(&Secret::new("+436601234567"), &message).await.unwrap_err());
}

//! Effect of a settings change on the second factor, given the factor that is on. Pure.

use protocol::secret::Secret;
use protocol::security::{FactorMethod, SettingsChange};
use store::Factor;

use super::address;

/// Change of the second factor that a settings change requests.
#[derive(Debug)]
pub(super) enum FactorChange {
    /// The factor stays as it is.
    None,
    /// The factor is turned off.
    Disable,
    /// A factor is set up, where none is on or another one.
    Enrol(NewFactor),
}

/// Kind of the factor to set up.
#[derive(Debug)]
pub(super) enum NewFactor {
    /// Codes of an authenticator.
    Authenticator,
    /// Codes that are sent to this address.
    SentCodes { method: FactorMethod, address: Secret },
}

/// Settings change that contradicts itself. The client reads this text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSettingsChange {
    #[error("settings.twoFactorEnabled: `true` was expected with a method or address")]
    FactorDisabled,
    #[error("settings.address: a telephone number was expected, such as +43660123456")]
    Number,
    #[error("settings.address: an email address was expected")]
    Email,
    #[error("settings.address: an authenticator has none")]
    AddressForAuthenticator,
}

impl FactorChange {
    /// Reads a settings change. Without method and address it means those of the factor that is on, else an authenticator.
    pub(super) fn of(payload: &SettingsChange, factor: Option<&Factor>) -> Result<Self, InvalidSettingsChange> {
        let names_factor = payload.method.is_some() || payload.address.is_some();
        match payload.two_factor_enabled {
            Some(false) => return Ok(Self::Disable),
            None if !names_factor => return Ok(Self::None),
            None if factor.is_none() => return Err(InvalidSettingsChange::FactorDisabled),
            Some(true) | None => {}
        }
        let current = factor.map(|factor| factor.method);
        let method = payload.method.or(current).unwrap_or(FactorMethod::Totp);
        match (&payload.address, method) {
            (None, method) if current == Some(method) => Ok(Self::None),
            (None, FactorMethod::Totp) => Ok(Self::Enrol(NewFactor::Authenticator)),
            (Some(_), FactorMethod::Totp) => Err(InvalidSettingsChange::AddressForAuthenticator),
            (text, FactorMethod::Sms) => sent_codes(method, text.as_deref()).ok_or(InvalidSettingsChange::Number),
            (text, FactorMethod::Email) => sent_codes(method, text.as_deref()).ok_or(InvalidSettingsChange::Email),
        }
    }
}

impl NewFactor {
    pub(super) fn method(&self) -> FactorMethod {
        match self {
            Self::Authenticator => FactorMethod::Totp,
            Self::SentCodes { method, .. } => *method,
        }
    }
}

fn sent_codes(method: FactorMethod, text: Option<&str>) -> Option<FactorChange> {
    let address = address::parse(method, text?)?;
    Some(FactorChange::Enrol(NewFactor::SentCodes { method, address }))
}

#[cfg(test)]
mod tests {
    use store::vault::Ciphertext;

    use super::*;

    fn on(method: FactorMethod) -> Factor {
        Factor {
            method,
            secret: Ciphertext::from_bytes(Vec::new()),
            last_step: 0,
            sent: Vec::new(),
            failures: 0,
            last_failed: None,
            recovery_key: None,
            recovery_codes: Vec::new(),
            recovery_attempts: Vec::new(),
            lock: None,
        }
    }

    fn payload(enabled: Option<bool>, method: Option<FactorMethod>, address: Option<&str>) -> SettingsChange {
        SettingsChange {
            session_timeout: None,
            two_factor_enabled: enabled,
            method,
            address: address.map(str::to_owned),
        }
    }

    /// Short text of the requested change.
    fn change(payload: &SettingsChange, factor: Option<FactorMethod>) -> Result<String, InvalidSettingsChange> {
        Ok(match FactorChange::of(payload, factor.map(on).as_ref())? {
            FactorChange::None => "none".to_owned(),
            FactorChange::Disable => "off".to_owned(),
            FactorChange::Enrol(new) => format!("enrol {}", new.method().as_str()),
        })
    }

    #[test]
    fn omitted_fields_default_to_the_current_factor_else_to_totp() {
        use FactorMethod::{Email, Sms, Totp};
        let (number, email) = (Some("+436601234567"), Some("a@b.example"));
        for (payload, factor, expected) in [
            (payload(None, None, None), None, Ok("none")),
            (payload(Some(true), None, None), None, Ok("enrol totp")),
            (payload(Some(true), None, None), Some(Email), Ok("none")),
            (payload(Some(true), Some(Totp), None), Some(Totp), Ok("none")),
            (payload(None, Some(Totp), None), Some(Sms), Ok("enrol totp")),
            (payload(Some(true), Some(Sms), number), None, Ok("enrol sms")),
            (payload(None, None, number), Some(Sms), Ok("enrol sms")),
            (payload(None, Some(Email), email), Some(Sms), Ok("enrol email")),
            (payload(Some(false), Some(Sms), None), Some(Sms), Ok("off")),
            (
                payload(None, Some(Sms), number),
                None,
                Err(InvalidSettingsChange::FactorDisabled),
            ),
            (
                payload(Some(true), Some(Sms), None),
                None,
                Err(InvalidSettingsChange::Number),
            ),
            (
                payload(Some(true), Some(Sms), email),
                None,
                Err(InvalidSettingsChange::Number),
            ),
            (
                payload(None, None, email),
                Some(Sms),
                Err(InvalidSettingsChange::Number),
            ),
            (
                payload(Some(true), Some(Email), number),
                None,
                Err(InvalidSettingsChange::Email),
            ),
            (
                payload(Some(true), None, email),
                None,
                Err(InvalidSettingsChange::AddressForAuthenticator),
            ),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(change(&payload, factor), expected, "{payload:?} while {factor:?} is on");
        }
    }
}

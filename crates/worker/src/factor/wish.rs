//! What a change of settings asks of the second factor, seen beside the factor that is on. Pure.

use protocol::secret::Secret;
use protocol::security::{FactorMethod, SettingsChange};
use store::Factor;

use super::address;

/// What is asked.
#[derive(Debug)]
pub(super) enum Wish {
    /// That it stays as it is.
    Nothing,
    /// That it is turned off.
    Off,
    /// That one is set up, where none is on or another.
    Begin(Means),
}

/// How a factor is to be given.
#[derive(Debug)]
pub(super) enum Means {
    /// By an authenticator.
    Authenticator,
    /// By codes that are sent.
    Messages { method: FactorMethod, address: Secret },
}

/// What nobody can want. The text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSettingsChange {
    #[error("settings.twoFactorEnabled: `true` was expected with a method or address")]
    NotOn,
    #[error("settings.address: a telephone number was expected, such as +43660123456")]
    Number,
    #[error("settings.address: an email address was expected")]
    Email,
    #[error("settings.address: an authenticator has none")]
    OfAuthenticator,
}

impl Wish {
    /// Reads it. What names neither method nor address means those that are on, else an authenticator.
    pub(super) fn of(asked: &SettingsChange, factor: Option<&Factor>) -> Result<Self, InvalidSettingsChange> {
        let names_means = asked.method.is_some() || asked.address.is_some();
        match asked.two_factor_enabled {
            Some(false) => return Ok(Self::Off),
            None if !names_means => return Ok(Self::Nothing),
            None if factor.is_none() => return Err(InvalidSettingsChange::NotOn),
            Some(true) | None => {}
        }
        let current = factor.map(|factor| factor.method);
        let method = asked.method.or(current).unwrap_or(FactorMethod::Totp);
        match (&asked.address, method) {
            (None, method) if current == Some(method) => Ok(Self::Nothing),
            (None, FactorMethod::Totp) => Ok(Self::Begin(Means::Authenticator)),
            (Some(_), FactorMethod::Totp) => Err(InvalidSettingsChange::OfAuthenticator),
            (text, FactorMethod::Sms) => messages(method, text.as_deref()).ok_or(InvalidSettingsChange::Number),
            (text, FactorMethod::Email) => messages(method, text.as_deref()).ok_or(InvalidSettingsChange::Email),
        }
    }
}

impl Means {
    pub(super) fn method(&self) -> FactorMethod {
        match self {
            Self::Authenticator => FactorMethod::Totp,
            Self::Messages { method, .. } => *method,
        }
    }
}

fn messages(method: FactorMethod, text: Option<&str>) -> Option<Wish> {
    let address = address::read(method, text?)?;
    Some(Wish::Begin(Means::Messages { method, address }))
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
        }
    }

    fn asked(enabled: Option<bool>, method: Option<FactorMethod>, address: Option<&str>) -> SettingsChange {
        SettingsChange {
            session_timeout: None,
            two_factor_enabled: enabled,
            method,
            address: address.map(str::to_owned),
        }
    }

    /// In a word.
    fn wish(asked: &SettingsChange, factor: Option<FactorMethod>) -> Result<String, InvalidSettingsChange> {
        Ok(match Wish::of(asked, factor.map(on).as_ref())? {
            Wish::Nothing => "nothing".to_owned(),
            Wish::Off => "off".to_owned(),
            Wish::Begin(means) => format!("begin {}", means.method().as_str()),
        })
    }

    #[test]
    fn what_is_not_said_is_as_it_is_or_an_authenticator() {
        use FactorMethod::{Email, Sms, Totp};
        let (number, email) = (Some("+436601234567"), Some("a@b.example"));
        for (asked, factor, expected) in [
            (asked(None, None, None), None, Ok("nothing")),
            (asked(Some(true), None, None), None, Ok("begin totp")),
            (asked(Some(true), None, None), Some(Email), Ok("nothing")),
            (asked(Some(true), Some(Totp), None), Some(Totp), Ok("nothing")),
            (asked(None, Some(Totp), None), Some(Sms), Ok("begin totp")),
            (asked(Some(true), Some(Sms), number), None, Ok("begin sms")),
            (asked(None, None, number), Some(Sms), Ok("begin sms")),
            (asked(None, Some(Email), email), Some(Sms), Ok("begin email")),
            (asked(Some(false), Some(Sms), None), Some(Sms), Ok("off")),
            (asked(None, Some(Sms), number), None, Err(InvalidSettingsChange::NotOn)),
            (
                asked(Some(true), Some(Sms), None),
                None,
                Err(InvalidSettingsChange::Number),
            ),
            (
                asked(Some(true), Some(Sms), email),
                None,
                Err(InvalidSettingsChange::Number),
            ),
            (asked(None, None, email), Some(Sms), Err(InvalidSettingsChange::Number)),
            (
                asked(Some(true), Some(Email), number),
                None,
                Err(InvalidSettingsChange::Email),
            ),
            (
                asked(Some(true), None, email),
                None,
                Err(InvalidSettingsChange::OfAuthenticator),
            ),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(wish(&asked, factor), expected, "{asked:?}, {factor:?} is on");
        }
    }
}

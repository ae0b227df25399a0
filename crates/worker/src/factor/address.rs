//! Where codes are sent: a telephone number, or an email address.

use lettre::Address;
use protocol::secret::Secret;
use protocol::security::FactorMethod;

/// Reads what a user has written as the address of this method; none where it cannot be one.
pub(super) fn read(method: FactorMethod, text: &str) -> Option<Secret> {
    let is_address = match method {
        FactorMethod::Totp => false,
        FactorMethod::Sms => is_number(text),
        FactorMethod::Email => is_email(text),
    };
    is_address.then(|| Secret::new(text))
}

/// An international number (ITU-T E.164): `+`, then 8 to 15 digits, the first of them no 0.
fn is_number(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else {
        return false;
    };
    (8..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0')
}

/// As mail servers take it. ASCII: what looks alike in other letters is another's.
fn is_email(text: &str) -> bool {
    text.len() <= LONGEST_EMAIL && text.is_ascii() && text.parse::<Address>().is_ok()
}

/// RFC 5321, section 4.5.3.1.3, without the angle brackets.
const LONGEST_EMAIL: usize = 254;

#[cfg(test)]
mod tests {
    use super::*;

    fn is(method: FactorMethod, text: &str) -> bool {
        read(method, text).is_some()
    }

    #[test]
    fn a_number_is_international() {
        for good in ["+43660123", "+436601234567", "+123456789012345"] {
            assert!(is(FactorMethod::Sms, good), "{good}");
        }
        for bad in [
            "",
            "+",
            "436601234567",
            "+036601234567",
            "+4366012",
            "+1234567890123456",
            "+43 660 1234567",
            "+4366012345a7",
            "+43660\u{0661}234567",
            "a@b.example",
        ] {
            assert!(!is(FactorMethod::Sms, bad), "{bad}");
        }
    }

    #[test]
    fn an_email_address_is_one_address_and_nothing_more() {
        for good in ["a@b.example", "first.last+tag@mail.example"] {
            assert!(is(FactorMethod::Email, good), "{good}");
        }
        let long = format!("{}@b.example", "a".repeat(LONGEST_EMAIL));
        for bad in [
            "",
            "a",
            "@b.example",
            "a@",
            "a@b.example, c@d.example",
            "A <a@b.example>",
            "a@b.example\r\nBcc: c@d.example",
            "a@b\u{f6}se.example",
            "+436601234567",
            &long,
        ] {
            assert!(!is(FactorMethod::Email, bad), "{bad}");
        }
    }

    #[test]
    fn an_authenticator_has_no_address() {
        assert!(!is(FactorMethod::Totp, "a@b.example"));
    }
}

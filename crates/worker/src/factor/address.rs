//! Where codes are sent: a telephone number, or an email address.

use lettre::Address;
use protocol::secret::Secret;
use protocol::security::FactorMethod;

use super::typed_text;

/// Reads what a user has written as the address of this method, as codes will be sent to it; none where it cannot be one.
pub(super) fn read(method: FactorMethod, text: &str) -> Option<Secret> {
    let address = match method {
        FactorMethod::Totp => None,
        FactorMethod::Sms => number(text),
        FactorMethod::Email => Some(typed_text::trimmed(text).to_owned()).filter(|text| is_email(text)),
    };
    address.map(Secret::new)
}

/// An international number (ITU-T E.164): `+`, then 8 to 15 digits, the first of them no 0. `(0)` is dialled within its country only,
/// and where it stands nobody knows which number is meant.
fn number(text: &str) -> Option<String> {
    let mut number = typed_text::normalized(text);
    if number.contains("(0)") {
        return None;
    }
    number.retain(|letter| !matches!(letter, '(' | ')'));
    let digits = number.strip_prefix('+')?;
    let is_number = (8..=15).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit())
        && !digits.starts_with('0');
    is_number.then_some(number)
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
            "+4366012345a7",
            "+44 (0)20 7946 0958",
            "+43+6601234567",
            "+43 660 123\u{0}4567",
            "a@b.example",
        ] {
            assert!(!is(FactorMethod::Sms, bad), "{bad}");
        }
    }

    #[test]
    fn a_number_is_read_as_people_write_it() {
        for written in [
            "+43 660 1234567",
            "+43-660-123.45.67",
            "+43 (660) 1234567",
            " +43\u{a0}660\u{2011}1234567\t",
            "\u{ff0b}\u{ff14}\u{ff13}6601234567",
            "\u{202d}+436601234567\u{202c}",
            "+43660\u{0661}234567",
        ] {
            let number = read(FactorMethod::Sms, written);
            assert_eq!(number.as_ref().map(Secret::expose), Some("+436601234567"), "{written}");
        }
    }

    #[test]
    fn an_email_address_is_one_address_and_nothing_more() {
        for good in ["a@b.example", "first.last+tag@mail.example"] {
            assert!(is(FactorMethod::Email, good), "{good}");
            // As a keyboard completes it.
            let padded = read(FactorMethod::Email, &format!("\u{200e} {good} "));
            assert_eq!(padded.as_ref().map(Secret::expose), Some(good));
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

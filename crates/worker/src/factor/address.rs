//! Address that codes are sent to: a telephone number or an email address.

use lettre::Address;
use protocol::secret::Secret;
use protocol::security::FactorMethod;

use super::typed_text;

/// Normalizes a typed address for this method; `None` where it is not one.
pub(super) fn parse(method: FactorMethod, text: &str) -> Option<Secret> {
    let address = match method {
        FactorMethod::Totp => None,
        FactorMethod::Sms => telephone_number(text),
        FactorMethod::Email => Some(typed_text::trimmed(text).to_owned()).filter(|text| is_email(text)),
    };
    address.map(Secret::new)
}

/// International number (ITU-T E.164): `+`, then 8 to 15 digits, the first of them not 0. `(0)` is dialled within its country only;
/// a text that contains it is ambiguous.
fn telephone_number(text: &str) -> Option<String> {
    let mut number = typed_text::normalized(text);
    if number.contains("(0)") {
        return None;
    }
    number.retain(|character| !matches!(character, '(' | ')'));
    let digits = number.strip_prefix('+')?;
    let is_number = (8..=15).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit())
        && !digits.starts_with('0');
    is_number.then_some(number)
}

/// Reports whether mail servers accept the address. ASCII only: a lookalike from another script is another person's address.
fn is_email(text: &str) -> bool {
    text.len() <= LONGEST_EMAIL && text.is_ascii() && text.parse::<Address>().is_ok()
}

/// RFC 5321, section 4.5.3.1.3, without the angle brackets.
const LONGEST_EMAIL: usize = 254;

#[cfg(test)]
mod tests {
    use super::*;

    fn is_address(method: FactorMethod, text: &str) -> bool {
        parse(method, text).is_some()
    }

    #[test]
    fn telephone_number_must_be_international() {
        for good in ["+43660123", "+436601234567", "+123456789012345"] {
            assert!(is_address(FactorMethod::Sms, good), "{good}");
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
            assert!(!is_address(FactorMethod::Sms, bad), "{bad}");
        }
    }

    #[test]
    fn typed_telephone_number_is_normalized() {
        for written in [
            "+43 660 1234567",
            "+43-660-123.45.67",
            "+43 (660) 1234567",
            " +43\u{a0}660\u{2011}1234567\t",
            "\u{ff0b}\u{ff14}\u{ff13}6601234567",
            "\u{202d}+436601234567\u{202c}",
            "+43660\u{0661}234567",
        ] {
            let number = parse(FactorMethod::Sms, written);
            assert_eq!(number.as_ref().map(Secret::expose), Some("+436601234567"), "{written}");
        }
    }

    #[test]
    fn email_address_is_accepted_only_alone_and_in_ascii() {
        for good in ["a@b.example", "first.last+tag@mail.example"] {
            assert!(is_address(FactorMethod::Email, good), "{good}");
            // Completion by a keyboard adds spaces.
            let padded = parse(FactorMethod::Email, &format!("\u{200e} {good} "));
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
            assert!(!is_address(FactorMethod::Email, bad), "{bad}");
        }
    }

    #[test]
    fn totp_accepts_no_address() {
        assert!(!is_address(FactorMethod::Totp, "a@b.example"));
    }
}

//! Code that a client presents: six digits, or a recovery code.

use protocol::secret::Secret;

use super::{recovery, typed_text};

/// Well-formed code. Another text is refused whatever the user's factor.
pub(super) enum Code {
    /// Code of an authenticator, or one that was sent.
    Digits(Secret),
    /// Recovery code in normal form: upper case, no separators.
    Recovery(Secret),
}

impl Code {
    /// Parses a typed or pasted text; `None` where it is not a code.
    pub(super) fn parse(text: &Secret) -> Option<Self> {
        let digits = typed_text::normalized(text.expose());
        if digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Digits(Secret::new(digits)));
        }
        recovery::parse(text).map(Self::Recovery)
    }
}

const DIGITS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_digits_and_recovery_codes_parse() {
        let parse = |text: &str| Code::parse(&Secret::new(text));
        for written in [
            "000000",
            "000 000",
            "000-000",
            "000\u{2014}000",
            "0.0.0.0.0.0",
            " 000000\n",
            "\u{ff10}\u{ff10}\u{ff10}000",
            "\u{660}\u{660}\u{660}\u{6f0}\u{6f0}\u{6f0}",
        ] {
            let code = parse(written);
            assert!(
                matches!(&code, Some(Code::Digits(digits)) if digits.expose() == "000000"),
                "{written}"
            );
        }
        for written in [
            "ABCD-EFGH-IJKL-MNOP",
            "abcd efgh ijkl mnop",
            "ABCDEFGHIJKLMNOP",
            "\u{ff21}BCD\u{ff0d}efgh\u{2013}\u{131}jkl.mnop ",
        ] {
            let code = parse(written);
            assert!(
                matches!(&code, Some(Code::Recovery(code)) if code.expose() == "ABCDEFGHIJKLMNOP"),
                "{written}"
            );
        }
        for text in [
            "",
            "00000",
            "0000000",
            "00000a",
            "+00000",
            "000,000",
            "\u{2070}00000",
            "ABCD-EFGH-IJKL-MNO1",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}

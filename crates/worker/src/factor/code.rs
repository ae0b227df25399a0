//! What a client gives for a code: six digits, or a recovery code.

use protocol::secret::Secret;

use super::{recovery, typed_text};

/// What can be a code. Anything else is none, whatever factor there is.
pub(super) enum Code {
    /// Of an authenticator, or sent.
    Digits(Secret),
    /// A recovery code, without what does not count.
    Recovery(Secret),
}

impl Code {
    /// Reads what was typed or pasted; none where no code can be meant.
    pub(super) fn read(text: &Secret) -> Option<Self> {
        let digits = typed_text::normalized(text.expose());
        if digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Digits(Secret::new(digits)));
        }
        recovery::read(text).map(Self::Recovery)
    }
}

const DIGITS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_six_digits_or_a_recovery_code_and_nothing_else_is() {
        let read = |text: &str| Code::read(&Secret::new(text));
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
            let code = read(written);
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
            let code = read(written);
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
            assert!(read(text).is_none(), "{text}");
        }
    }
}

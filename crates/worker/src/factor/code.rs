//! What a client gives for a code: six digits, or a recovery code.

use protocol::secret::Secret;

use super::recovery;

/// What can be a code. Anything else is none, whatever factor there is.
pub(super) enum Code {
    /// Of an authenticator, or sent.
    Digits(Secret),
    /// A recovery code, without what does not count.
    Recovery(Secret),
}

impl Code {
    pub(super) fn read(text: &Secret) -> Option<Self> {
        let digits = text.expose();
        if digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Digits(text.clone()));
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
        assert!(matches!(read("000000"), Some(Code::Digits(_))));
        for written in ["ABCD-EFGH-IJKL-MNOP", "abcd efgh ijkl mnop", "ABCDEFGHIJKLMNO2"] {
            assert!(matches!(read(written), Some(Code::Recovery(_))), "{written}");
        }
        for text in [
            "",
            "00000",
            "0000000",
            "00000a",
            "+00000",
            "\u{0660}00000",
            "000 000",
            "ABCD-EFGH-IJKL-MNO1",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}

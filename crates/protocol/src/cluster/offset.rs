//! Offsets in a user's event log.

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

/// Epoch of a user's event log. A new epoch means that earlier events cannot be distinguished from lost ones. Held inline: each socket and
/// each user channel has one, and each event is compared with them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Epoch {
    /// ASCII digits, zero after the last.
    digits: [u8; MAX_EPOCH_LEN],
    len: NonZeroU8,
}

impl Epoch {
    /// Checks a text of 1 to 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Option<Self> {
        let text = text.as_ref().as_bytes();
        let hex = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !hex {
            return None;
        }
        let mut digits = [0; MAX_EPOCH_LEN];
        digits.get_mut(..text.len())?.copy_from_slice(text);
        let len = u8::try_from(text.len()).ok().and_then(NonZeroU8::new)?;
        Some(Self { digits, len })
    }

    /// Digits of the epoch.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let digits = self.digits.get(..usize::from(self.len.get())).unwrap_or_default();
        // ASCII, as checked by `new`.
        str::from_utf8(digits).unwrap_or_default()
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Epoch").field(&self.as_str()).finish()
    }
}

/// Offset in a user's event log. The first event of an epoch has seq 1; seq 0 is the offset before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Offset {
    /// Epoch of the log.
    pub epoch: Epoch,
    /// Sequence number of the event.
    pub seq: u64,
}

/// Text of an offset on the wire: `<epoch>-<seq>`.
impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch.as_str(), self.seq)
    }
}

/// Text that is no offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an offset is <epoch>-<seq>")]
pub struct InvalidOffset;

impl FromStr for Offset {
    type Err = InvalidOffset;

    fn from_str(text: &str) -> Result<Self, InvalidOffset> {
        let (epoch, seq) = text.split_once('-').ok_or(InvalidOffset)?;
        let plain = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
        let seq = seq.parse().ok().filter(|_| plain).ok_or(InvalidOffset)?;
        Ok(Self {
            epoch: Epoch::new(epoch).ok_or(InvalidOffset)?,
            seq,
        })
    }
}

/// Longest epoch, in digits.
const MAX_EPOCH_LEN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_reads_back_as_its_position() {
        let offset = Offset {
            epoch: Epoch::new("0badcafe").unwrap(),
            seq: 42,
        };
        assert_eq!(offset.to_string(), "0badcafe-42");
        assert_eq!("0badcafe-42".parse(), Ok(offset));
    }

    #[test]
    fn epoch_has_1_to_32_lower_case_hexadecimal_digits() {
        for digits in ["0", "00", "0123456789abcdef0123456789abcdef"] {
            assert_eq!(Epoch::new(digits).unwrap().as_str(), digits);
        }
        assert_ne!(Epoch::new("0"), Epoch::new("00"));
        for text in ["", "g", "A", "0 ", &"0".repeat(33)] {
            assert_eq!(Epoch::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn text_that_is_no_offset_is_refused() {
        for text in [
            "",
            "-",
            "x-1",
            "0badcafe",
            "0badcafe-",
            "0badcafe-+1",
            "0badcafe-1-2",
            "1795424798912-0x",
            "hello",
        ] {
            assert_eq!(text.parse::<Offset>(), Err(InvalidOffset), "{text:?}");
        }
    }
}

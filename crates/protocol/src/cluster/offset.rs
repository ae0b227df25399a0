//! Offsets in a user's event log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Epoch of a user's event log. A new epoch means that earlier events cannot be distinguished from lost ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(String);

impl Epoch {
    /// Checks a text of 1 to 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let hex = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        ((1..=32).contains(&text.len()) && hex).then_some(Self(text))
    }

    /// Digits of the epoch.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Offset in a user's event log. The first event of an epoch has seq 1; seq 0 is the offset before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offset {
    /// Epoch of the log.
    pub epoch: Epoch,
    /// Sequence number of the event.
    pub seq: u64,
}

/// Text of an offset on the wire: `<epoch>-<seq>`.
impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch.0, self.seq)
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

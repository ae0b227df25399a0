//! Stamps in published events: number and due time, found in a received message of any dialect without decoding it.

use std::fmt;
use std::time::Duration;

use memchr::memmem;

use super::Kind;

/// Stamp of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) kind: Kind,
    /// Number among the events of the user, from 0.
    pub(crate) number: u64,
    /// Due time, since the start of the run.
    pub(crate) due: Duration,
}

impl Stamp {
    /// Stamps of a message, in sequence.
    pub(crate) fn find(message: &[u8]) -> impl Iterator<Item = Self> {
        memmem::find_iter(message, MARK).filter_map(move |start| Self::parse(message.get(start + MARK.len()..)?))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = text.get(..text.len().min(LONGEST))?;
        let text = text.split(|byte| *byte == END).next()?;
        let mut parts = std::str::from_utf8(text).ok()?.split('.');
        let kind = Kind::of_code(parts.next()?.chars().next()?)?;
        let number = parts.next()?.parse().ok()?;
        let due = Duration::from_micros(parts.next()?.parse().ok()?);
        Some(Self { kind, number, due })
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~lt~{}.{}.{}~", self.kind.code(), self.number, self.due.as_micros())
    }
}

/// Start of a stamp: no encoding escapes it.
const MARK: &[u8] = b"~lt~";
const END: u8 = b'~';
/// Bytes of the longest stamp after its start.
const LONGEST: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: u64) -> Stamp {
        Stamp {
            kind: Kind::Alert,
            number,
            due: Duration::from_micros(1_234_567),
        }
    }

    #[test]
    fn stamps_of_a_batch_are_found_in_sequence() {
        let text = format!(r#"[{{"a":"{}x"}},{{"a":"{}"}}]"#, stamp(0), stamp(41));
        let found: Vec<Stamp> = Stamp::find(text.as_bytes()).collect();
        assert_eq!(found, [stamp(0), stamp(41)]);
    }

    #[test]
    fn other_messages_and_cut_stamps_have_none() {
        for text in ["", "2", "~lt~", "~lt~a.1", "~lt~a.x.1~", "~lt~?.1.1~"] {
            assert_eq!(Stamp::find(text.as_bytes()).count(), 0, "{text}");
        }
    }
}

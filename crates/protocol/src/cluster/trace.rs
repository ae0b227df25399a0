//! Trace of one request across nodes: W3C Trace Context (`traceparent`, version 00).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Trace id, and the span that makes the request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Traceparent {
    trace: u128,
    span: u64,
    flags: u8,
}

/// Text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is 00-<32>-<16>-<2> lower-case hexadecimal digits, neither of the long ones all zero")]
pub struct InvalidTraceparent;

impl Traceparent {
    /// Begins a trace from two random numbers. It is not sampled.
    #[must_use]
    pub fn begin(trace: u128, span: u64) -> Self {
        Self {
            // Zero means none.
            trace: trace.max(1),
            span: span.max(1),
            flags: 0,
        }
    }

    /// Trace id as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traceparent({self})")
    }
}

impl FromStr for Traceparent {
    type Err = InvalidTraceparent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits);
            let lower = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            part.filter(lower).ok_or(InvalidTraceparent)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let invalid = |_no_number| InvalidTraceparent;
        let read = Self {
            trace: u128::from_str_radix(trace, 16).map_err(invalid)?,
            span: u64::from_str_radix(span, 16).map_err(invalid)?,
            flags: u8::from_str_radix(flags, 16).map_err(invalid)?,
        };
        let whole = version == "00" && parts.next().is_none() && read.trace != 0 && read.span != 0;
        whole.then_some(read).ok_or(InvalidTraceparent)
    }
}

impl TryFrom<String> for Traceparent {
    type Error = InvalidTraceparent;

    fn try_from(text: String) -> Result<Self, InvalidTraceparent> {
        text.parse()
    }
}

impl From<Traceparent> for String {
    fn from(traceparent: Traceparent) -> Self {
        traceparent.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Example of the specification.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn example_of_the_specification_is_read_and_written() {
        let read: Traceparent = EXAMPLE.parse().unwrap();
        assert_eq!(read.to_string(), EXAMPLE);
        assert_eq!(read.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn new_trace_is_read_back_even_from_zero() {
        for trace in [Traceparent::begin(0, 0), Traceparent::begin(u128::MAX, u64::MAX)] {
            assert_eq!(trace.to_string().parse(), Ok(trace));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in [
            "",
            "00",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(wrong.parse::<Traceparent>(), Err(InvalidTraceparent), "{wrong}");
        }
    }
}

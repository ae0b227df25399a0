//! Trace context of one request across nodes: W3C Trace Context (`traceparent`, version 00).

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// Id of a trace, the span in it that makes the request, and the flags.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent {
    trace: NonZeroU128,
    span: NonZeroU64,
    flags: u8,
}

/// Text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is 00-<32>-<16>-<2> lower-case hexadecimal digits, neither of the long ones all zero")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// Begins a trace from two random numbers. It is not sampled.
    #[must_use]
    pub fn begin(trace: u128, span: u64) -> Self {
        Self {
            // Zero means none.
            trace: NonZeroU128::new(trace).unwrap_or(NonZeroU128::MIN),
            span: NonZeroU64::new(span).unwrap_or(NonZeroU64::MIN),
            flags: 0,
        }
    }

    /// Context of a span; `None` if one of the ids is zero.
    #[must_use]
    pub fn of_span(trace: u128, span: u64, sampled: bool) -> Option<Self> {
        Some(Self {
            trace: NonZeroU128::new(trace)?,
            span: NonZeroU64::new(span)?,
            flags: if sampled { SAMPLED } else { 0 },
        })
    }

    /// The same context without the decision to sample it, which a party that is not trusted must not make.
    #[must_use]
    pub fn unsampled(self) -> Self {
        Self { flags: 0, ..self }
    }

    /// Trace id as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// Trace id as a number.
    #[must_use]
    pub fn trace(&self) -> u128 {
        self.trace.get()
    }

    /// Span id as a number.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.span.get()
    }

    /// True if the sender records the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// Reads an optional context. One that is not valid counts as none, since no message is worth less without it.
///
/// # Errors
/// Those of the deserializer, for text that is not well-formed.
pub(crate) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TraceParent>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

/// Bytes of the text.
const TEXT_BYTES: usize = "00-".len() + 32 + "-".len() + 16 + "-01".len();
/// Flag of a trace that its sender records.
const SAMPLED: u8 = 1;

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceParent({self})")
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        if text.len() != TEXT_BYTES {
            return Err(InvalidTraceParent);
        }
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits);
            let lower = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            part.filter(lower).ok_or(InvalidTraceParent)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        if version != "00" || parts.next().is_some() {
            return Err(InvalidTraceParent);
        }
        let number = |digits| u128::from_str_radix(digits, 16).map_err(|_no_number| InvalidTraceParent);
        let span = u64::from_str_radix(span, 16).map_err(|_no_number| InvalidTraceParent)?;
        Ok(Self {
            trace: NonZeroU128::new(number(trace)?).ok_or(InvalidTraceParent)?,
            span: NonZeroU64::new(span).ok_or(InvalidTraceParent)?,
            flags: u8::from_str_radix(flags, 16).map_err(|_no_number| InvalidTraceParent)?,
        })
    }
}

impl TryFrom<String> for TraceParent {
    type Error = InvalidTraceParent;

    fn try_from(text: String) -> Result<Self, InvalidTraceParent> {
        text.parse()
    }
}

impl From<TraceParent> for String {
    fn from(traceparent: TraceParent) -> Self {
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
        let read: TraceParent = EXAMPLE.parse().unwrap();
        assert_eq!(read.to_string(), EXAMPLE);
        assert_eq!(read.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(read.is_sampled());
        let (trace, span) = (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7);
        assert_eq!((read.trace(), read.span()), (trace, span));
        assert_eq!(TraceParent::of_span(trace, span, true), Some(read));
        assert_eq!(Some(read.unsampled()), TraceParent::of_span(trace, span, false));
    }

    #[test]
    fn new_trace_is_read_back_even_from_zero() {
        for trace in [TraceParent::begin(0, 0), TraceParent::begin(u128::MAX, u64::MAX)] {
            assert_eq!(trace.to_string().parse(), Ok(trace));
            assert!(!trace.is_sampled());
        }
    }

    #[test]
    fn span_without_an_id_has_no_context() {
        assert_eq!(TraceParent::of_span(0, 1, true), None);
        assert_eq!(TraceParent::of_span(1, 0, true), None);
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
            assert_eq!(wrong.parse::<TraceParent>(), Err(InvalidTraceParent), "{wrong}");
        }
    }
}

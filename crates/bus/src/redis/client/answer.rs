//! Answers of the server as their leaves in order: our scripts know what they answer, so its nesting says nothing more.

use std::str::FromStr;

use bytes::Bytes;
use fred::types::Value;

use crate::BusError;

/// An answer that is read from its front. A nil is no leaf.
#[derive(Debug)]
pub(in crate::redis) struct Answer {
    step: &'static str,
    leaves: std::vec::IntoIter<Bytes>,
}

impl Answer {
    pub(super) fn new(step: &'static str, value: Value) -> Self {
        let mut leaves = Vec::new();
        collect(value, &mut leaves);
        Self {
            step,
            leaves: leaves.into_iter(),
        }
    }

    /// Whether all has been read.
    pub(in crate::redis) fn is_empty(&self) -> bool {
        self.leaves.as_slice().is_empty()
    }

    /// The next leaf.
    pub(in crate::redis) fn bytes(&mut self) -> Result<Bytes, BusError> {
        self.leaves.next().ok_or_else(|| self.unreadable("it ends early"))
    }

    /// The next leaf as text or number.
    pub(in crate::redis) fn read<T: FromStr>(&mut self) -> Result<T, BusError> {
        let leaf = self.bytes()?;
        let text = str::from_utf8(&leaf).ok().and_then(|text| text.parse().ok());
        text.ok_or_else(|| self.unreadable("a part of it is of another kind"))
    }

    /// The error for an answer that cannot be.
    pub(in crate::redis) fn unreadable(&self, why: &'static str) -> BusError {
        BusError::Unreadable {
            step: self.step,
            source: Box::new(Unexpected(why)),
        }
    }
}

impl Iterator for Answer {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.leaves.next()
    }
}

/// The server answered something that our scripts do not answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer of Redis is not as expected: {0}")]
struct Unexpected(&'static str);

fn collect(value: Value, leaves: &mut Vec<Bytes>) {
    match value {
        Value::Array(values) => values.into_iter().for_each(|value| collect(value, leaves)),
        Value::Map(map) => map.inner().into_iter().for_each(|(key, value)| {
            leaves.push(key.into_bytes());
            collect(value, leaves);
        }),
        Value::String(text) => leaves.push(text.into_inner()),
        Value::Bytes(bytes) => leaves.push(bytes),
        Value::Integer(number) => leaves.push(number.to_string().into()),
        Value::Double(number) => leaves.push(number.to_string().into()),
        Value::Boolean(truth) => leaves.push(truth.to_string().into()),
        Value::Null | Value::Queued => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested() -> Answer {
        let entry = Value::Array(vec!["1-0".into(), Value::Null, 7_i64.into()]);
        Answer::new("read", Value::Array(vec![entry, "text".into()]))
    }

    #[test]
    fn an_answer_is_read_leaf_by_leaf() {
        let mut answer = nested();
        assert_eq!(answer.read::<String>().unwrap(), "1-0");
        assert_eq!(answer.read::<u64>().unwrap(), 7);
        assert!(!answer.is_empty());
        assert_eq!(answer.bytes().unwrap(), "text");
        assert!(answer.is_empty());
    }

    #[test]
    fn an_unexpected_answer_is_an_error_that_does_not_repeat_it() {
        let mut answer = nested();
        let error = answer.read::<u64>().unwrap_err();
        assert!(!protocol::fault::chain(&error).contains("1-0"));
        answer.by_ref().for_each(drop);
        assert!(answer.bytes().is_err());
    }
}

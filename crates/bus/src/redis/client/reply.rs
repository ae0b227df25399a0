//! Replies of the server as a flat sequence of values: the scripts fix the layout, so nesting adds nothing.

use std::str::FromStr;

use bytes::Bytes;
use fred::types::Value;

use crate::BusError;

/// Reply that is read from the front. A nil counts as no value.
#[derive(Debug)]
pub(in crate::redis) struct RedisReply {
    step: &'static str,
    values: std::vec::IntoIter<Bytes>,
}

impl RedisReply {
    pub(super) fn new(step: &'static str, value: Value) -> Self {
        let mut values = Vec::new();
        collect(value, &mut values);
        Self {
            step,
            values: values.into_iter(),
        }
    }

    /// Reports whether all values have been read.
    pub(in crate::redis) fn is_empty(&self) -> bool {
        self.values.as_slice().is_empty()
    }

    /// Takes the next value.
    pub(in crate::redis) fn bytes(&mut self) -> Result<Bytes, BusError> {
        self.values.next().ok_or_else(|| self.unreadable("it ends early"))
    }

    /// Takes the next value as text or number.
    pub(in crate::redis) fn read<T: FromStr>(&mut self) -> Result<T, BusError> {
        let value = self.bytes()?;
        let text = str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
        text.ok_or_else(|| self.unreadable("a value has the wrong type"))
    }

    /// Error for a reply of the wrong layout.
    pub(in crate::redis) fn unreadable(&self, why: &'static str) -> BusError {
        BusError::Unreadable {
            step: self.step,
            source: Box::new(Unexpected(why)),
        }
    }
}

impl Iterator for RedisReply {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.values.next()
    }
}

/// Reply whose layout is not that of the script.
#[derive(Debug, thiserror::Error)]
#[error("unexpected reply from redis: {0}")]
struct Unexpected(&'static str);

fn collect(value: Value, values: &mut Vec<Bytes>) {
    match value {
        Value::Array(nested) => nested.into_iter().for_each(|value| collect(value, values)),
        Value::Map(map) => map.inner().into_iter().for_each(|(key, value)| {
            values.push(key.into_bytes());
            collect(value, values);
        }),
        Value::String(text) => values.push(text.into_inner()),
        Value::Bytes(bytes) => values.push(bytes),
        Value::Integer(number) => values.push(number.to_string().into()),
        Value::Double(number) => values.push(number.to_string().into()),
        Value::Boolean(truth) => values.push(truth.to_string().into()),
        Value::Null | Value::Queued => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested() -> RedisReply {
        let entry = Value::Array(vec!["1-0".into(), Value::Null, 7_i64.into()]);
        RedisReply::new("read", Value::Array(vec![entry, "text".into()]))
    }

    #[test]
    fn nested_reply_is_read_value_by_value() {
        let mut reply = nested();
        assert_eq!(reply.read::<String>().unwrap(), "1-0");
        assert_eq!(reply.read::<u64>().unwrap(), 7);
        assert!(!reply.is_empty());
        assert_eq!(reply.bytes().unwrap(), "text");
        assert!(reply.is_empty());
    }

    #[test]
    fn unexpected_reply_is_an_error_that_does_not_quote_it() {
        let mut reply = nested();
        let error = reply.read::<u64>().unwrap_err();
        assert!(!protocol::fault::chain(&error).contains("1-0"));
        reply.by_ref().for_each(drop);
        assert!(reply.bytes().is_err());
    }
}

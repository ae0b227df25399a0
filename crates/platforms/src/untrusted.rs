//! Decoding of untrusted text: every answer and delivery of a platform is parsed here, leniently, and cleaned of characters that
//! a database or a terminal should not see. Users of the platform write much of it: names, titles, messages.

use std::fmt;

use http::{Response, header};
use protocol::json::lenient;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

/// Parses JSON and cleans all its texts with [`cleaned`]; bytes that are no UTF-8 become U+FFFD. The parser's error is dropped,
/// because it may quote the input.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    let mut value = lenient::parse(String::from_utf8_lossy(json).as_bytes()).ok()?;
    clean(&mut value);
    lenient::read(value).ok()
}

/// Parameters of a token endpoint's answer: a JSON object, or the URL-encoded form that some servers send whatever the request
/// asks for.
pub(crate) fn parameters(answer: &Response<Vec<u8>>) -> Option<Map<String, Value>> {
    let is_urlencoded = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(URLENCODED));
    if !is_urlencoded {
        return read(answer.body());
    }
    let pairs = url::form_urlencoded::parse(answer.body());
    Some(
        pairs
            .map(|(name, value)| (name.into_owned(), Value::String(cleaned(&value))))
            .collect(),
    )
}

const URLENCODED: &[u8] = b"application/x-www-form-urlencoded";

/// Text with U+FFFD for each control character, NUL included, except tab and line feed; other line endings become line feeds.
pub(crate) fn cleaned(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let is_allowed = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.replace(|c| !is_allowed(c), "\u{fffd}")
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(char::is_control) => *text = cleaned(text),
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(fields) => fields.values_mut().for_each(clean),
        _ => {}
    }
}

/// Id of an object or a user of a platform: a string, or the number that it is written as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "IdNotation", into = "String")]
pub(crate) struct Id(String);

impl Id {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

/// Both notations of ids.
#[derive(Deserialize)]
#[serde(untagged)]
enum IdNotation {
    Text(String),
    Number(Number),
}

/// String or number that is no valid id.
#[derive(Debug, thiserror::Error)]
#[error("invalid id")]
pub(crate) struct InvalidId;

impl TryFrom<IdNotation> for Id {
    type Error = InvalidId;

    fn try_from(written: IdNotation) -> Result<Self, InvalidId> {
        let text = match written {
            IdNotation::Text(text) => text,
            IdNotation::Number(number) => digits(&number).ok_or(InvalidId)?,
        };
        let is_id = (1..=MAX_ID_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_id.then_some(Self(text)).ok_or(InvalidId)
    }
}

/// Far longer than any real id, and short enough for an index.
const MAX_ID_LENGTH: usize = 128;

/// Digits of an integer, also if it is written as a float (`45.0`); none if the float has lost digits.
pub(crate) fn digits(number: &Number) -> Option<String> {
    if !number.is_f64() {
        return Some(number.to_string());
    }
    let float = number.as_f64().filter(|float| float.abs() <= EXACT)?;
    // The integer, without exponent and fraction.
    float.to_string().parse::<i64>().ok().map(|integer| integer.to_string())
}

/// 2^53: up to here a float represents every integer exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Number, also if it is written as a string.
pub(crate) fn lenient_number<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let number = match IdNotation::deserialize(from)? {
        IdNotation::Text(text) => text.parse().ok(),
        IdNotation::Number(number) => digits(&number).and_then(|digits| digits.parse().ok()),
    };
    number.ok_or_else(|| D::Error::custom("no number"))
}

/// Seconds, with or without a fraction, also if they are written as a string.
pub(crate) fn seconds(written: &Value) -> Option<f64> {
    let seconds = match written {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
}

/// Elements of a list that can be decoded: one element of another shape does not spoil the others.
pub(crate) fn lenient_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    let all = Vec::<Value>::deserialize(from)?;
    Ok(all.into_iter().filter_map(|one| lenient::read(one).ok()).collect())
}

/// Value, or none if it has another shape.
pub(crate) fn lenient_option<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Ok(lenient::read(Value::deserialize(from)?).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn untrusted_text_is_unicode_without_control_characters() {
        let text = br#"{"name": ["NUL \u0000, ESC \u001b[31m, C1 \u009b, DEL \u007f", "line\r\nby\rline\n\tand tab", "cut \ud83d"]}"#;
        assert_eq!(
            read::<Value>(text).unwrap(),
            json!({ "name": [
                "NUL \u{fffd}, ESC \u{fffd}[31m, C1 \u{fffd}, DEL \u{fffd}",
                "line\nby\nline\n\tand tab",
                "cut \u{fffd}",
            ] })
        );
        assert_eq!(read::<String>(b"\"no \xff text\"").unwrap(), "no \u{fffd} text");
    }

    #[test]
    fn id_is_a_string_or_an_integer_and_nothing_else() {
        for written in [&b"42"[..], b"\"42\"", b"42.0", b"4.2e1"] {
            assert_eq!(read::<Id>(written).unwrap().as_str(), "42");
        }
        assert_eq!(read::<Id>(b"-100123").unwrap().as_str(), "-100123");
        assert_eq!(
            read::<Id>(b"1100000000000000001").unwrap().as_str(),
            "1100000000000000001"
        );
        let long = format!("\"{}\"", "1".repeat(129));
        for written in [
            "1.5",
            "1e300",
            "\"\"",
            "\"4 2\"",
            r#""4\u00002""#,
            "null",
            "{}",
            "true",
            long.as_str(),
        ] {
            assert!(read::<Id>(written.as_bytes()).is_none(), "{written}");
        }
    }

    #[test]
    fn parameters_are_json_unless_the_content_type_is_urlencoded() {
        let answer = |kind: &str, body: &str| {
            let answer = Response::builder().header("content-type", kind);
            parameters(&answer.body(body.into()).unwrap()).map(Value::Object)
        };
        let expected = json!({ "access_token": "a", "scope": "read:user,notifications" });
        let encoded = "access_token=a&scope=read%3Auser%2Cnotifications";
        assert_eq!(
            answer("application/x-www-form-urlencoded; charset=utf-8", encoded),
            Some(expected.clone())
        );
        assert_eq!(
            answer("application/json", &expected.to_string()),
            Some(expected.clone())
        );
        assert_eq!(answer("text/html", &expected.to_string()), Some(expected));
        assert_eq!(answer("application/json", encoded), None);
    }
}

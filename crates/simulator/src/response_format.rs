//! Response format of a platform: as documented, or with the texts and notations that users, other servers and other JSON
//! encoders produce.

use axum::{
    body::{Body, to_bytes},
    response::Response,
};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// Response format of one platform; as documented by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResponseFormat {
    /// Text appended to names, titles and messages.
    pub texts: TextFormat,
    /// Notation of numbers.
    pub numbers: NumberFormat,
    /// True if the token endpoint answers URL-encoded, whatever is requested.
    pub urlencoded_tokens: bool,
}

/// Text that users write after names, titles and messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextFormat {
    /// No text.
    #[default]
    Plain,
    /// Half of an emoji, escaped: invalid Unicode.
    LoneSurrogate,
    /// NUL, escaped.
    Nul,
    /// Control characters of terminals, and line ends.
    Controls,
    /// Bytes that are no UTF-8.
    InvalidUtf8,
    /// Text so long that a page of it exceeds every size limit.
    Overlong,
}

/// Notation of numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberFormat {
    /// Documented notation.
    #[default]
    Plain,
    /// Floats.
    Float,
    /// Ids and lifetimes as strings.
    Text,
}

impl ResponseFormat {
    /// Value in this format.
    pub(crate) fn write(self, mut value: Value) -> Vec<u8> {
        self.reformat(&mut value, "");
        let mut written = Vec::new();
        let text = value.to_string();
        for (nth, part) in text.split(MARK).enumerate() {
            if nth > 0 {
                written.extend_from_slice(self.texts.raw());
            }
            written.extend_from_slice(part.as_bytes());
        }
        written
    }

    /// Answer in this format; a body that is no JSON stays as it is.
    pub(crate) async fn apply(self, answer: Response, is_token: bool) -> Response {
        if self == Self::default() || !answer.status().is_success() {
            return answer;
        }
        let (mut head, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let Ok(value) = serde_json::from_slice::<Value>(&body) else {
            return Response::from_parts(head, Body::from(body));
        };
        head.headers.remove(header::CONTENT_LENGTH);
        let written = self.write(value);
        let encoded = match serde_json::from_slice::<Map<String, Value>>(&written) {
            Ok(parameters) if is_token && self.urlencoded_tokens => encoded(&parameters),
            _ => return Response::from_parts(head, Body::from(written)),
        };
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        head.headers.insert(header::CONTENT_TYPE, kind);
        Response::from_parts(head, Body::from(encoded))
    }

    fn reformat(self, value: &mut Value, name: &str) {
        match value {
            Value::String(text) if USER_TEXT_FIELDS.contains(&name) => text.push_str(&self.texts.added()),
            Value::Number(number) => {
                if let Some(other) = self.numbers.other(number, name) {
                    *value = other;
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.reformat(value, name)),
            Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| self.reformat(value, name)),
            _ => {}
        }
    }
}

impl TextFormat {
    fn added(self) -> String {
        match self {
            Self::Plain => String::new(),
            Self::LoneSurrogate | Self::InvalidUtf8 => format!(" {MARK}"),
            Self::Nul => " \0".to_owned(),
            Self::Controls => " \u{1b}[31m\u{7}\u{85}\u{9b}\r\n\tnext".to_owned(),
            Self::Overlong => " long".repeat(2_000),
        }
    }

    /// Bytes in place of the mark, which no Rust string can contain.
    fn raw(self) -> &'static [u8] {
        match self {
            Self::InvalidUtf8 => b"\xff\xed\xa0\xbd",
            _ => br"\ud83d",
        }
    }
}

impl NumberFormat {
    fn other(self, number: &Number, name: &str) -> Option<Value> {
        match self {
            Self::Float => {
                let float: f64 = number.to_string().parse().ok().filter(|float| *float < EXACT)?;
                Number::from_f64(float).map(Value::Number)
            }
            Self::Text if IDS_AND_LIVES.contains(&name) => Some(Value::String(number.to_string())),
            Self::Plain | Self::Text => None,
        }
    }
}

fn encoded(parameters: &Map<String, Value>) -> String {
    let mut encoded = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        match value {
            Value::Null => {}
            Value::String(text) => {
                encoded.append_pair(name, text);
            }
            other => {
                encoded.append_pair(name, &other.to_string());
            }
        }
    }
    encoded.finish()
}

/// Mark of the bytes that no Rust string can contain. No platform uses this private character.
const MARK: char = '\u{e000}';

/// Fields whose texts users choose.
const USER_TEXT_FIELDS: [&str; 11] = [
    "content",
    "first_name",
    "full_name",
    "global_name",
    "login",
    "name",
    "preferred_username",
    "text",
    "title",
    "topic",
    "username",
];

const IDS_AND_LIVES: [&str; 4] = ["expires_in", "id", "message_id", "update_id"];

/// 2^53: a float represents no larger integer exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(texts: TextFormat, numbers: NumberFormat) -> Vec<u8> {
        let response_format = ResponseFormat {
            texts,
            numbers,
            urlencoded_tokens: false,
        };
        response_format.write(json!({ "id": 7, "name": "Ada", "date": 5, "ids": [1_u64 << 60], "url": "/ada" }))
    }

    #[test]
    fn answer_is_written_in_its_response_format() {
        let lone = written(TextFormat::LoneSurrogate, NumberFormat::Float);
        let expected = br#"{"date":5.0,"id":7.0,"ids":[1152921504606846976],"name":"Ada \ud83d","url":"/ada"}"#;
        assert_eq!(String::from_utf8_lossy(&lone), String::from_utf8_lossy(expected));
        let raw = written(TextFormat::InvalidUtf8, NumberFormat::Text);
        let expected = b"{\"date\":5,\"id\":\"7\",\"ids\":[1152921504606846976],\"name\":\"Ada \xff\xed\xa0\xbd\",\"url\":\"/ada\"}";
        assert_eq!(raw, expected);
    }
}

//! What the legacy Login Widget hands over (core.telegram.org/widgets/login): fields about a user, and an HMAC over them under
//! the bot's token. It is a proof, not a code: whoever holds it may show it again, so it is believed for a few minutes only.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use protocol::json::lenient;
use protocol::secret::Secret;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::foreign::{cleaned, digits};
use crate::platform::Profile;

/// The fields as they were signed.
pub(super) struct Widget {
    /// By name; all but `hash`.
    fields: BTreeMap<String, String>,
    hash: [u8; 32],
}

/// Why a payload proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unproved {
    #[error("invalid_hash")]
    Hash,
    #[error("invalid_auth_date")]
    AuthDate,
    #[error("invalid_id")]
    Id,
}

impl Widget {
    /// Reads a payload: a JSON object, or the query of the redirect. `None` if it is neither, as an authorization code is. The
    /// `initData` of a Mini App is signed under another key, and is not taken for one: its `user` is no field of a widget.
    pub(super) fn read(code: &Secret) -> Option<Self> {
        let text = code.expose();
        let mut fields = if text.starts_with('{') {
            from_json(text)?
        } else {
            from_query(text)?
        };
        // The application's own, in the URL that Telegram sends the user back to: no part of what is signed.
        fields.remove("state");
        let hash = unhex(&fields.remove("hash")?)?;
        let known = fields.keys().all(|name| FIELDS.contains(&name.as_str()));
        (known && fields.contains_key("id") && fields.contains_key("auth_date")).then_some(Self { fields, hash })
    }

    /// What is the same for all spellings of one payload.
    pub(super) fn name(&self) -> String {
        format!("widget {}", hex(&self.hash))
    }

    /// Who the user is, if this bot's Telegram said so within the last few minutes.
    pub(super) fn prove(&self, bot_token: &Secret, now: SystemTime) -> Result<Profile, Unproved> {
        let key = Sha256::digest(bot_token.expose());
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_any_length_fits| Unproved::Hash)?;
        mac.update(self.signed().as_bytes());
        // In constant time.
        mac.verify_slice(&self.hash).map_err(|_differs| Unproved::Hash)?;
        let field = |name: &str| self.fields.get(name);
        let auth_date = field("auth_date").and_then(|seconds| seconds.parse().ok());
        let auth_date = auth_date.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        if auth_date.is_none_or(|auth_date| !is_believed(auth_date, now)) {
            return Err(Unproved::AuthDate);
        }
        let id: u64 = field("id").and_then(|id| id.parse().ok()).ok_or(Unproved::Id)?;
        let names = [field("first_name"), field("last_name")].into_iter().flatten();
        let full_name = names.map(String::as_str).collect::<Vec<_>>().join(" ");
        Ok(Profile {
            platform_user_id: id.to_string(),
            username: field("username").map_or_else(|| id.to_string(), |name| cleaned(name)),
            display_name: Some(cleaned(&full_name)).filter(|name| !name.is_empty()),
            avatar_url: field("photo_url").map(|url| cleaned(url)),
        })
    }

    /// The `data_check_string`.
    fn signed(&self) -> String {
        let lines = self.fields.iter().map(|(name, value)| format!("{name}={value}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Numbers are signed as integers; a nested value is none of the widget's.
fn from_json(text: &str) -> Option<BTreeMap<String, String>> {
    let Ok(Value::Object(fields)) = lenient::parse(text.as_bytes()) else {
        return None;
    };
    let text = |(name, value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Number(number) => Some((name, digits(&number)?)),
        _ => None,
    };
    fields.into_iter().map(text).collect()
}

/// `None` where a field comes twice: which one was signed?
fn from_query(text: &str) -> Option<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return None;
        }
    }
    Some(fields)
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high * 16 + low),
            _ => None,
        })
        .collect::<Option<_>>()?;
    bytes.try_into().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What Telegram documents.
const FIELDS: [&str; 6] = ["auth_date", "first_name", "id", "last_name", "photo_url", "username"];

/// Whether a payload of this time is believed now.
fn is_believed(auth_date: SystemTime, now: SystemTime) -> bool {
    match now.duration_since(auth_date) {
        Ok(age) => age <= BELIEVED_FOR,
        Err(ahead) => ahead.duration() <= AHEAD,
    }
}

/// Telegram only says that an old one is to be refused. A user who links comes straight from the widget.
const BELIEVED_FOR: Duration = Duration::from_mins(5);

/// By how much Telegram's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "123456:TEST-TOKEN";
    const HASH: &str = "33d4644810ee3511130db1141d46736c641990f736d58cfb3e1693a0778b1f41";

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn prove(payload: &str, token: &str, now: u64) -> Result<Profile, Unproved> {
        let widget = Widget::read(&Secret::new(payload)).unwrap();
        widget.prove(&Secret::new(token), at(now))
    }

    fn json(hash: &str) -> String {
        format!(r#"{{"id":42,"first_name":"Ada","username":"ada","auth_date":1700000000,"hash":"{hash}"}}"#)
    }

    fn query(hash: &str) -> String {
        format!("id=42&first_name=%41da&username=ada&auth_date=1700000000&hash={hash}")
    }

    #[test]
    fn the_vector_is_proved_in_both_spellings_which_have_one_name() {
        for payload in [json(HASH), query(HASH), json(&HASH.to_uppercase())] {
            let ada = prove(&payload, TOKEN, 1_700_000_300).unwrap();
            assert_eq!((ada.platform_user_id.as_str(), ada.username.as_str()), ("42", "ada"));
            assert_eq!(ada.display_name.as_deref(), Some("Ada"));
            let name = Widget::read(&Secret::new(payload)).unwrap().name();
            assert_eq!(name, format!("widget {HASH}"));
        }
    }

    #[test]
    fn another_bit_another_bot_and_another_time_prove_nothing() {
        let now = 1_700_000_000;
        assert_eq!(
            prove(&json(&HASH.replace("33d4", "33d5")), TOKEN, now),
            Err(Unproved::Hash)
        );
        assert_eq!(prove(&json(HASH).replace("42", "43"), TOKEN, now), Err(Unproved::Hash));
        assert_eq!(prove(&json(HASH), "123456:TEST-TOKEM", now), Err(Unproved::Hash));
        assert_eq!(prove(&json(HASH), TOKEN, now + 301), Err(Unproved::AuthDate));
        assert_eq!(prove(&json(HASH), TOKEN, now - 61), Err(Unproved::AuthDate));
    }

    #[test]
    fn a_clock_of_telegrams_that_is_a_minute_ahead_is_believed() {
        prove(&json(HASH), TOKEN, 1_700_000_000 - 60).unwrap();
    }

    #[test]
    fn the_applications_own_state_is_no_part_of_what_is_signed() {
        let json = json(HASH).replace(r#"{"id""#, r#"{"state":"mine","id""#);
        for payload in [format!("state=mine&{}", query(HASH)), query(HASH) + "&state=", json] {
            let widget = Widget::read(&Secret::new(payload.clone())).unwrap();
            assert_eq!(widget.name(), format!("widget {HASH}"));
            prove(&payload, TOKEN, 1_700_000_000).unwrap();
        }
        assert!(Widget::read(&Secret::new(format!("state=a&state=b&{}", query(HASH)))).is_none());
    }

    #[test]
    fn what_is_no_widget_payload_is_left_to_others() {
        let twice = query(HASH) + "&id=43";
        let init_data = format!("query_id=1&user=%7B%22id%22%3A42%7D&auth_date=1700000000&hash={HASH}");
        let nested = r#"{"id":{"id":42},"auth_date":1,"hash":"00"}"#.to_owned();
        let short = json("33d4");
        for payload in [
            "test_code_123".to_owned(),
            String::new(),
            twice,
            init_data,
            nested,
            short,
        ] {
            assert!(Widget::read(&Secret::new(payload.clone())).is_none(), "{payload}");
        }
    }
}

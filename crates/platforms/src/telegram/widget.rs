//! Payload of the legacy Login Widget (core.telegram.org/widgets/login): fields of a user, and an HMAC over them under the bot's
//! token. It is a proof and no code: its owner may present it again, so it is accepted for a few minutes only.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use protocol::json::lenient;
use protocol::secret::Secret;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::platform::Profile;
use crate::untrusted::{cleaned, digits};

/// Signed fields.
pub(super) struct Widget {
    /// Fields by name; all but `hash`.
    fields: BTreeMap<String, String>,
    hash: [u8; 32],
}

/// Cause of a rejected payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WidgetError {
    #[error("invalid_hash")]
    Hash,
    #[error("invalid_auth_date")]
    AuthDate,
    #[error("invalid_id")]
    Id,
}

impl Widget {
    /// Parses a payload: a JSON object, or the query of the redirect. `None` for anything else, such as an authorization code.
    /// The `initData` of a Mini App is signed under another key and is not accepted: its `user` is no field of a widget.
    pub(super) fn read(code: &Secret) -> Option<Self> {
        let text = code.expose();
        let mut fields = if text.starts_with('{') {
            from_json(text)?
        } else {
            from_query(text)?
        };
        // Parameter of the application in the redirect URL: not signed.
        fields.remove("state");
        let hash = HEXLOWER_PERMISSIVE.decode(fields.remove("hash")?.as_bytes()).ok()?;
        let hash = hash.try_into().ok()?;
        let known = fields.keys().all(|name| FIELDS.contains(&name.as_str()));
        (known && fields.contains_key("id") && fields.contains_key("auth_date")).then_some(Self { fields, hash })
    }

    /// Identity of the payload, the same for all its notations.
    pub(super) fn name(&self) -> String {
        format!("widget {}", HEXLOWER.encode(&self.hash))
    }

    /// Verifies the signature and the age of the payload and returns its user.
    pub(super) fn verify(&self, bot_token: &Secret, now: SystemTime) -> Result<Profile, WidgetError> {
        let key = Sha256::digest(bot_token.expose());
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_any_length_fits| WidgetError::Hash)?;
        mac.update(self.signed().as_bytes());
        // In constant time.
        mac.verify_slice(&self.hash).map_err(|_differs| WidgetError::Hash)?;
        let field = |name: &str| self.fields.get(name);
        let auth_date = field("auth_date").and_then(|seconds| seconds.parse().ok());
        let auth_date = auth_date.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        if auth_date.is_none_or(|auth_date| !is_recent(auth_date, now)) {
            return Err(WidgetError::AuthDate);
        }
        let id: u64 = field("id").and_then(|id| id.parse().ok()).ok_or(WidgetError::Id)?;
        let names = [field("first_name"), field("last_name")].into_iter().flatten();
        let full_name = names.map(String::as_str).collect::<Vec<_>>().join(" ");
        Ok(Profile {
            platform_user_id: id.to_string(),
            username: field("username").map_or_else(|| id.to_string(), |name| cleaned(name)),
            display_name: Some(cleaned(&full_name)).filter(|name| !name.is_empty()),
            avatar_url: field("photo_url").map(|url| cleaned(url)),
        })
    }

    /// `data_check_string` of the payload.
    fn signed(&self) -> String {
        let lines = self.fields.iter().map(|(name, value)| format!("{name}={value}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Fields of a JSON object. Numbers are signed as integers; nested values are no fields of the widget.
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

/// Fields of a query. `None` if one is repeated: it would be unclear which one was signed.
fn from_query(text: &str) -> Option<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return None;
        }
    }
    Some(fields)
}

/// Fields that Telegram documents.
const FIELDS: [&str; 6] = ["auth_date", "first_name", "id", "last_name", "photo_url", "username"];

/// Reports whether a payload of this time is accepted now.
fn is_recent(auth_date: SystemTime, now: SystemTime) -> bool {
    match now.duration_since(auth_date) {
        Ok(age) => age <= MAX_AGE,
        Err(ahead) => ahead.duration() <= MAX_CLOCK_SKEW,
    }
}

/// Longest accepted age. Telegram only recommends refusing old payloads. A user who links an account comes straight from the
/// widget.
const MAX_AGE: Duration = Duration::from_mins(5);

/// Tolerance for a clock of Telegram that is ahead of ours.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "123456:TEST-TOKEN";
    const HASH: &str = "33d4644810ee3511130db1141d46736c641990f736d58cfb3e1693a0778b1f41";

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn verify(payload: &str, token: &str, now: u64) -> Result<Profile, WidgetError> {
        let widget = Widget::read(&Secret::new(payload)).unwrap();
        widget.verify(&Secret::new(token), at(now))
    }

    fn json(hash: &str) -> String {
        format!(r#"{{"id":42,"first_name":"Ada","username":"ada","auth_date":1700000000,"hash":"{hash}"}}"#)
    }

    fn query(hash: &str) -> String {
        format!("id=42&first_name=%41da&username=ada&auth_date=1700000000&hash={hash}")
    }

    #[test]
    fn test_vector_is_accepted_in_both_notations_with_one_identity() {
        for payload in [json(HASH), query(HASH), json(&HASH.to_uppercase())] {
            let ada = verify(&payload, TOKEN, 1_700_000_300).unwrap();
            assert_eq!((ada.platform_user_id.as_str(), ada.username.as_str()), ("42", "ada"));
            assert_eq!(ada.display_name.as_deref(), Some("Ada"));
            let name = Widget::read(&Secret::new(payload)).unwrap().name();
            assert_eq!(name, format!("widget {HASH}"));
        }
    }

    #[test]
    fn changed_bit_other_bot_and_other_time_are_rejected() {
        let now = 1_700_000_000;
        assert_eq!(
            verify(&json(&HASH.replace("33d4", "33d5")), TOKEN, now),
            Err(WidgetError::Hash)
        );
        assert_eq!(
            verify(&json(HASH).replace("42", "43"), TOKEN, now),
            Err(WidgetError::Hash)
        );
        assert_eq!(verify(&json(HASH), "123456:TEST-TOKEM", now), Err(WidgetError::Hash));
        assert_eq!(verify(&json(HASH), TOKEN, now + 301), Err(WidgetError::AuthDate));
        assert_eq!(verify(&json(HASH), TOKEN, now - 61), Err(WidgetError::AuthDate));
    }

    #[test]
    fn payload_one_minute_in_the_future_is_accepted() {
        verify(&json(HASH), TOKEN, 1_700_000_000 - 60).unwrap();
    }

    #[test]
    fn state_of_the_application_is_not_part_of_the_signature() {
        let json = json(HASH).replace(r#"{"id""#, r#"{"state":"mine","id""#);
        for payload in [format!("state=mine&{}", query(HASH)), query(HASH) + "&state=", json] {
            let widget = Widget::read(&Secret::new(payload.clone())).unwrap();
            assert_eq!(widget.name(), format!("widget {HASH}"));
            verify(&payload, TOKEN, 1_700_000_000).unwrap();
        }
        assert!(Widget::read(&Secret::new(format!("state=a&state=b&{}", query(HASH)))).is_none());
    }

    #[test]
    fn other_codes_are_no_widget_payloads() {
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

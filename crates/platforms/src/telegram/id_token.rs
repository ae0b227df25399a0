//! What Telegram says of a user: a token that it signs (OpenID Connect Core 1.0, section 3.1.3.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use protocol::secret::Secret;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::keys::Named;
use crate::foreign::{self, Id, number, readable};
use crate::platform::Profile;

/// What a token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// What was sent with the authorization, where it is known. Telegram does not echo it; where a token has one, it must be it.
    pub(super) nonce: Option<&'a str>,
    pub(super) now: SystemTime,
}

/// Why a token is not believed. No variant holds anything of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unbelieved {
    #[error("the id_token cannot be read")]
    Malformed,
    #[error("the id_token is signed by an algorithm that is not taken")]
    Algorithm,
    #[error("the id_token is signed by a key that is not published")]
    Key,
    #[error("the id_token is not signed by its key")]
    Signature,
    #[error("the id_token is of another issuer")]
    Issuer,
    #[error("the id_token is meant for another client")]
    Audience,
    #[error("the id_token has expired")]
    Expired,
    #[error("the id_token answers another authorization")]
    Nonce,
    #[error("the id_token names no user")]
    Id,
}

/// Which key a token asks for. ES256K, which a bot's owner may choose too, is not taken: too few libraries know it.
pub(super) fn key_of(token: &Secret) -> Result<(Option<String>, Algorithm), Unbelieved> {
    let header = decode_header(token.expose()).map_err(|_quotes| Unbelieved::Algorithm)?;
    match header.alg {
        Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA => Ok((header.kid, header.alg)),
        _ => Err(Unbelieved::Algorithm),
    }
}

/// Whom the token is about.
pub(super) fn believe(token: &Secret, key: &Named, expected: &Expected<'_>) -> Result<Profile, Unbelieved> {
    let mut validation = Validation::new(key.algorithm);
    // The library reads the system's clock: every claim is checked below instead.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let verified = decode::<IgnoredAny>(token.expose(), &key.key, &validation);
    verified.map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => Unbelieved::Signature,
        _ => Unbelieved::Malformed,
    })?;
    claims(token).ok_or(Unbelieved::Malformed)?.check(expected)
}

/// What the token says: the library reads no claims in which a user's name is cut through an emoji.
fn claims(token: &Secret) -> Option<Claims> {
    let payload = token.expose().split('.').nth(1)?;
    foreign::read(&URL_SAFE_NO_PAD.decode(payload).ok()?)
}

/// `sub` is not among them: it is an opaque number of this client's, and no other door of Telegram's knows it.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Value,
    #[serde(deserialize_with = "number")]
    exp: i64,
    nonce: Option<String>,
    #[serde(default, deserialize_with = "readable")]
    id: Option<Id>,
    name: Option<String>,
    preferred_username: Option<String>,
    picture: Option<String>,
}

impl Claims {
    fn check(self, expected: &Expected<'_>) -> Result<Profile, Unbelieved> {
        if self.iss != expected.issuer {
            return Err(Unbelieved::Issuer);
        }
        if !names(&self.aud, expected.client_id) {
            return Err(Unbelieved::Audience);
        }
        let end = u64::try_from(self.exp).ok().map(Duration::from_secs);
        let end = end.and_then(|end| UNIX_EPOCH.checked_add(end));
        if end.is_none_or(|end| end <= expected.now) {
            return Err(Unbelieved::Expired);
        }
        if self.nonce.is_some() && expected.nonce.is_some() && self.nonce.as_deref() != expected.nonce {
            return Err(Unbelieved::Nonce);
        }
        let id: Option<u64> = self.id.and_then(|id| id.as_str().parse().ok());
        let id = id.ok_or(Unbelieved::Id)?;
        Ok(Profile {
            platform_user_id: id.to_string(),
            username: self.preferred_username.unwrap_or_else(|| id.to_string()),
            display_name: self.name,
            avatar_url: self.picture,
        })
    }
}

/// `aud` is a text or a list of them; a bot's id may come as a number.
fn names(audience: &Value, client_id: &str) -> bool {
    match audience {
        Value::String(text) => text == client_id,
        Value::Number(number) => number.to_string() == client_id,
        Value::Array(several) => several.iter().any(|one| !one.is_array() && names(one, client_id)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use jsonwebtoken::{DecodingKey, EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    /// An Ed25519 key of nobody's (RFC 8032, section 7.1, test 1): its PKCS #8 form, and the public half.
    const PRIVATE: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
    const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn signed(changes: Value) -> Secret {
        let mut claims = json!({
            "iss": "https://oauth.telegram.org", "aud": "123456", "sub": "1234123412341234123", "id": 987_654_321,
            "iat": 1_700_000_000, "exp": 1_700_003_600, "name": "Ada Lovelace", "preferred_username": "ada",
        });
        claims
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        let der = STANDARD.decode(PRIVATE).unwrap();
        let header = Header::new(Algorithm::EdDSA);
        Secret::new(encode(&header, &claims, &EncodingKey::from_ed_der(&der)).unwrap())
    }

    fn judged(token: &Secret, nonce: Option<&str>) -> Result<Profile, Unbelieved> {
        let (_, algorithm) = key_of(token)?;
        let key = Named::new(None, algorithm, DecodingKey::from_ed_components(PUBLIC).unwrap());
        let expected = Expected {
            issuer: "https://oauth.telegram.org",
            client_id: "123456",
            nonce,
            now: UNIX_EPOCH + Duration::from_secs(1_700_000_001),
        };
        believe(token, &key, &expected)
    }

    #[test]
    fn the_user_is_the_id_and_never_the_subject() {
        let ada = judged(&signed(json!({})), Some("sent and not echoed")).unwrap();
        assert_eq!(
            (ada.platform_user_id.as_str(), ada.username.as_str()),
            ("987654321", "ada")
        );
        let nobody = judged(&signed(json!({ "id": null })), None);
        assert_eq!(nobody, Err(Unbelieved::Id));
    }

    #[test]
    fn a_client_among_several_and_a_numeric_one_are_meant() {
        for audience in [json!(["x", "123456"]), json!(123_456)] {
            judged(&signed(json!({ "aud": audience })), None).unwrap();
        }
    }

    #[test]
    fn whatever_is_wrong_is_not_believed() {
        let cases = [
            (
                json!({ "iss": "https://oauth.telegram.org.example" }),
                Unbelieved::Issuer,
            ),
            (json!({ "aud": "1234567" }), Unbelieved::Audience),
            (json!({ "aud": [] }), Unbelieved::Audience),
            (json!({ "exp": 1_700_000_001 }), Unbelieved::Expired),
            (json!({ "nonce": "another" }), Unbelieved::Nonce),
            (json!({ "exp": null }), Unbelieved::Malformed),
        ];
        for (changes, unbelieved) in cases {
            assert_eq!(judged(&signed(changes), Some("mine")), Err(unbelieved));
        }
        judged(&signed(json!({ "nonce": "mine" })), Some("mine")).unwrap();
    }

    #[test]
    fn another_signature_and_another_algorithm_are_not_believed() {
        let token = signed(json!({}));
        let (head, _) = token.expose().rsplit_once('.').unwrap();
        let other = signed(json!({ "id": 1 }));
        let (_, signature) = other.expose().rsplit_once('.').unwrap();
        let forged = Secret::new(format!("{head}.{signature}"));
        assert_eq!(judged(&forged, None), Err(Unbelieved::Signature));

        let shared = EncodingKey::from_secret(PUBLIC.as_bytes());
        let token = encode(&Header::default(), &json!({ "id": 1 }), &shared).unwrap();
        assert_eq!(judged(&Secret::new(token), None), Err(Unbelieved::Algorithm));
        assert_eq!(judged(&Secret::new("e30.e30."), None), Err(Unbelieved::Algorithm));
    }
}

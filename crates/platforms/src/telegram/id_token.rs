//! Verification of Telegram's ID tokens (OpenID Connect Core 1.0, section 3.1.3.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, decode_header};
use jwks::TokenKey;
use protocol::secret::Secret;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::platform::Profile;
use crate::untrusted::{self, Id, lenient_number, lenient_option};

/// Claims that a token must have.
pub(super) struct ExpectedClaims<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// Nonce of the authorization, if it is known. Telegram does not echo it; a token that has one must have this one.
    pub(super) nonce: Option<&'a str>,
    pub(super) now: SystemTime,
}

/// Cause of a rejected token. No variant contains a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum IdTokenError {
    #[error("the id_token cannot be read")]
    Malformed,
    #[error("the id_token has an unsupported algorithm")]
    Algorithm,
    #[error("the id_token names an unpublished key")]
    Key,
    #[error("the id_token has an invalid signature")]
    Signature,
    #[error("the id_token has another issuer")]
    Issuer,
    #[error("the id_token has another audience")]
    Audience,
    #[error("the id_token has expired")]
    Expired,
    #[error("the id_token has another nonce")]
    Nonce,
    #[error("the id_token has no user id")]
    Id,
}

/// Key id and algorithm of a token. ES256K, which a bot's owner may choose too, is not supported: few libraries implement it.
pub(super) fn key_of(token: &Secret) -> Result<(Option<String>, Algorithm), IdTokenError> {
    let header = decode_header(token.expose()).map_err(|_quotes| IdTokenError::Algorithm)?;
    match header.alg {
        Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA => Ok((header.kid, header.alg)),
        _ => Err(IdTokenError::Algorithm),
    }
}

/// Verifies the token and returns its user.
pub(super) fn verify(token: &Secret, key: &TokenKey, expected: &ExpectedClaims<'_>) -> Result<Profile, IdTokenError> {
    // The library cannot decode every claim, so it only verifies the signature.
    let verified = key.decode::<IgnoredAny>(token.expose());
    verified.map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => IdTokenError::Signature,
        _ => IdTokenError::Malformed,
    })?;
    claims(token).ok_or(IdTokenError::Malformed)?.check(expected)
}

/// Claims of the token. The library cannot decode claims in which a user's name is cut inside an emoji.
fn claims(token: &Secret) -> Option<Claims> {
    let payload = token.expose().split('.').nth(1)?;
    untrusted::read(&URL_SAFE_NO_PAD.decode(payload).ok()?)
}

/// Claims of a token. `sub` is left out: it is an opaque number for this client, which no other API of Telegram knows.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Value,
    #[serde(deserialize_with = "lenient_number")]
    exp: i64,
    nonce: Option<String>,
    #[serde(default, deserialize_with = "lenient_option")]
    id: Option<Id>,
    name: Option<String>,
    preferred_username: Option<String>,
    picture: Option<String>,
}

impl Claims {
    fn check(self, expected: &ExpectedClaims<'_>) -> Result<Profile, IdTokenError> {
        if self.iss != expected.issuer {
            return Err(IdTokenError::Issuer);
        }
        if !includes(&self.aud, expected.client_id) {
            return Err(IdTokenError::Audience);
        }
        let end = u64::try_from(self.exp).ok().map(Duration::from_secs);
        let end = end.and_then(|end| UNIX_EPOCH.checked_add(end));
        if end.is_none_or(|end| end <= expected.now) {
            return Err(IdTokenError::Expired);
        }
        if self.nonce.is_some() && expected.nonce.is_some() && self.nonce.as_deref() != expected.nonce {
            return Err(IdTokenError::Nonce);
        }
        let id: Option<u64> = self.id.and_then(|id| id.as_str().parse().ok());
        let id = id.ok_or(IdTokenError::Id)?;
        Ok(Profile {
            platform_user_id: id.to_string(),
            username: self.preferred_username.unwrap_or_else(|| id.to_string()),
            display_name: self.name,
            avatar_url: self.picture,
        })
    }
}

/// Reports whether `aud`, a string or a list, contains the client id; a bot's id may be written as a number.
fn includes(audience: &Value, client_id: &str) -> bool {
    match audience {
        Value::String(text) => text == client_id,
        Value::Number(lenient_number) => lenient_number.to_string() == client_id,
        Value::Array(several) => several.iter().any(|one| !one.is_array() && includes(one, client_id)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use jwks::KeySet;
    use serde_json::json;

    use super::*;

    /// Ed25519 key of a test vector (RFC 8032, section 7.1, test 1): PKCS #8, and the public half.
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

    fn verified(token: &Secret, nonce: Option<&str>) -> Result<Profile, IdTokenError> {
        let (_, algorithm) = key_of(token)?;
        let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": PUBLIC }] }).to_string();
        let set = KeySet::parse(set.as_bytes()).unwrap();
        let key = set.find(None, algorithm).unwrap()[0];
        let expected = ExpectedClaims {
            issuer: "https://oauth.telegram.org",
            client_id: "123456",
            nonce,
            now: UNIX_EPOCH + Duration::from_secs(1_700_000_001),
        };
        verify(token, key, &expected)
    }

    #[test]
    fn user_is_the_id_and_never_the_subject() {
        let ada = verified(&signed(json!({})), Some("sent and not echoed")).unwrap();
        assert_eq!(
            (ada.platform_user_id.as_str(), ada.username.as_str()),
            ("987654321", "ada")
        );
        let nobody = verified(&signed(json!({ "id": null })), None);
        assert_eq!(nobody, Err(IdTokenError::Id));
    }

    #[test]
    fn audience_list_and_numeric_audience_match_the_client() {
        for audience in [json!(["x", "123456"]), json!(123_456)] {
            verified(&signed(json!({ "aud": audience })), None).unwrap();
        }
    }

    #[test]
    fn token_with_a_wrong_claim_is_rejected() {
        let cases = [
            (
                json!({ "iss": "https://oauth.telegram.org.example" }),
                IdTokenError::Issuer,
            ),
            (json!({ "aud": "1234567" }), IdTokenError::Audience),
            (json!({ "aud": [] }), IdTokenError::Audience),
            (json!({ "exp": 1_700_000_001 }), IdTokenError::Expired),
            (json!({ "nonce": "another" }), IdTokenError::Nonce),
            (json!({ "exp": null }), IdTokenError::Malformed),
        ];
        for (changes, rejected) in cases {
            assert_eq!(verified(&signed(changes), Some("mine")), Err(rejected));
        }
        verified(&signed(json!({ "nonce": "mine" })), Some("mine")).unwrap();
    }

    #[test]
    fn other_signature_and_other_algorithm_are_rejected() {
        let token = signed(json!({}));
        let (head, _) = token.expose().rsplit_once('.').unwrap();
        let other = signed(json!({ "id": 1 }));
        let (_, signature) = other.expose().rsplit_once('.').unwrap();
        let forged = Secret::new(format!("{head}.{signature}"));
        assert_eq!(verified(&forged, None), Err(IdTokenError::Signature));

        let shared = EncodingKey::from_secret(PUBLIC.as_bytes());
        let token = encode(&Header::default(), &json!({ "id": 1 }), &shared).unwrap();
        assert_eq!(verified(&Secret::new(token), None), Err(IdTokenError::Algorithm));
        assert_eq!(verified(&Secret::new("e30.e30."), None), Err(IdTokenError::Algorithm));
    }
}

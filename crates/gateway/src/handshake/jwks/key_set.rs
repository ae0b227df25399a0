//! JSON Web Key Set (RFC 7517): parsing, and selection of the keys that may verify a token.

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::handshake::token_error::TokenError;
use crate::settings::TokenKey;

/// Usable keys of a key set. Each verifies the one algorithm of its key type (RFC 8725, section 3.1).
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<NamedKey>,
    unusable: usize,
}

#[derive(Debug)]
struct NamedKey {
    kid: Option<String>,
    key: TokenKey,
}

/// Error for input that is not a key set. It has no source: the parser's message may quote the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the response is not a key set")]
pub(crate) struct InvalidKeySet;

impl KeySet {
    /// Parses a key set. An unusable key is skipped, the others stay (RFC 7517, section 5).
    pub(crate) fn parse(json: &[u8]) -> Result<Self, InvalidKeySet> {
        let set: RawKeySet = serde_json::from_slice(json).map_err(|_invalid| InvalidKeySet)?;
        let published = set.keys.len();
        let keys: Vec<NamedKey> = set.keys.into_iter().filter_map(usable_key).collect();
        let unusable = published - keys.len();
        Ok(Self { keys, unusable })
    }

    /// Number of usable keys.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Number of skipped keys.
    pub(super) fn unusable(&self) -> usize {
        self.unusable
    }

    /// Reports whether a usable key has this id.
    pub(super) fn contains(&self, kid: &str) -> bool {
        self.keys.iter().any(|named| named.kid.as_deref() == Some(kid))
    }

    /// Returns the candidate keys for a token: those with its `kid`, or all keys if it has none, of its `alg`. Several keys may share
    /// a `kid`.
    ///
    /// # Errors
    /// [`TokenError::Key`], [`TokenError::Algorithm`].
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Vec<&TokenKey>, TokenError> {
        let has_kid = |named: &&NamedKey| kid.is_none() || named.kid.as_deref() == kid;
        let mut candidates = self.keys.iter().filter(has_kid).map(|named| &named.key).peekable();
        if candidates.peek().is_none() {
            return Err(TokenError::Key);
        }
        let found: Vec<_> = candidates.filter(|key| key.algorithm() == algorithm).collect();
        if found.is_empty() {
            return Err(TokenError::Algorithm);
        }
        Ok(found)
    }
}

#[derive(Deserialize)]
struct RawKeySet {
    keys: Vec<Value>,
}

/// Members of a JWK that are read (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2). Certificates and URLs are ignored:
/// a key is trusted because its issuer published it, not for what it contains.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<IgnoredAny>,
}

/// Returns the key if it may verify tokens.
fn usable_key(value: Value) -> Option<NamedKey> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    // A published private key is compromised.
    if jwk.d.is_some() || !jwk.allows_verification() {
        return None;
    }
    let key = jwk.key()?;
    let alg_matches = jwk.alg.as_deref().is_none_or(|alg| alg.parse() == Ok(key.algorithm()));
    alg_matches.then_some(NamedKey { kid: jwk.kid, key })
}

impl Jwk {
    /// Reports whether `use` and `key_ops` allow signature verification.
    fn allows_verification(&self) -> bool {
        self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && (self.key_ops.as_ref()).is_none_or(|operations| operations.iter().any(|operation| operation == "verify"))
    }

    /// Builds the verification key. A symmetric key (`oct`) is rejected: a published key is not a secret.
    fn key(&self) -> Option<TokenKey> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => TokenKey::rsa(self.n.as_deref()?, self.e.as_deref()?).ok(),
            ("EC", Some("P-256")) => TokenKey::p256(self.x.as_deref()?, self.y.as_deref()?).ok(),
            ("OKP", Some("Ed25519")) => TokenKey::ed25519(self.x.as_deref()?).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::token::Signer;

    use super::*;

    fn set(keys: &[Value]) -> KeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn with(mut key: Value, more: &Value) -> Value {
        for (name, value) in more.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    #[test]
    fn each_key_type_verifies_only_its_own_algorithm() {
        let keys = [
            (Signer::rs256(), Algorithm::RS256),
            (Signer::es256(), Algorithm::ES256),
            (Signer::eddsa(), Algorithm::EdDSA),
        ];
        let set = set(&keys
            .each_ref()
            .map(|(signer, algorithm)| signer.jwk(&format!("{algorithm:?}"))));
        assert_eq!(set.len(), 3);
        for (_, own) in &keys {
            for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256] {
                let found = set.find(Some(&format!("{own:?}")), algorithm);
                let found = found.map(|keys| keys.into_iter().map(TokenKey::algorithm).collect());
                let expected = if algorithm == *own {
                    Ok(vec![*own])
                } else {
                    Err(TokenError::Algorithm)
                };
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn unusable_keys_are_skipped_and_the_others_kept() {
        let good = Signer::es256().jwk("good");
        let bad = [
            Signer::hs256().jwk("oct"),
            with(good.clone(), &json!({ "kid": "enc", "use": "enc" })),
            with(good.clone(), &json!({ "kid": "ops", "key_ops": ["sign"] })),
            with(good.clone(), &json!({ "kid": "alg", "alg": "ES384" })),
            with(good.clone(), &json!({ "kid": "hs", "alg": "HS256" })),
            with(good.clone(), &json!({ "kid": "curve", "crv": "P-384" })),
            with(good.clone(), &json!({ "kid": "point", "x": good["y"] })),
            with(good.clone(), &json!({ "kid": "private", "d": "c2VjcmV0" })),
            with(good.clone(), &json!({ "kid": 7 })),
            json!({ "kty": "RSA", "kid": "short", "n": "v".repeat(171), "e": "AQAB" }),
            json!({ "kty": "OKP", "crv": "Ed25519", "kid": "cut", "x": "AAAA" }),
            json!({ "kty": "new", "kid": "new" }),
            json!("no key"),
        ];
        let set = set(&[&bad[..], &[with(good, &json!({ "key_ops": ["verify"] }))]].concat());
        assert_eq!((set.len(), set.unusable()), (1, bad.len()));
        assert!(set.contains("good"));
    }

    #[test]
    fn padded_and_standard_base64_key_members_are_accepted() {
        for signer in [Signer::rs256(), Signer::es256(), Signer::eddsa()] {
            let mut key = signer.jwk("1");
            for member in ["n", "e", "x", "y"] {
                if let Some(text) = key[member].as_str().map(str::to_owned) {
                    let padding = "=".repeat((4 - text.len() % 4) % 4);
                    key[member] = json!(text.replace('-', "+").replace('_', "/") + &padding);
                }
            }
            let found = set(&[key.clone()]);
            assert_eq!(found.len(), 1, "{key}");
        }
    }

    #[test]
    fn find_returns_all_keys_of_a_kid_and_all_keys_without_one() {
        let keys = ["1", "1", "2"].map(|kid| Signer::es256().jwk(kid));
        let set = set(&[&keys[..], &[Signer::eddsa().jwk("1"), Signer::hs256().jwk("oct")]].concat());
        let count = |kid, algorithm| set.find(kid, algorithm).map(|keys| keys.len());
        assert_eq!(count(Some("1"), Algorithm::ES256), Ok(2));
        assert_eq!(count(Some("1"), Algorithm::EdDSA), Ok(1));
        assert_eq!(count(Some("2"), Algorithm::ES256), Ok(1));
        assert_eq!(count(Some("2"), Algorithm::EdDSA), Err(TokenError::Algorithm));
        assert_eq!(count(Some("3"), Algorithm::ES256), Err(TokenError::Key));
        assert_eq!(count(None, Algorithm::ES256), Ok(3));
        assert_eq!(count(None, Algorithm::RS256), Err(TokenError::Algorithm));
        assert_eq!(
            KeySet::default().find(None, Algorithm::ES256).unwrap_err(),
            TokenError::Key
        );
    }

    #[test]
    fn input_that_is_not_a_key_set_is_rejected() {
        for text in ["", "[]", "{}", "{\"keys\": {}}", "<html>", "{\"keys\": [}"] {
            assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), InvalidKeySet, "{text}");
        }
    }
}

//! Key set of an issuer (RFC 7517), and the keys of it that may verify a token.

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::token_key::TokenKey;

/// Usable keys of a set. Each verifies the one algorithm of its kind (RFC 8725, section 3.1).
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<PublishedKey>,
    unusable: usize,
}

#[derive(Debug)]
struct PublishedKey {
    kid: Option<String>,
    key: TokenKey,
}

/// Answer that is no key set. The parser's error is left out, as it could quote the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's answer is no key set")]
pub struct NoKeySet;

/// Cause of a token without a key in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyNotFound {
    /// No key has this id.
    #[error("the issuer publishes no key with this id")]
    UnknownKey,
    /// The keys with this id are of other algorithms.
    #[error("the issuer's key is of another algorithm")]
    OtherAlgorithm,
}

impl KeySet {
    /// Parses a key set. An unusable key is skipped, the others are kept (RFC 7517, section 5).
    ///
    /// # Errors
    /// [`NoKeySet`].
    pub fn parse(json: &[u8]) -> Result<Self, NoKeySet> {
        let set: Published = serde_json::from_slice(json).map_err(|_no_set| NoKeySet)?;
        let published = set.keys.len();
        let keys: Vec<PublishedKey> = set.keys.into_iter().filter_map(usable).collect();
        let unusable = published - keys.len();
        Ok(Self { keys, unusable })
    }

    /// Number of usable keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Reports whether no key is usable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Number of keys that were skipped.
    pub(crate) fn unusable(&self) -> usize {
        self.unusable
    }

    /// Reports whether a key has this id.
    pub(crate) fn contains(&self, kid: &str) -> bool {
        self.keys.iter().any(|candidate| candidate.kid.as_deref() == Some(kid))
    }

    /// Keys of this algorithm that a token may be signed with: those with its key id, of which there may be several, or all if it
    /// has none. The result is not empty.
    ///
    /// # Errors
    /// [`KeyNotFound`].
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Vec<&TokenKey>, KeyNotFound> {
        let has_id = |candidate: &&PublishedKey| kid.is_none() || candidate.kid.as_deref() == kid;
        let mut candidates = self
            .keys
            .iter()
            .filter(has_id)
            .map(|candidate| &candidate.key)
            .peekable();
        if candidates.peek().is_none() {
            return Err(KeyNotFound::UnknownKey);
        }
        let found: Vec<_> = candidates.filter(|key| key.algorithm() == algorithm).collect();
        if found.is_empty() {
            return Err(KeyNotFound::OtherAlgorithm);
        }
        Ok(found)
    }
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

/// Members of a key that are read (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2). Certificates and URLs in a key are
/// ignored: a key is trusted because its issuer published it, and for nothing in the key itself.
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

/// Key, if it may verify tokens.
fn usable(value: Value) -> Option<PublishedKey> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    // A published private key is compromised.
    if jwk.d.is_some() || !jwk.may_verify() {
        return None;
    }
    let key = jwk.key()?;
    let matches_alg = jwk.alg.as_deref().is_none_or(|alg| alg.parse() == Ok(key.algorithm()));
    matches_alg.then_some(PublishedKey { kid: jwk.kid, key })
}

impl Jwk {
    /// Reports whether the key may verify signatures by its `use` and `key_ops`.
    fn may_verify(&self) -> bool {
        self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && (self.key_ops.as_ref()).is_none_or(|operations| operations.iter().any(|it| it == "verify"))
    }

    /// Public key. A symmetric key (`oct`) is none: a published key is no secret.
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
    fn key_verifies_only_the_algorithm_of_its_kind() {
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
                    Err(KeyNotFound::OtherAlgorithm)
                };
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn unusable_key_is_skipped_and_the_others_are_kept() {
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
    fn padded_and_standard_base64_numbers_are_accepted() {
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
    fn all_keys_with_the_id_are_candidates_and_without_an_id_all_keys() {
        let keys = ["1", "1", "2"].map(|kid| Signer::es256().jwk(kid));
        let set = set(&[&keys[..], &[Signer::eddsa().jwk("1"), Signer::hs256().jwk("oct")]].concat());
        let count = |kid, algorithm| set.find(kid, algorithm).map(|keys| keys.len());
        assert_eq!(count(Some("1"), Algorithm::ES256), Ok(2));
        assert_eq!(count(Some("1"), Algorithm::EdDSA), Ok(1));
        assert_eq!(count(Some("2"), Algorithm::ES256), Ok(1));
        assert_eq!(count(Some("2"), Algorithm::EdDSA), Err(KeyNotFound::OtherAlgorithm));
        assert_eq!(count(Some("3"), Algorithm::ES256), Err(KeyNotFound::UnknownKey));
        assert_eq!(count(None, Algorithm::ES256), Ok(3));
        assert_eq!(count(None, Algorithm::RS256), Err(KeyNotFound::OtherAlgorithm));
        assert_eq!(
            KeySet::default().find(None, Algorithm::ES256).unwrap_err(),
            KeyNotFound::UnknownKey
        );
    }

    #[test]
    fn text_that_is_no_key_set_is_rejected() {
        for text in ["", "[]", "{}", "{\"keys\": {}}", "<html>", "{\"keys\": [}"] {
            assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), NoKeySet, "{text}");
        }
    }
}

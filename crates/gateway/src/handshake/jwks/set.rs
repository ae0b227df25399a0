//! A key set as an issuer publishes it (RFC 7517), and which of its keys may verify a token.

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::handshake::token::{Refused, TokenKey};

/// The usable keys of a set. Each verifies the one algorithm of its kind (RFC 8725, section 3.1).
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Named>,
    unusable: usize,
}

#[derive(Debug)]
struct Named {
    kid: Option<String>,
    key: TokenKey,
}

/// An answer that is no key set. The parser's own words could quote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's answer is no key set")]
pub(crate) struct Unreadable;

impl KeySet {
    /// Reads a set. A key that cannot be used is left out and takes no other with it (RFC 7517, section 5).
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Unreadable> {
        let set: Published = serde_json::from_slice(json).map_err(|_no_set| Unreadable)?;
        let published = set.keys.len();
        let keys: Vec<Named> = set.keys.into_iter().filter_map(usable).collect();
        let unusable = published - keys.len();
        Ok(Self { keys, unusable })
    }

    /// How many keys can be used.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// How many cannot.
    pub(super) fn unusable(&self) -> usize {
        self.unusable
    }

    pub(super) fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|named| named.kid.as_deref() == Some(kid))
    }

    /// The keys that a token may be signed with, all of the algorithm that it says: those of the name that it says, and there may be
    /// several, or all where it names none.
    ///
    /// # Errors
    /// [`Refused::Key`], [`Refused::Algorithm`].
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Vec<&TokenKey>, Refused> {
        let is_meant = |named: &&Named| kid.is_none() || named.kid.as_deref() == kid;
        let mut meant = self.keys.iter().filter(is_meant).map(|named| &named.key).peekable();
        if meant.peek().is_none() {
            return Err(Refused::Key);
        }
        let found: Vec<_> = meant.filter(|key| key.algorithm() == algorithm).collect();
        if found.is_empty() {
            return Err(Refused::Algorithm);
        }
        Ok(found)
    }
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

/// The members that are looked at (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2). Certificates and URLs in a key
/// are not among them: a key is believed because its issuer published it, and for nothing that it says of itself.
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

/// The key, if tokens may be verified with it.
fn usable(value: Value) -> Option<Named> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    // Whoever publishes a private key has lost it.
    if jwk.d.is_some() || !jwk.verifies() {
        return None;
    }
    let key = jwk.key()?;
    let says_the_same = jwk.alg.as_deref().is_none_or(|alg| alg.parse() == Ok(key.algorithm()));
    says_the_same.then_some(Named { kid: jwk.kid, key })
}

impl Jwk {
    /// Whether it is meant for this, or for anything.
    fn verifies(&self) -> bool {
        self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && (self.key_ops.as_ref()).is_none_or(|operations| operations.iter().any(|it| it == "verify"))
    }

    /// A symmetric key (`oct`) is none: what is published is no secret.
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
    fn each_kind_of_key_verifies_its_own_algorithm_and_no_other() {
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
                    Err(Refused::Algorithm)
                };
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_key_is_left_out_for_what_it_is_or_says_and_the_others_stay() {
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
        assert!(set.knows("good"));
    }

    #[test]
    fn the_numbers_of_a_key_may_be_padded_or_of_the_other_alphabet() {
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
    fn all_keys_of_a_name_may_have_signed_and_without_a_name_all_keys() {
        let keys = ["1", "1", "2"].map(|kid| Signer::es256().jwk(kid));
        let set = set(&[&keys[..], &[Signer::eddsa().jwk("1"), Signer::hs256().jwk("oct")]].concat());
        let count = |kid, algorithm| set.find(kid, algorithm).map(|keys| keys.len());
        assert_eq!(count(Some("1"), Algorithm::ES256), Ok(2));
        assert_eq!(count(Some("1"), Algorithm::EdDSA), Ok(1));
        assert_eq!(count(Some("2"), Algorithm::ES256), Ok(1));
        assert_eq!(count(Some("2"), Algorithm::EdDSA), Err(Refused::Algorithm));
        assert_eq!(count(Some("3"), Algorithm::ES256), Err(Refused::Key));
        assert_eq!(count(None, Algorithm::ES256), Ok(3));
        assert_eq!(count(None, Algorithm::RS256), Err(Refused::Algorithm));
        assert_eq!(
            KeySet::default().find(None, Algorithm::ES256).unwrap_err(),
            Refused::Key
        );
    }

    #[test]
    fn what_is_no_set_is_unreadable() {
        for text in ["", "[]", "{}", "{\"keys\": {}}", "<html>", "{\"keys\": [}"] {
            assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), Unreadable, "{text}");
        }
    }
}

//! Keys that the operator configures. During a rotation there are two.

use protocol::secret::Secret;

use crate::token_key::{InvalidKey, TokenKey};

/// One or two configured keys: tokens of each are accepted.
#[derive(Debug, Clone)]
pub struct FixedKeys(Vec<TokenKey>);

/// Cause of configured keys that are unusable. It repeats no part of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFixedKeys {
    /// No key, or more than two.
    #[error("has {0} keys, and takes one, or two during a rotation")]
    Count(usize),
    /// Unusable key, with its number from 1.
    #[error("key {0}: {1}")]
    Key(usize, InvalidKey),
    /// The only key is unusable.
    #[error(transparent)]
    OnlyKey(#[from] InvalidKey),
}

impl FixedKeys {
    /// HS256 secrets, one a line.
    ///
    /// # Errors
    /// [`InvalidFixedKeys`].
    pub fn hs256(lines: &Secret) -> Result<Self, InvalidFixedKeys> {
        Self::collect(secret_lines(lines), |secret| TokenKey::hs256(&Secret::new(secret)))
    }

    /// Public keys, one PEM after the other; their algorithms may differ.
    ///
    /// # Errors
    /// [`InvalidFixedKeys`].
    pub fn public_pems(text: &str) -> Result<Self, InvalidFixedKeys> {
        let starts: Vec<usize> = text.match_indices(PEM_BEGIN).map(|(at, _)| at).collect();
        let ends = starts.iter().skip(1).copied().chain([text.len()]);
        let pems = starts.iter().zip(ends).filter_map(|(start, end)| text.get(*start..end));
        match starts.len() {
            // A text without a PEM is refused as such.
            0 => Ok(TokenKey::public_pem(text)?.into()),
            _ => Self::collect(pems, TokenKey::public_pem),
        }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[TokenKey] {
        &self.0
    }

    fn collect<'a>(
        texts: impl Iterator<Item = &'a str>,
        parse: impl Fn(&str) -> Result<TokenKey, InvalidKey>,
    ) -> Result<Self, InvalidFixedKeys> {
        let keys: Vec<_> = texts.map(parse).collect();
        if !(1..=MAX_KEYS).contains(&keys.len()) {
            return Err(InvalidFixedKeys::Count(keys.len()));
        }
        let is_only = keys.len() == 1;
        let numbered = (1..).zip(keys).map(|(number, key)| {
            key.map_err(|error| match is_only {
                true => InvalidFixedKeys::OnlyKey(error),
                false => InvalidFixedKeys::Key(number, error),
            })
        });
        numbered.collect::<Result<_, _>>().map(Self)
    }
}

impl From<TokenKey> for FixedKeys {
    fn from(key: TokenKey) -> Self {
        Self(vec![key])
    }
}

/// First of the HS256 secrets, one a line, by which a tool signs; none if all lines are empty.
#[must_use]
pub fn signing_secret(lines: &Secret) -> Option<Secret> {
    secret_lines(lines).next().map(Secret::new)
}

/// Secrets, one a line; empty lines are left out.
fn secret_lines(lines: &Secret) -> impl Iterator<Item = &str> {
    lines.expose().lines().filter(|line| !line.is_empty())
}

const PEM_BEGIN: &str = "-----BEGIN ";
const MAX_KEYS: usize = 2;

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;
    use testkit::token::Signer;

    use super::*;

    fn hs256(lines: &str) -> Result<usize, InvalidFixedKeys> {
        FixedKeys::hs256(&Secret::new(lines)).map(|keys| keys.keys().len())
    }

    #[test]
    fn one_or_two_secrets_are_taken_a_line_each() {
        let (one, other) = ("a".repeat(32), "b".repeat(32));
        assert_eq!(hs256(&one), Ok(1));
        assert_eq!(hs256(&format!("{one}\n{other}")), Ok(2));
        assert_eq!(hs256(&format!("\r\n{one}\r\n\r\n{other}\r\n")), Ok(2));
        assert_eq!(
            hs256(&format!("{one}\n{other}\n{one}")),
            Err(InvalidFixedKeys::Count(3))
        );
        assert_eq!(hs256("\n"), Err(InvalidFixedKeys::Count(0)));
        let first = signing_secret(&Secret::new(format!("{one}\n{other}"))).unwrap();
        assert_eq!(first.expose(), one);
    }

    #[test]
    fn each_secret_has_the_minimum_length_of_its_own() {
        assert_eq!(
            hs256(&"a".repeat(31)),
            Err(InvalidFixedKeys::OnlyKey(InvalidKey::ShortSecret))
        );
        let short = format!("{}\n{}", "a".repeat(60), "b".repeat(31));
        let refused = hs256(&short).unwrap_err();
        assert_eq!(refused, InvalidFixedKeys::Key(2, InvalidKey::ShortSecret));
        assert_eq!(refused.to_string(), "key 2: an HS256 secret has at least 32 bytes");
    }

    #[test]
    fn public_keys_of_different_kinds_share_a_file() {
        let (one, other) = (Signer::es256(), Signer::eddsa());
        let both = format!("the new key\n{}\n{}\n", one.verifier(), other.verifier());
        let keys = FixedKeys::public_pems(&both).unwrap();
        let algorithms: Vec<_> = keys.keys().iter().map(TokenKey::algorithm).collect();
        assert_eq!(algorithms, [Algorithm::ES256, Algorithm::EdDSA]);
        let refused = |text: &str| FixedKeys::public_pems(text).unwrap_err();
        assert_eq!(refused(""), InvalidFixedKeys::OnlyKey(InvalidKey::Unusable));
        let three = [one.verifier(), other.verifier(), one.verifier()].join("\n");
        assert_eq!(refused(&three), InvalidFixedKeys::Count(3));
        let broken = format!("{}\n{PEM_BEGIN}PRIVATE KEY-----\n", one.verifier());
        assert_eq!(refused(&broken), InvalidFixedKeys::Key(2, InvalidKey::Unusable));
    }
}

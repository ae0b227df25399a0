//! Settings of the internal API: TLS, and the callers by their tokens.

mod limits;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::HEXLOWER_PERMISSIVE;
use lifecycle::Reloadable;
use protocol::api::Scope;
use protocol::secret::Secret;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub(crate) use self::limits::CallerLimits;

use super::TlsSettings;

/// Settings of the internal API.
#[derive(Debug, Clone)]
pub struct InternalApiSettings {
    /// Callers, which may be replaced while the gateway runs.
    pub callers: Reloadable<InternalCallers>,
    /// TLS; `None` is plain HTTP.
    pub tls: Option<InternalTlsSettings>,
}

/// Files of the internal API's TLS. They are reloaded while the gateway runs.
#[derive(Debug, Clone)]
pub struct InternalTlsSettings {
    /// Server certificate.
    pub server: TlsSettings,
    /// Authorities of client certificates, PEM. With them, a client without a certificate of one of them is refused (mTLS).
    pub client_ca: Option<PathBuf>,
}

/// Callers of the internal API: the one with the single token, and those of a tokens file. Tokens are kept as hashes.
#[derive(Clone, Default)]
pub struct InternalCallers {
    single: Option<HashedToken>,
    listed: Vec<HashedToken>,
}

/// Caller with the hash of its token.
#[derive(Clone)]
struct HashedToken {
    digest: TokenDigest,
    caller: Arc<InternalCaller>,
}

type TokenDigest = [u8; 32];

/// Caller of the internal API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InternalCaller {
    /// Name in the tokens file; the caller with the single token has none.
    pub(crate) name: Option<String>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) limits: CallerLimits,
}

impl InternalCaller {
    /// Name for log lines.
    pub(crate) fn label(&self) -> &str {
        self.name.as_deref().unwrap_or("POSTERN_INTERNAL_TOKEN")
    }
}

/// Tokens file that cannot be used. No text repeats its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokensFile {
    /// Larger than 64 KiB.
    #[error("has more than {MAX_FILE} bytes")]
    TooLarge,
    /// Not a list of entries.
    #[error(
        "is not a JSON list of {{name, scopes, sha256, requests_per_second?, requests_in_flight?}}, scopes of {scopes}: line \
         {line}, column {column}",
        scopes = Scope::names()
    )]
    Syntax {
        /// Line of the error, from 1.
        line: usize,
        /// Column of the error, from 1.
        column: usize,
    },
    /// More entries than 256.
    #[error("has more than {MAX_ENTRIES} entries")]
    TooMany,
    /// Name that is not valid in a log line and an audit record.
    #[error("entry {0}: a name has 1 to 64 characters of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`")]
    Name(usize),
    /// Entry without a scope.
    #[error("entry {0}: at least one scope is expected")]
    NoScope(usize),
    /// Limit that is 0 or too large.
    #[error("entry {0}: requests_per_second and requests_in_flight are from 1 to {max}", max = limits::MAX_LIMIT)]
    Limit(usize),
    /// Two entries of one caller with different limits, which are the caller's and not the token's.
    #[error("entry {0}: another entry of this name has other limits")]
    OtherLimits(usize),
    /// Text that is not a SHA-256 digest.
    #[error("entry {0}: sha256 has 64 hexadecimal digits")]
    Digest(usize),
    /// Digest of nothing, which a script writes whose token was empty.
    #[error("entry {0}: sha256 is the digest of an empty text")]
    EmptyToken(usize),
    /// Two entries with the same token.
    #[error("entry {0}: another entry has the same sha256")]
    Repeated(usize),
}

impl InternalCallers {
    /// Adds the caller with the single token, which has all scopes.
    #[must_use]
    pub fn with_single_token(self, token: &Secret) -> Self {
        let single = HashedToken {
            digest: digest(token),
            caller: Arc::new(InternalCaller {
                name: None,
                scopes: Scope::ALL.to_vec(),
                limits: CallerLimits::DEFAULT,
            }),
        };
        Self {
            single: Some(single),
            ..self
        }
    }

    /// Replaces the callers of the tokens file.
    ///
    /// # Errors
    /// [`InvalidTokensFile`]: none of its entries is used.
    pub fn with_tokens_file(&self, contents: &[u8]) -> Result<Self, InvalidTokensFile> {
        Ok(Self {
            single: self.single.clone(),
            listed: parse(contents)?,
        })
    }

    /// Finds the caller with this token. All digests are compared, in constant time each, so the duration of a refusal reveals neither
    /// a token nor its length.
    pub(crate) fn find(&self, token: &Secret) -> Option<&Arc<InternalCaller>> {
        let presented = digest(token);
        let mut found = None;
        for entry in self.single.iter().chain(&self.listed) {
            if entry.digest.ct_eq(&presented).into() {
                found = Some(&entry.caller);
            }
        }
        found
    }
}

impl fmt::Debug for InternalCallers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.single.iter().chain(&self.listed);
        f.debug_list().entries(entries.map(|entry| &entry.caller)).finish()
    }
}

/// Entry of a tokens file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    scopes: Vec<Scope>,
    sha256: String,
    requests_per_second: Option<u32>,
    requests_in_flight: Option<u32>,
}

fn parse(contents: &[u8]) -> Result<Vec<HashedToken>, InvalidTokensFile> {
    if contents.len() > MAX_FILE {
        return Err(InvalidTokensFile::TooLarge);
    }
    let entries: Vec<Entry> = serde_json::from_slice(contents).map_err(|error| InvalidTokensFile::Syntax {
        line: error.line(),
        column: error.column(),
    })?;
    if entries.len() > MAX_ENTRIES {
        return Err(InvalidTokensFile::TooMany);
    }
    let mut tokens: Vec<HashedToken> = Vec::with_capacity(entries.len());
    for (entry, number) in entries.into_iter().zip(1..) {
        let token = entry.check(number)?;
        if tokens.iter().any(|other| other.digest == token.digest) {
            return Err(InvalidTokensFile::Repeated(number));
        }
        let same_caller = |other: &&HashedToken| other.caller.name == token.caller.name;
        let same_caller = tokens.iter().find(same_caller);
        if same_caller.is_some_and(|other| other.caller.limits != token.caller.limits) {
            return Err(InvalidTokensFile::OtherLimits(number));
        }
        tokens.push(token);
    }
    Ok(tokens)
}

impl Entry {
    fn check(self, number: usize) -> Result<HashedToken, InvalidTokensFile> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=MAX_NAME).contains(&self.name.len()) || !self.name.bytes().all(is_plain) {
            return Err(InvalidTokensFile::Name(number));
        }
        if self.scopes.is_empty() {
            return Err(InvalidTokensFile::NoScope(number));
        }
        let limits = CallerLimits::of(self.requests_per_second, self.requests_in_flight);
        let limits = limits.ok_or(InvalidTokensFile::Limit(number))?;
        let digest = hexadecimal(&self.sha256).ok_or(InvalidTokensFile::Digest(number))?;
        if digest == TokenDigest::from(Sha256::digest(b"")) {
            return Err(InvalidTokensFile::EmptyToken(number));
        }
        Ok(HashedToken {
            digest,
            caller: Arc::new(InternalCaller {
                name: Some(self.name),
                scopes: self.scopes,
                limits,
            }),
        })
    }
}

fn digest(token: &Secret) -> TokenDigest {
    Sha256::digest(token.expose().as_bytes()).into()
}

/// Digest of 64 hexadecimal digits.
fn hexadecimal(text: &str) -> Option<TokenDigest> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Maximum size of a tokens file, in bytes.
const MAX_FILE: usize = 64 * 1024;
/// Maximum number of entries of a tokens file.
const MAX_ENTRIES: usize = 256;
/// Maximum length of a name.
const MAX_NAME: usize = 64;

#[cfg(test)]
mod tests;

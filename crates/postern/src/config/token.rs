//! Token settings.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use gateway::{FixedKeys, InvalidFixedKeys, JwksSettings, JwksUrl, TokenKeys, TokenLimits, TokenSettings};
use lifecycle::{FileContents, FileWatch};
use protocol::secret::Secret;

use super::number::number;
use super::{ConfigError, PathArg, Problems, SecretArg, duration, heading, name};

/// Shared secret of tokens.
#[derive(Debug, Clone, Args)]
pub struct JwtSecretArgs {
    /// Secret of HS256 tokens; during a rotation two, a line each.
    #[arg(long, env = HS256_SECRET, help_heading = heading::TOKENS)]
    pub jwt_hs256_secret: Option<SecretArg>,
}

/// Token settings: exactly one of secret, public key and JWKS URL.
#[derive(Debug, Clone, Args)]
pub struct TokenVerificationArgs {
    /// Shared secret.
    #[command(flatten)]
    pub secret: JwtSecretArgs,
    /// PEM file with an RSA, P-256 or Ed25519 public key, which determines the algorithm; during a rotation two.
    #[arg(long, env = PUBLIC_KEY, help_heading = heading::TOKENS)]
    pub jwt_public_key: Option<PathArg>,
    /// URL of the issuer's keys (JWKS).
    #[arg(long, env = "POSTERN_JWKS_URL", help_heading = heading::TOKENS)]
    pub jwks_url: Option<String>,
    /// Refresh interval of the keys: a withdrawn key is accepted for up to this time.
    #[arg(long, env = "POSTERN_JWKS_REFRESH", default_value = "5m", help_heading = heading::TOKENS)]
    pub jwks_refresh: String,
    /// Required `iss`.
    #[arg(long, env = "POSTERN_JWT_ISSUER", value_parser = name, help_heading = heading::TOKENS)]
    pub jwt_issuer: Option<String>,
    /// Required `aud`.
    #[arg(long, env = "POSTERN_JWT_AUDIENCE", value_parser = name, help_heading = heading::TOKENS)]
    pub jwt_audience: Option<String>,
    /// Maximum size of a token in bytes.
    #[arg(long, env = "POSTERN_JWT_MAX_BYTES", default_value = "16384", help_heading = heading::TOKENS)]
    pub jwt_max_bytes: String,
    /// Maximum time until the `exp` of a token.
    #[arg(long, env = "POSTERN_JWT_MAX_LIFETIME", default_value = "31d", help_heading = heading::TOKENS)]
    pub jwt_max_lifetime: String,
}

/// File of the keys that verify tokens, which is read again.
#[derive(Debug)]
pub struct TokenKeyFile {
    /// Watch of the file.
    pub watch: FileWatch<1>,
    /// Parser of its contents.
    pub parse: fn(&Secret) -> Result<FixedKeys, InvalidFixedKeys>,
}

impl JwtSecretArgs {
    /// Secrets, one a line, if any is set.
    ///
    /// # Errors
    /// Secret that cannot be taken.
    pub fn secret(&self) -> Result<Option<Secret>, ConfigError> {
        let mut problems = Problems::default();
        let secret = problems.optional_secret(HS256_SECRET, self.jwt_hs256_secret.as_ref());
        problems.finish(Some(secret))
    }
}

impl TokenVerificationArgs {
    /// Checks the section.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<(TokenSettings, Option<TokenKeyFile>)> {
        let refresh = problems.take("POSTERN_JWKS_REFRESH", self.refresh());
        let max_bytes = problems.take("POSTERN_JWT_MAX_BYTES", self.max_bytes());
        let max_lifetime = problems.take("POSTERN_JWT_MAX_LIFETIME", self.max_lifetime());
        let keys = match (&self.secret.jwt_hs256_secret, &self.jwt_public_key, &self.jwks_url) {
            (Some(secret), None, None) => shared(secret, problems),
            (None, Some(path), None) => public(path, problems),
            (None, None, Some(url)) => {
                let url = problems.take("POSTERN_JWKS_URL", JwksUrl::parse(url));
                url.zip(refresh).map(|(url, refresh)| {
                    let jwks = JwksSettings {
                        refresh,
                        ..JwksSettings::new(url)
                    };
                    (TokenKeys::Jwks(jwks), None)
                })
            }
            (None, None, None) => {
                problems.report(
                    HS256_SECRET,
                    "or POSTERN_JWT_PUBLIC_KEY or POSTERN_JWKS_URL is required to verify tokens",
                );
                None
            }
            _ => {
                problems.report(
                    HS256_SECRET,
                    "and POSTERN_JWT_PUBLIC_KEY and POSTERN_JWKS_URL exclude each other",
                );
                None
            }
        };
        let (keys, file) = keys?;
        let settings = TokenSettings {
            keys,
            issuer: self.jwt_issuer.clone(),
            audience: self.jwt_audience.clone(),
            limits: TokenLimits {
                max_bytes: max_bytes?,
                max_lifetime: max_lifetime?,
            },
        };
        Some((settings, file))
    }

    /// Parses the refresh interval, at least a second to protect the issuer.
    fn refresh(&self) -> Result<Duration, &'static str> {
        let refresh = duration(&self.jwks_refresh)?;
        if refresh < Duration::from_secs(1) {
            return Err("is at least `1s`");
        }
        Ok(refresh)
    }

    /// Parses the maximum size; a larger token would not fit a client message.
    fn max_bytes(&self) -> Result<usize, String> {
        let expected = "a number of bytes from 1024 to 49152";
        let bytes = number(&self.jwt_max_bytes, expected)?;
        if (1_024..=49_152).contains(&bytes) {
            Ok(bytes)
        } else {
            Err(format!("is {expected}"))
        }
    }

    fn max_lifetime(&self) -> Result<Duration, &'static str> {
        let lifetime = duration(&self.jwt_max_lifetime)?;
        if lifetime.is_zero() {
            return Err("is more than `0s`");
        }
        Ok(lifetime)
    }
}

/// Shared secrets, and their file if they came from one.
fn shared(secret: &SecretArg, problems: &mut Problems) -> Option<(TokenKeys, Option<TokenKeyFile>)> {
    let parse = FixedKeys::hs256;
    let keys = problems.secret(HS256_SECRET, secret)?;
    let keys = problems.take(HS256_SECRET, parse(&keys))?;
    let watch = secret.watch(HS256_SECRET);
    let file = watch.map(|watch| TokenKeyFile { watch, parse });
    Some((TokenKeys::fixed(keys), file))
}

/// Public keys and their file.
fn public(path: &PathArg, problems: &mut Problems) -> Option<(TokenKeys, Option<TokenKeyFile>)> {
    let parse = |pems: &Secret| FixedKeys::public_pems(pems.expose());
    let path = problems.path(PUBLIC_KEY, path)?;
    let pems = problems.take(PUBLIC_KEY, read_pem(&path))?;
    let contents = FileContents::new(pems.as_str());
    let keys = problems.take(PUBLIC_KEY, parse(&Secret::new(pems)))?;
    let watch = FileWatch::new(PUBLIC_KEY, [path], [contents]);
    Some((TokenKeys::fixed(keys), Some(TokenKeyFile { watch, parse })))
}

fn read_pem(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {}: {error}", path.display()))
}

const HS256_SECRET: &str = "POSTERN_JWT_HS256_SECRET";
const PUBLIC_KEY: &str = "POSTERN_JWT_PUBLIC_KEY";

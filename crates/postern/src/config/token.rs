//! How tokens are checked.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gateway::{JwksSettings, JwksUrl, TokenKey, TokenKeys, TokenLimits, TokenSettings};
use protocol::secret::Secret;

use super::{Problems, duration, name, secret};

/// The shared secret of tokens.
#[derive(Debug, Clone, Args)]
pub struct JwtSecretArgs {
    /// The secret of HS256 tokens.
    #[arg(long, env = "POSTERN_JWT_HS256_SECRET", hide_env_values = true, value_parser = secret)]
    pub jwt_hs256_secret: Option<Secret>,
}

/// How tokens are checked: exactly one of secret, public key and JWKS URL.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// The shared secret.
    #[command(flatten)]
    pub secret: JwtSecretArgs,
    /// A PEM file with an RSA, P-256 or Ed25519 public key; the algorithm follows from it.
    #[arg(long, env = "POSTERN_JWT_PUBLIC_KEY")]
    pub jwt_public_key: Option<PathBuf>,
    /// Where the keys of tokens are fetched from.
    #[arg(long, env = "POSTERN_JWKS_URL")]
    pub jwks_url: Option<String>,
    /// Between two fetches of them: how long a withdrawn key is still taken.
    #[arg(long, env = "POSTERN_JWKS_REFRESH", default_value = "5m")]
    pub jwks_refresh: String,
    /// The only `iss` that is taken.
    #[arg(long, env = "POSTERN_JWT_ISSUER", value_parser = name)]
    pub jwt_issuer: Option<String>,
    /// The only `aud` that is taken.
    #[arg(long, env = "POSTERN_JWT_AUDIENCE", value_parser = name)]
    pub jwt_audience: Option<String>,
    /// The largest token that is taken, in bytes.
    #[arg(long, env = "POSTERN_JWT_MAX_BYTES", default_value = "16384")]
    pub jwt_max_bytes: String,
    /// How far ahead the `exp` of a token may lie.
    #[arg(long, env = "POSTERN_JWT_MAX_LIFETIME", default_value = "31d")]
    pub jwt_max_lifetime: String,
}

impl TokenArgs {
    /// Checks the section.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<TokenSettings> {
        let refresh = problems.take("POSTERN_JWKS_REFRESH", self.refresh());
        let max_bytes = problems.take("POSTERN_JWT_MAX_BYTES", self.max_bytes());
        let max_lifetime = problems.take("POSTERN_JWT_MAX_LIFETIME", self.max_lifetime());
        let keys = match (&self.secret.jwt_hs256_secret, &self.jwt_public_key, &self.jwks_url) {
            (Some(secret), None, None) => problems
                .take("POSTERN_JWT_HS256_SECRET", TokenKey::hs256(secret))
                .map(TokenKeys::Fixed),
            (None, Some(path), None) => {
                let pem = std::fs::read_to_string(path)
                    .map_err(|error| format!("cannot be read: {}: {error}", path.display()));
                let pem = problems.take("POSTERN_JWT_PUBLIC_KEY", pem);
                pem.and_then(|pem| problems.take("POSTERN_JWT_PUBLIC_KEY", TokenKey::public_pem(&pem)))
                    .map(TokenKeys::Fixed)
            }
            (None, None, Some(url)) => {
                let url = problems.take("POSTERN_JWKS_URL", JwksUrl::parse(url));
                url.zip(refresh).map(|(url, refresh)| {
                    TokenKeys::Jwks(JwksSettings {
                        refresh,
                        ..JwksSettings::new(url)
                    })
                })
            }
            (None, None, None) => {
                problems.note(
                    "POSTERN_JWT_HS256_SECRET",
                    "or POSTERN_JWT_PUBLIC_KEY or POSTERN_JWKS_URL is required: how tokens are checked",
                );
                None
            }
            _ => {
                problems.note(
                    "POSTERN_JWT_HS256_SECRET",
                    "and POSTERN_JWT_PUBLIC_KEY and POSTERN_JWKS_URL exclude each other",
                );
                None
            }
        };
        Some(TokenSettings {
            keys: keys?,
            issuer: self.jwt_issuer.clone(),
            audience: self.jwt_audience.clone(),
            limits: TokenLimits {
                max_bytes: max_bytes?,
                max_lifetime: max_lifetime?,
            },
        })
    }

    /// A second at least: an issuer is not to be hammered.
    fn refresh(&self) -> Result<Duration, &'static str> {
        let refresh = duration(&self.jwks_refresh)?;
        if refresh < Duration::from_secs(1) {
            return Err("is at least `1s`");
        }
        Ok(refresh)
    }

    /// More fits into no message of a client beside the rest of it.
    fn max_bytes(&self) -> Result<usize, &'static str> {
        let bytes = self.jwt_max_bytes.parse().ok();
        let bytes = bytes.filter(|bytes| (1_024..=49_152).contains(bytes));
        bytes.ok_or("is a number of bytes from 1024 to 49152")
    }

    fn max_lifetime(&self) -> Result<Duration, &'static str> {
        let lifetime = duration(&self.jwt_max_lifetime)?;
        if lifetime.is_zero() {
            return Err("is more than `0s`");
        }
        Ok(lifetime)
    }
}

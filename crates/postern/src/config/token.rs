//! How tokens are checked.

use std::path::PathBuf;

use clap::Args;
use gateway::{TokenKey, TokenSettings};
use protocol::secret::Secret;

use super::{Problems, secret};

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
    /// The only `iss` that is taken.
    #[arg(long, env = "POSTERN_JWT_ISSUER")]
    pub jwt_issuer: Option<String>,
    /// The only `aud` that is taken.
    #[arg(long, env = "POSTERN_JWT_AUDIENCE")]
    pub jwt_audience: Option<String>,
}

impl TokenArgs {
    /// Checks the section.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<TokenSettings> {
        let key = match (&self.secret.jwt_hs256_secret, &self.jwt_public_key, &self.jwks_url) {
            (_, _, Some(_)) => {
                problems.note(
                    "POSTERN_JWKS_URL",
                    "is not offered yet: give POSTERN_JWT_HS256_SECRET or POSTERN_JWT_PUBLIC_KEY",
                );
                None
            }
            (Some(secret), None, None) => problems.take("POSTERN_JWT_HS256_SECRET", TokenKey::hs256(secret)),
            (None, Some(path), None) => {
                let pem = std::fs::read_to_string(path)
                    .map_err(|error| format!("cannot be read: {}: {error}", path.display()));
                let pem = problems.take("POSTERN_JWT_PUBLIC_KEY", pem);
                pem.and_then(|pem| problems.take("POSTERN_JWT_PUBLIC_KEY", TokenKey::public_pem(&pem)))
            }
            (Some(_), Some(_), None) => {
                problems.note(
                    "POSTERN_JWT_PUBLIC_KEY",
                    "and POSTERN_JWT_HS256_SECRET exclude each other",
                );
                None
            }
            (None, None, None) => {
                problems.note(
                    "POSTERN_JWT_HS256_SECRET",
                    "or POSTERN_JWT_PUBLIC_KEY is required: how tokens are checked",
                );
                None
            }
        };
        Some(TokenSettings {
            key: key?,
            issuer: self.jwt_issuer.clone(),
            audience: self.jwt_audience.clone(),
        })
    }
}

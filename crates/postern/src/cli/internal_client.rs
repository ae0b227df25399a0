//! Client of the internal API.

use std::path::PathBuf;

use clap::Args;
use protocol::secret::Secret;

use crate::config::{ConfigError, Problems, SecretArg, heading};

/// Client of the internal API: address, TLS and token.
#[derive(Debug, Clone, Args)]
pub struct InternalClientArgs {
    /// Internal API of a gateway, `http://127.0.0.1:9091` or `https://...`; default: the first gateway of `postern dev`.
    #[arg(long)]
    pub server: Option<String>,
    /// TLS of the internal API.
    #[command(flatten)]
    pub tls: InternalTlsArgs,
    /// Bearer token of the internal API.
    #[arg(long, env = "POSTERN_INTERNAL_TOKEN", help_heading = heading::INTERNAL_API)]
    pub internal_token: Option<SecretArg>,
}

impl InternalClientArgs {
    /// Bearer token, if one is set.
    ///
    /// # Errors
    /// Token that cannot be taken.
    pub fn internal_token(&self) -> Result<Option<Secret>, ConfigError> {
        let mut problems = Problems::default();
        let token = problems.optional_secret("POSTERN_INTERNAL_TOKEN", self.internal_token.as_ref());
        problems.finish(Some(token))
    }
}

/// TLS of a client of the internal API.
#[derive(Debug, Clone, Args)]
pub struct InternalTlsArgs {
    /// PEM file of the authorities of the internal API's certificate, for https.
    #[arg(long, value_name = "FILE", help_heading = heading::INTERNAL_API)]
    pub ca: Option<PathBuf>,
    /// PEM file of a client certificate, where the internal API requires one.
    #[arg(long, value_name = "FILE", help_heading = heading::INTERNAL_API)]
    pub client_cert: Option<PathBuf>,
    /// PEM file of the key of the client certificate.
    #[arg(long, value_name = "FILE", help_heading = heading::INTERNAL_API)]
    pub client_key: Option<PathBuf>,
}

//! Internal API of a gateway: address, callers and TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use gateway::{InternalApiSettings, InternalCallers, InternalTlsSettings, TlsSettings};
use lifecycle::{FileContents, Reloadable};

use super::path::read;
use super::{PathArg, Problems, SecretArg, address, heading};

/// Flags and variables of the internal API.
#[derive(Debug, Clone, Args)]
pub struct InternalApiArgs {
    /// Address of the internal API.
    #[arg(long, env = LISTEN, default_value = "127.0.0.1:9091", help_heading = heading::INTERNAL_API)]
    pub internal_listen: String,
    /// Bearer token of the internal API, with all scopes. The API is off without a token and without a file of tokens.
    #[arg(long, env = TOKEN, help_heading = heading::INTERNAL_API)]
    pub internal_token: Option<SecretArg>,
    /// JSON file of the internal API's callers: a list of `{name, scopes, sha256}`; reloaded when it changes.
    #[arg(long, env = TOKENS_FILE, help_heading = heading::INTERNAL_API)]
    pub internal_tokens_file: Option<PathArg>,
    /// Certificate of the internal API and its chain, PEM; reloaded when it changes. Without it, the API is plain HTTP.
    #[arg(long, env = TLS_CERT, help_heading = heading::INTERNAL_API)]
    pub internal_tls_cert: Option<PathArg>,
    /// Private key of the internal API's certificate, PEM.
    #[arg(long, env = TLS_KEY, help_heading = heading::INTERNAL_API)]
    pub internal_tls_key: Option<PathArg>,
    /// Authorities of client certificates, PEM, which the internal API then requires (mTLS); reloaded when it changes.
    #[arg(long, env = CLIENT_CA, help_heading = heading::INTERNAL_API)]
    pub internal_client_ca: Option<PathArg>,
}

const LISTEN: &str = "POSTERN_INTERNAL_LISTEN";
const TOKEN: &str = "POSTERN_INTERNAL_TOKEN";
pub(crate) const TOKENS_FILE: &str = "POSTERN_INTERNAL_TOKENS_FILE";
const TLS_CERT: &str = "POSTERN_INTERNAL_TLS_CERT";
const TLS_KEY: &str = "POSTERN_INTERNAL_TLS_KEY";
const CLIENT_CA: &str = "POSTERN_INTERNAL_CLIENT_CA";

/// Listener of the internal API, and the file of its callers.
#[derive(Debug)]
pub struct InternalApiNode {
    /// Address.
    pub listen: SocketAddr,
    /// File of the callers, if there is one.
    pub tokens_file: Option<TokensFile>,
}

/// File of the internal API's callers.
#[derive(Debug)]
pub struct TokensFile {
    /// Path.
    pub path: PathBuf,
    /// Contents at startup.
    pub contents: FileContents,
    /// Callers, which changed contents replace.
    pub callers: Reloadable<InternalCallers>,
}

impl InternalApiArgs {
    /// Checks the section. The API is off without settings.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<(InternalApiNode, Option<InternalApiSettings>)> {
        let listen = problems.take(LISTEN, address(&self.internal_listen));
        let token = problems.header(TOKEN, self.internal_token.as_ref());
        if token.as_ref().is_some_and(|token| token.expose().is_empty()) {
            problems.report(TOKEN, "is empty: leave it out for no internal API");
        }
        let mut callers = InternalCallers::default();
        if let Some(token) = &token {
            callers = callers.with_single_token(token);
        }
        let tls = self.tls(problems);
        let path = self.internal_tokens_file.as_ref();
        let path = path.and_then(|path| problems.path(TOKENS_FILE, path));
        let file = path.and_then(|path| Some((problems.take(TOKENS_FILE, read(&path))?, path)));
        if let Some((contents, _)) = &file {
            callers = problems.take(TOKENS_FILE, callers.with_tokens_file(contents.as_bytes()))?;
        }
        let is_on = token.is_some() || file.is_some();
        let callers = Reloadable::new(callers);
        let node = InternalApiNode {
            listen: listen?,
            tokens_file: file.map(|(contents, path)| TokensFile {
                path,
                contents,
                callers: callers.clone(),
            }),
        };
        Some((node, is_on.then_some(InternalApiSettings { callers, tls })))
    }

    fn tls(&self, problems: &mut Problems) -> Option<InternalTlsSettings> {
        let mut path = |variable, path: &Option<PathArg>| path.as_ref().and_then(|path| problems.path(variable, path));
        let certificate = path(TLS_CERT, &self.internal_tls_cert);
        let key = path(TLS_KEY, &self.internal_tls_key);
        let client_ca = path(CLIENT_CA, &self.internal_client_ca);
        match (&self.internal_tls_cert, &self.internal_tls_key) {
            (Some(_), None) => problems.report(TLS_KEY, format!("is required with {TLS_CERT}: a PEM file")),
            (None, Some(_)) => problems.report(TLS_CERT, format!("is required with {TLS_KEY}: a PEM file")),
            (None, None) if self.internal_client_ca.is_some() => {
                // Without TLS no certificate would be asked for, and the port would be open to all.
                problems.report(TLS_CERT, format!("is required with {CLIENT_CA}: a PEM file"));
            }
            _ => {}
        }
        let server = TlsSettings {
            certificate: certificate?,
            key: key?,
        };
        Some(InternalTlsSettings { server, client_ca })
    }
}

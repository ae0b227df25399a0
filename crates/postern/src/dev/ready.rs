//! Output of a dev cluster once it is ready.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use protocol::secret::Secret;
use serde::{Deserialize, Serialize};
use url::Url;

/// Ready line of `postern dev --json`. The only output of dev secrets: to the caller's stdout.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ready {
    /// True, always.
    pub ready: bool,
    /// URL of the demo.
    pub demo: String,
    /// Addresses for clients.
    pub gateways: Vec<String>,
    /// Address of `/livez`, `/readyz` and `/metrics` of each gateway, in the same order.
    pub health: Vec<String>,
    /// Address of the internal API of each gateway, in the same order.
    pub internal: Vec<String>,
    /// Address of the simulated platforms.
    pub simulator: String,
    /// Bearer token of the internal API.
    pub internal_token: Secret,
    /// Certificate authority that clients must trust.
    pub ca: PathBuf,
    /// HS256 secret of tokens.
    pub jwt_secret: Secret,
    /// Directory of the secrets, for the printed commands.
    #[serde(skip)]
    pub dir: PathBuf,
    /// URLs of the hosted callbacks.
    #[serde(skip)]
    pub public_urls: Vec<Url>,
    /// Browser origins that are accepted beside loopback.
    #[serde(skip)]
    pub allowed_origins: String,
}

impl Ready {
    /// Encodes the line.
    #[must_use]
    pub(crate) fn json_line(&self) -> String {
        protocol::json::Json::of(self).as_str().to_owned()
    }

    /// Encodes the addresses for `postern publish`, without secrets, which have files of their own.
    #[must_use]
    pub(crate) fn saved(&self) -> String {
        protocol::json::Json::of(&SavedReady {
            internal: self.internal.clone(),
        })
        .as_str()
        .to_owned()
    }

    /// Describes how to connect, for a terminal, with commands of the program `postern` that work as printed.
    #[must_use]
    pub(crate) fn text(&self, postern: &str) -> String {
        let (postern, dir, ca) = (quoted(postern), shown(&self.dir), shown(&self.ca));
        let gateways = self.gateways.join("  ");
        let health = self.health.join("  ");
        let internal = self.internal.join("  ");
        let (origins, callbacks) = (self.origins(), self.callbacks());
        format!(
            "Postern is ready.\n\n  demo        {}\n  gateways    {gateways}\n  health      {health}\n  internal    {internal}\n  simulator   {}\n  trust       {}\n  \
             origins     {origins}\n  redirects   http://localhost, http://127.0.0.1, http://[::1] at any port; {callbacks}\n\n\
             A token:      {postern} token --dir {dir} --user GEN-001\n\
             An alert:     {postern} publish --dir {dir} --user GEN-001 --event security:alert --data \\\n                \
             '{{\"severity\":\"high\",\"type\":\"suspicious_login\",\"message\":\"Login from new device detected\",\"requiresAction\":true}}'\n\
             A client:     io(\"{}\", {{ transports: [\"websocket\"], auth: {{ token }} }})\n              \
             with NODE_EXTRA_CA_CERTS={ca}\n\n\
             Ctrl-C stops it.\n",
            self.demo,
            self.simulator,
            self.ca.display(),
            self.gateways.first().map_or("", String::as_str),
        )
    }

    /// Browser origins that are let in.
    fn origins(&self) -> String {
        let loopback = "localhost, 127.0.0.1, [::1] at any port";
        match self.allowed_origins.trim() {
            "" => format!("{loopback}; others: POSTERN_ALLOWED_ORIGINS"),
            listed => format!("{loopback}; {listed}"),
        }
    }

    /// Hosted callbacks, one for all platforms.
    fn callbacks(&self) -> String {
        let callbacks = self
            .public_urls
            .iter()
            .map(|url| format!("{url}oauth/callback/<platform>"));
        callbacks.collect::<Vec<_>>().join("  ")
    }
}

/// Path as one word of a shell.
fn shown(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// Text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// URL of an address, `https://`.
#[must_use]
pub(crate) fn https(address: SocketAddr) -> String {
    format!("https://{address}")
}

/// URL of an address, `http://`.
#[must_use]
pub(crate) fn http(address: SocketAddr) -> String {
    format!("http://{address}")
}

#[derive(Serialize, Deserialize)]
struct SavedReady {
    internal: Vec<String>,
}

/// Reads the address of the internal API of the first gateway of the last dev cluster.
#[must_use]
pub(crate) fn first_internal(path: &Path) -> Option<String> {
    let left: SavedReady = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    left.internal.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_word_is_quoted_where_a_shell_would_split_or_expand_it() {
        assert_eq!(quoted("/run/user/1000/postern"), "/run/user/1000/postern");
        assert_eq!(quoted("/tmp/it's $HOME"), r"'/tmp/it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}

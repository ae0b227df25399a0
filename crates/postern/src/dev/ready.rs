//! What a dev cluster says once it is ready.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use protocol::secret::Secret;
use serde::{Deserialize, Serialize};

/// The ready line of `postern dev --json`. It is the one place where dev secrets are shown: to whoever started the cluster, on
/// its own stdout.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ready {
    /// Always true.
    pub ready: bool,
    /// Where clients connect.
    pub gateways: Vec<String>,
    /// The internal address of each gateway, in the same order.
    pub internal: Vec<String>,
    /// The simulated platforms.
    pub simulator: String,
    /// The bearer token of the internal API.
    pub internal_token: Secret,
    /// The authority that clients must trust.
    pub ca: PathBuf,
    /// The HS256 secret of tokens.
    pub jwt_secret: Secret,
}

impl Ready {
    /// The line.
    #[must_use]
    pub(crate) fn line(&self) -> String {
        protocol::json::Json::of(self).as_str().to_owned()
    }

    /// What is left for `postern publish`: no secret, those have files of their own.
    #[must_use]
    pub(crate) fn left_behind(&self) -> String {
        protocol::json::Json::of(&LeftBehind {
            internal: self.internal.clone(),
        })
        .as_str()
        .to_owned()
    }

    /// How to connect, for a person.
    #[must_use]
    pub(crate) fn words(&self) -> String {
        let gateways = self.gateways.join("  ");
        let internal = self.internal.join("  ");
        format!(
            "Postern is ready.\n\n  gateways    {gateways}\n  internal    {internal}\n  simulator   {}\n  trust       {}\n\n\
             A token:      postern token --user GEN-001\n\
             An alert:     postern publish --user GEN-001 --event security:alert --data \\\n                \
             '{{\"severity\":\"high\",\"type\":\"suspicious_login\",\"message\":\"Login from new device detected\",\"requiresAction\":true}}'\n\
             A client:     io(\"{}\", {{ transports: [\"websocket\"], auth: {{ token }} }})\n              \
             with NODE_EXTRA_CA_CERTS={}\n\n\
             Ctrl-C ends it.\n",
            self.simulator,
            self.ca.display(),
            self.gateways.first().map_or("", String::as_str),
            self.ca.display(),
        )
    }
}

/// `https://` and an address.
#[must_use]
pub(crate) fn https(address: SocketAddr) -> String {
    format!("https://{address}")
}

/// `http://` and an address.
#[must_use]
pub(crate) fn http(address: SocketAddr) -> String {
    format!("http://{address}")
}

#[derive(Serialize, Deserialize)]
struct LeftBehind {
    internal: Vec<String>,
}

/// The internal address of the first gateway of the dev cluster that was started last.
#[must_use]
pub(crate) fn first_internal(path: &Path) -> Option<String> {
    let left: LeftBehind = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    left.internal.into_iter().next()
}

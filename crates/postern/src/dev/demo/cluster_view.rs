//! `GET /demo/api/cluster`: the cluster that the page shows.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use protocol::account::AccountType;
use serde::Serialize;

use super::{Demo, USERS};

/// Gateways of the cluster.
#[derive(Debug, Clone, Default)]
pub(in crate::dev) struct ClusterView {
    /// Gateways, by their indexes.
    pub(in crate::dev) gateways: Vec<GatewayView>,
    /// Origins of the pages that the gateways serve.
    pub(in crate::dev) origins: Vec<String>,
}

/// Gateway of the cluster.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dev) struct GatewayView {
    /// URL for clients.
    pub(in crate::dev) url: String,
    /// Address of the internal API.
    #[serde(skip)]
    pub(in crate::dev) internal: SocketAddr,
    /// False while it is killed.
    pub(in crate::dev) is_running: bool,
}

/// Response of the endpoint.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClusterDescription {
    version: &'static str,
    /// Index of the gateway that responds.
    gateway: usize,
    gateways: Vec<GatewayView>,
    simulator: String,
    users: [&'static str; USERS.len()],
    platforms: [AccountType; AccountType::ALL.len()],
    /// Hosted callbacks of the gateway that responds.
    hosted_callback: BTreeMap<&'static str, String>,
}

impl Demo {
    /// Describes the cluster, by the gateway with this index.
    pub(super) fn describe(&self, gateway: usize) -> ClusterDescription {
        let gateways = self.cluster.borrow().gateways.clone();
        let url = gateways.get(gateway).map_or("", |gateway| gateway.url.as_str());
        let callback = |platform: AccountType| (platform.as_str(), format!("{url}/oauth/callback/{platform}"));
        ClusterDescription {
            version: env!("CARGO_PKG_VERSION"),
            gateway,
            hosted_callback: AccountType::ALL.into_iter().map(callback).collect(),
            gateways,
            simulator: self.simulator.url().to_owned(),
            users: USERS,
            platforms: AccountType::ALL,
        }
    }
}

//! TLS of a cluster: its files, its settings, and the ports that the nodes tell their clients.

use futures_util::future::join_all;

use super::RedisCluster;
use crate::account::Account;
use crate::port::Port;
use crate::redis::{resp, text};
use crate::scratch::Scratch;
use crate::tls::{Authority, Identity};

impl RedisCluster {
    /// Reports whether every node knows the TLS port of every other. A node that was met by its other port corrects that with its
    /// first ping.
    pub(super) async fn know_tls_ports(&self) -> bool {
        let replies = self.nodes().map(async |node| {
            let shards = resp::try_command(node.addr(), &["CLUSTER", "SHARDS"]).await;
            let shards = shards.map(|shards| text(&shards)).unwrap_or_default();
            let mut ports = self.tls_ports.iter();
            ports.all(|port| shards.contains(&format!("tls-port\n{}\n", port.number())))
        });
        join_all(replies).await.into_iter().all(|knows| knows)
    }

    /// Port of a node for commands of other nodes.
    pub(super) fn port_for_nodes(&self, index: usize) -> u16 {
        let by_tls = self.tls_ports.get(index).map(Port::number);
        by_tls.unwrap_or_else(|| self.node(index).port())
    }
}

/// Writes the files that [`SETTINGS`] names into the folder of the nodes, for their account.
pub(super) fn write_files(scratch: &Scratch, authority: &Authority) {
    let Identity { certificate, key } = authority.issue();
    let files = [
        scratch.write(CERTIFICATE, certificate),
        scratch.write(KEY, key),
        scratch.write(CLIENTS, authority.pem()),
    ];
    if let Some(account) = Account::unprivileged() {
        files.iter().for_each(|file| account.own(file));
    }
}

/// Arguments of each node.
pub(super) const SETTINGS: [&str; 12] = [
    "--tls-cluster",
    "yes",
    "--tls-replication",
    "yes",
    "--tls-auth-clients",
    "yes",
    "--tls-cert-file",
    CERTIFICATE,
    "--tls-key-file",
    KEY,
    "--tls-ca-cert-file",
    CLIENTS,
];

const CERTIFICATE: &str = "node.pem";
const KEY: &str = "node.key";
const CLIENTS: &str = "clients.pem";

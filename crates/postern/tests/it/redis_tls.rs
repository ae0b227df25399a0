//! Nodes that reach Redis by TLS, with a private authority and a client certificate, while both are renewed.

use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;
use testkit::client::Native;
use testkit::cluster::{Cluster, Member};
use testkit::port::Port;
use testkit::tls::Authority;
use testkit::{Redis, wait};

use crate::rotation::has_reloaded;
use crate::stage::POSTERN;

#[tokio::test]
async fn renewed_authority_and_client_certificate_are_used_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let (redis, port) = (Redis::start().await, Port::claim());
    certify(&redis, &old, "old").await;
    redis
        .command(&["CONFIG", "SET", "tls-port", &port.number().to_string()])
        .await;
    let files = NodeFiles::new(&old);
    let builder = Cluster::builder(POSTERN).redis(&redis).gateways(1);
    let builder = builder.env("POSTERN_REDIS_URL", format!("rediss://localhost:{}", port.number()));
    let cluster = files.of_nodes().fold(builder, |builder, (variable, path)| {
        builder.env(variable, path.display())
    });
    let cluster = cluster.start().await;
    let owner = Native::connect(&cluster.endpoint(0), &cluster.token("GEN-001"))
        .await
        .unwrap();

    // The server has another certificate, and accepts other clients.
    certify(&redis, &new, "new").await;
    for kind in ["normal", "pubsub"] {
        redis.command(&["CLIENT", "KILL", "TYPE", kind]).await;
    }
    for node in [cluster.gateway(0), cluster.worker(0)] {
        is_up(node, 0).await;
    }
    files.write(&new);
    for node in [cluster.gateway(0), cluster.worker(0)] {
        has_reloaded(node, "POSTERN_REDIS_CA", 1).await;
        has_reloaded(node, "POSTERN_REDIS_CERT, POSTERN_REDIS_KEY", 1).await;
        is_up(node, 1).await;
    }
    wait::until_true("a command to be answered", wait::deadline(), async || {
        let answer = owner.request("security:get_settings", json!({})).await;
        answer.data["success"] == json!(true)
    })
    .await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Gives a server a certificate of this authority, of which its clients must have one too.
async fn certify(redis: &Redis, authority: &Authority, name: &str) {
    let identity = authority.issue();
    let write = |kind: &str, pem: &str| {
        redis
            .scratch()
            .write(&format!("{name}-{kind}.pem"), pem)
            .display()
            .to_string()
    };
    let ca = std::fs::read_to_string(authority.pem_path()).unwrap();
    let (ca, certificate, key) = (
        write("ca", &ca),
        write("cert", &identity.certificate),
        write("key", &identity.key),
    );
    let files = [
        "tls-ca-cert-file",
        &ca,
        "tls-cert-file",
        &certificate,
        "tls-key-file",
        &key,
    ];
    redis.command(&[&["CONFIG", "SET"], &files[..]].concat()).await;
}

/// Files of the nodes, as a platform mounts them.
struct NodeFiles(TempDir);

impl NodeFiles {
    fn new(authority: &Authority) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write(authority);
        files
    }

    /// Replaces each file in one step.
    fn write(&self, authority: &Authority) {
        let identity = authority.issue();
        let ca = std::fs::read_to_string(authority.pem_path()).unwrap();
        for ((_, path), pem) in self.of_nodes().zip([ca, identity.certificate, identity.key]) {
            let next = self.0.path().join("next");
            std::fs::write(&next, pem).unwrap();
            std::fs::rename(next, path).unwrap();
        }
    }

    fn of_nodes(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let variables = ["POSTERN_REDIS_CA", "POSTERN_REDIS_CERT", "POSTERN_REDIS_KEY"];
        variables
            .into_iter()
            .map(|variable| (variable, self.0.path().join(variable)))
    }
}

/// Waits until a node reports that Redis is up (1) or down (0).
async fn is_up(node: &Member, up: u8) {
    let line = format!("postern_dependency_up{{dependency=\"redis\"}} {up}");
    wait::until_true(&line, wait::deadline(), async || {
        node.metrics().await.lines().any(|shown| shown == line)
    })
    .await;
}

//! Each line of a node's log has the node's id, by which presence and the internal API name it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::wait;

use crate::command_line::Dev;
use crate::stage::{POSTERN, client};

/// Role and id in each line of a log; every line must have them, and the version of this build.
fn nodes(log: &str) -> BTreeSet<(String, String)> {
    assert!(!log.is_empty());
    let node = |line: &str| {
        let parsed: Value = serde_json::from_str(line).unwrap_or_default();
        let node = &parsed["spans"][0];
        assert_eq!(
            (&node["name"], &node["version"]),
            (&json!("node"), &json!(env!("CARGO_PKG_VERSION"))),
            "{line}"
        );
        let text = |field: &str| node[field].as_str().unwrap().to_owned();
        (text("role"), text("node"))
    };
    log.lines().map(node).collect()
}

#[tokio::test]
async fn every_line_of_a_node_has_the_id_by_which_the_internal_api_names_it() {
    let cluster = Cluster::builder(POSTERN)
        .env(
            "POSTERN_LOG",
            "warn,gateway=debug,worker=debug,postern=info,bus=debug,lifecycle=debug",
        )
        .start()
        .await;
    let sockets = [
        client(&cluster, 0, "GEN-001").await,
        client(&cluster, 1, "GEN-001").await,
    ];
    for socket in &sockets {
        assert_eq!(socket.emit_with_ack("account:list", json!({})).await["success"], true);
    }
    let request = Request::get("/v1/users/GEN-001/connections").bearer(cluster.internal_token());
    let listed = plain(cluster.gateway(0).internal_addr(), &request)
        .await
        .unwrap()
        .json();
    let listed: Vec<_> = listed["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|socket| socket["node"].clone())
        .collect();
    for node in [cluster.gateway(0), cluster.gateway(1), cluster.worker(0)] {
        node.terminate();
    }
    let mut ids = BTreeSet::new();
    for (node, role) in [
        (cluster.gateway(0), "gateway"),
        (cluster.gateway(1), "gateway"),
        (cluster.worker(0), "worker"),
    ] {
        assert_eq!(node.wait(wait::deadline()).await, 0);
        let log = node.logs();
        assert!(log.contains("started") && log.contains("node stopped"), "{log}");
        let named = nodes(&log);
        assert_eq!(
            named.iter().map(|(role, _)| role.as_str()).collect::<Vec<_>>(),
            [role],
            "{log}"
        );
        ids.extend(named.into_iter().map(|(_, id)| id));
    }
    assert_eq!(ids.len(), 3);
    for (gateway, id) in listed.iter().enumerate() {
        let log = cluster.gateway(gateway).logs();
        assert!(
            nodes(&log).contains(&("gateway".to_owned(), id.as_str().unwrap().to_owned())),
            "{id} in\n{log}"
        );
    }
}

#[tokio::test]
async fn nodes_of_one_process_log_their_own_ids() {
    let dev = Dev::start(&["--log", "info,gateway=debug,worker=debug"]).await;
    for gateway in 0..2 {
        let client = dev.client_at(gateway, "GEN-001").await;
        client.emit_with_ack("account:list", json!({})).await;
    }
    let log = dev.stop().await;
    let nodes = nodes(&log);
    let of = |role: &str| nodes.iter().filter(|(of, _)| of == role).count();
    assert_eq!((of("gateway"), of("worker"), of("dev")), (2, 1, 1), "{log}");
}

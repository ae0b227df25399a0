//! A gateway process with too many connections, and with thousands of silent ones.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use testkit::client::http::Request;
use testkit::client::{Endpoint, SocketIo};
use testkit::cluster::Cluster;
use testkit::scratch::Scratch;
use testkit::{Redis, wait};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::stage::{POSTERN, by_hand};

/// The binary, with so many file descriptors.
fn postern_with_descriptors(scratch: &Scratch, count: usize) -> PathBuf {
    let path = scratch.write(
        "postern",
        format!("#!/bin/sh\nulimit -n {count}\nexec {POSTERN} \"$@\"\n"),
    );
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Connects repeatedly and stays silent.
async fn keep_connecting(endpoint: Endpoint) {
    let mut pace = interval(Duration::from_millis(20));
    loop {
        pace.tick().await;
        if let Ok(mut wire) = endpoint.open().await {
            drop(wire.read_to_end().await);
        }
    }
}

/// Resident memory of the process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn metric(cluster: &Cluster, name: &str) -> f64 {
    let metrics = cluster.gateway(0).metrics().await;
    let values = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}

#[tokio::test]
async fn at_the_limit_of_file_descriptors_new_connections_are_dropped_and_the_rest_works() {
    let (scratch, redis) = (Scratch::new("descriptors"), Redis::start().await);
    let cluster = Cluster::builder(postern_with_descriptors(&scratch, 256))
        .gateways(1)
        .redis(&redis)
        .gateway_env("POSTERN_CONNECT_RATE", "off")
        .start()
        .await;
    let live = SocketIo::connect(&cluster.endpoint(0), &cluster.token("GEN-001"))
        .await
        .unwrap();
    let mut attack = JoinSet::new();
    for _ in 0..400 {
        attack.spawn(keep_connecting(cluster.endpoint(0)));
    }
    let dropped = "postern_gateway_refusals_total{reason=\"open_connections\"}";
    wait::until_true("connections to be dropped", wait::deadline(), async || {
        metric(&cluster, dropped).await > 0.0
    })
    .await;
    // Descriptors for the node's own reconnects are available.
    redis
        .command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
        .await;
    wait::until_true("a command to be answered", wait::deadline(), async || {
        live.emit_with_ack("account:list", json!({})).await["success"] == true
    })
    .await;
    assert!(live.is_open());
    drop(attack);
    wait::until_true("a new client", wait::deadline(), async || {
        SocketIo::connect(&cluster.endpoint(0), &cluster.token("GEN-002"))
            .await
            .is_ok()
    })
    .await;
    assert_eq!(metric(&cluster, "postern_gateway_panics_total").await, 0.0);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Long form, by hand, with 10,000 in rounds of 600: `POSTERN_TEST_ROUNDS=17`.
#[tokio::test]
async fn silent_connections_leave_no_memory_behind() {
    let cluster = Cluster::builder(POSTERN)
        .gateways(1)
        .gateway_env("POSTERN_CONNECT_RATE", "off")
        // By default glibc's allocator keeps a heap per thread and a varying amount of freed memory, some megabytes more or less.
        .gateway_env("MALLOC_ARENA_MAX", 1)
        .gateway_env("MALLOC_TRIM_THRESHOLD_", 0)
        .start()
        .await;
    let (endpoint, pid) = (cluster.endpoint(0), cluster.gateway(0).pid());
    let (count, rounds) = (600, by_hand("POSTERN_TEST_ROUNDS").unwrap_or(4));
    let mut after_each = Vec::new();
    for _ in 0..rounds {
        let mut silent = JoinSet::new();
        for n in 0..count {
            let endpoint = endpoint.clone();
            silent.spawn(async move {
                // No more unauthenticated connections at once than the gateway accepts.
                let Ok(mut wire) = endpoint.open().await else { return };
                if n % 2 == 0 {
                    let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
                    wire.upgrade(&request).await.unwrap();
                    assert_eq!(wire.closed().await.code, 4408);
                } else {
                    wire.read_to_end().await;
                }
            });
        }
        silent.join_all().await;
        wait::until_true("all to be forgotten", wait::deadline(), async || {
            metric(&cluster, "postern_gateway_pending_connections").await == 0.0
        })
        .await;
        after_each.push(resident(pid));
    }
    // The allocator fragments less with each round. A connection takes more than 4 KiB, and a leak of it would show in
    // every round.
    let grown = after_each[after_each.len() - 1].saturating_sub(after_each[after_each.len() - 3]);
    assert!(grown < 2 * count * 4, "KiB after each round of {count}: {after_each:?}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

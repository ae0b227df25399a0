//! Memory of a gateway per idle socket, measured against tests/limits.toml.

use std::ops::Range;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use testkit::client::http::Request;
use testkit::client::{Endpoint, Wire};
use testkit::limits::Limits;
use testkit::{Cluster, wait};

use crate::stage::POSTERN;

/// Sockets before the first measurement: caches, buffers shared by all sockets and the tables' first pages are there then.
const WARM_UP: usize = 250;
/// Sockets over which the growth is measured.
const SOCKETS: usize = 1_000;
/// Sockets of each user, all of one session: the sign-in of a session costs far more time than a further socket.
const PER_USER: usize = 4;
/// Handshakes at once.
const CONNECTING: usize = 8;
/// Two periods of renewals, on a slow machine.
const RENEWED_WITHIN: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_socket_stays_within_its_bytes() {
    let cluster = Cluster::builder(POSTERN)
        .gateways(1)
        .gateway_env("POSTERN_CONNECT_RATE", "off")
        .gateway_env("POSTERN_USER_CONNECT_RATE", "off")
        // Nothing answers pings: no socket may end before the measurement on a slow machine.
        .gateway_env("POSTERN_HEARTBEAT_INTERVAL", "1h")
        // Threads that wait for each other get heaps of their own: how many depends on the load of the machine.
        .gateway_env("MALLOC_ARENA_MAX", "1")
        .start()
        .await;
    let pid = cluster.gateway(0).pid();
    let warm_up = open(&cluster, 0..WARM_UP).await;
    renewals(&cluster).await;
    let before = anonymous(pid);
    let sockets = open(&cluster, WARM_UP..WARM_UP + SOCKETS).await;
    wait_for_renewals(&cluster).await;
    let after = anonymous(pid);

    let each = after.saturating_sub(before) / u64::try_from(sockets.len()).unwrap();
    let limits = Limits::new(include_str!("../limits.toml"));
    assert_eq!(limits.excess("bytes_idle_socket", each), None);
    drop((warm_up, sockets));
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Waits until the resume tokens of all sockets have been renewed, and the offsets of all users compared: what a gateway does for all of
/// its sockets at once is part of their memory, as the allocator keeps what it needs meanwhile.
async fn wait_for_renewals(cluster: &Cluster) {
    let all = renewals(cluster).await + u64::try_from(WARM_UP + SOCKETS).unwrap();
    wait::until_true("all resume tokens to be renewed", RENEWED_WITHIN, async || {
        renewals(cluster).await >= all
    })
    .await;
}

/// Number of renewals of a resume token so far.
async fn renewals(cluster: &Cluster) -> u64 {
    let metrics = cluster.gateway(0).metrics().await;
    let counts = metrics.lines().filter(|line| {
        line.starts_with("db_client_operation_duration_seconds_count{")
            && line.contains("db_operation_name=\"renew_token\"")
    });
    counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Opens these sockets, and waits until the gateway serves each.
async fn open(cluster: &Cluster, numbers: Range<usize>) -> Vec<Wire> {
    let count = numbers.len();
    let sockets: Vec<Wire> = stream::iter(numbers)
        .map(|number| {
            let token = cluster.signer().token(&format!("user-{}", number / PER_USER));
            connect(cluster.endpoint(0), token)
        })
        .buffer_unordered(CONNECTING)
        .collect()
        .await;
    assert_eq!(sockets.len(), count);
    sockets
}

/// Opens a native socket that has negotiated compression, and waits for `ready`.
async fn connect(endpoint: Endpoint, token: String) -> Wire {
    let mut wire = endpoint.open().await.unwrap();
    let request = Request::upgrade("/ws")
        .header("Sec-WebSocket-Protocol", "postern.v1.json")
        .header("Sec-WebSocket-Extensions", "permessage-deflate");
    let response = wire.upgrade(&request.bearer(&token)).await.unwrap();
    assert!(
        response
            .header("sec-websocket-extensions")
            .starts_with("permessage-deflate")
    );
    wire.next_frame().await.unwrap();
    wire
}

/// Anonymous memory of a process in bytes: its heap and stacks, without the pages of its program.
fn anonymous(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

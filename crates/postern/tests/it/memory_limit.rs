//! Gateway in a control group with a memory limit, flooded with sockets that authenticate, and with connections that do not.

use std::os::unix::fs::PermissionsExt;

use futures_util::{StreamExt, stream};
use serde_json::json;
use testkit::client::Refused;
use testkit::client::http::{Request, plain};
use testkit::memory_cgroup::MemoryCgroup;
use testkit::scratch::Scratch;
use testkit::{Cluster, Native, wait};
use tokio::io::AsyncWriteExt;

use crate::stage::POSTERN;

/// Sockets for which the memory limit suffices, by the documented formula.
const SOCKETS: usize = 600;
const FLOOD: usize = SOCKETS * 3 / 2;
const USERS: usize = 30;
const LIMIT: u64 = (128 * 1024 + 40 * SOCKETS as u64) * 1024;

fn user(number: usize) -> String {
    format!("user-{}", number % USERS)
}

/// Control group with the limit; `None`, with a printed reason, where the machine permits none.
#[expect(clippy::print_stderr, reason = "a skipped test says so to whoever runs it")]
fn group(name: &str) -> Option<MemoryCgroup> {
    let group = MemoryCgroup::new(name, LIMIT);
    group
        .inspect_err(|error| eprintln!("skipped: this machine permits no control group with a memory limit: {error}"))
        .ok()
}

/// Cluster whose gateway runs in the group, and its other nodes outside of it.
async fn cluster_in(group: &MemoryCgroup) -> Cluster {
    let scratch = Scratch::new("memory-limit");
    let enter = group.enter();
    let script = format!("#!/bin/sh\nif [ \"$1\" = gateway ]; then {enter} || exit 1; fi\nexec '{POSTERN}' \"$@\"\n");
    let program = scratch.write("postern", script);
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let cluster = Cluster::builder(program)
        .gateways(1)
        .gateway_env("POSTERN_CONNECT_RATE", "off")
        .gateway_env("POSTERN_USER_CONNECT_RATE", "off");
    cluster.start().await
}

#[tokio::test]
async fn flood_of_sockets_is_refused_at_the_memory_limit_and_those_inside_are_served() {
    let Some(group) = group("sockets") else { return };
    let cluster = cluster_in(&group).await;
    let gateway = cluster.gateway(0);
    assert!(
        gateway.logs().contains(&format!("\"max_sockets\":{SOCKETS}")),
        "{}",
        gateway.logs()
    );

    let endpoint = cluster.endpoint(0);
    let attempts = stream::iter(0..FLOOD).map(|number| {
        let (endpoint, token) = (endpoint.clone(), cluster.token(&user(number)));
        async move { (number, Native::connect(&endpoint, &token).await) }
    });
    let outcomes: Vec<_> = attempts.buffer_unordered(16).collect().await;
    let mut inside = Vec::new();
    for (number, outcome) in outcomes {
        match outcome {
            Ok(client) => inside.push((number, client)),
            Err(refused) => {
                assert_eq!(refused.status(), Some(503), "{refused}");
                let Refused::Http(response) = refused else {
                    panic!("{refused}")
                };
                assert_eq!(response.header("retry-after"), "5");
            }
        }
    }
    assert_eq!(inside.len(), SOCKETS);
    let ready = plain(gateway.health_addr(), &Request::get("/readyz")).await.unwrap();
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("sockets not ready\n"), "{}", ready.text());

    let alert =
        json!({ "severity": "high", "type": "suspicious_login", "message": "is it you?", "requiresAction": true });
    for number in 0..USERS {
        let event = json!({ "event": "security:alert", "data": alert });
        let publish =
            Request::post(&format!("/v1/users/{}/events", user(number)), &event).bearer(cluster.internal_token());
        assert_eq!(plain(gateway.internal_addr(), &publish).await.unwrap().status, 202);
    }
    for (number, client) in &inside {
        client.next_event("security:alert").await;
        assert!(client.is_open(), "{number}");
    }
    assert_eq!(group.oom_kills(), 0);
    assert_eq!(gateway.exit_status(), None);
    eprintln!(
        "{SOCKETS} sockets: peak {} KiB of {} KiB",
        group.peak() / 1024,
        LIMIT / 1024
    );
    drop(inside);
    wait::until_true("the gateway to be ready", wait::deadline(), async || {
        gateway.is_ready().await
    })
    .await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
    group.remove().await;
}

/// Four records of an unfinished `ClientHello` of 65,000 bytes.
fn unfinished_hello() -> Vec<u8> {
    let hello = [&[1, 0, 0xFD, 0xE8, 3, 3][..], &[0; 63_994]].concat();
    let records = hello.chunks(16_000).map(|part| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[0x16, 3, 1][..], &length, part].concat()
    });
    records.collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn unfinished_client_hellos_keep_within_the_memory_limit() {
    let Some(group) = group("hellos") else { return };
    let cluster = cluster_in(&group).await;
    let (endpoint, hello) = (cluster.endpoint(0), unfinished_hello());
    let connections = stream::iter(0..4_096).map(|_| async {
        let mut tcp = endpoint.tcp().await.ok()?;
        // Connections beyond the bound are closed.
        tcp.write_all(&hello).await.ok()?;
        Some(tcp)
    });
    let open: Vec<_> = connections.buffer_unordered(64).collect().await;
    assert!(open.iter().flatten().count() > 100);
    drop(open);
    wait::until_true("a client to be served", wait::deadline(), async || {
        assert_eq!((group.oom_kills(), cluster.gateway(0).exit_status()), (0, None));
        Native::connect(&endpoint, &cluster.token("user-0")).await.is_ok()
    })
    .await;
    eprintln!(
        "unfinished hellos: peak {} KiB of {} KiB",
        group.peak() / 1024,
        LIMIT / 1024
    );
    assert_eq!(cluster.finish().await, Vec::<String>::new());
    group.remove().await;
}

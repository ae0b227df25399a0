//! Gateway in a control group with a memory limit, flooded with sockets that authenticate.

use std::os::unix::fs::PermissionsExt;

use futures_util::{StreamExt, stream};
use serde_json::json;
use testkit::client::Refused;
use testkit::client::http::{Request, plain};
use testkit::memory_cgroup::MemoryCgroup;
use testkit::scratch::Scratch;
use testkit::{Cluster, Native, wait};

use crate::stage::POSTERN;

/// Sockets for which the memory limit suffices, by the documented formula.
const SOCKETS: usize = 600;
const FLOOD: usize = SOCKETS * 3 / 2;
const USERS: usize = 30;
const LIMIT: u64 = (128 * 1024 + 40 * SOCKETS as u64) * 1024;

fn user(number: usize) -> String {
    format!("user-{}", number % USERS)
}

/// Program that runs a gateway in the group, and other nodes outside of it.
fn entering(group: &MemoryCgroup, scratch: &Scratch) -> std::path::PathBuf {
    let enter = group.enter();
    let script = format!("#!/bin/sh\nif [ \"$1\" = gateway ]; then {enter} || exit 1; fi\nexec '{POSTERN}' \"$@\"\n");
    let path = scratch.write("postern", script);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn flood_of_sockets_is_refused_at_the_memory_limit_and_those_inside_are_served() {
    let group = match MemoryCgroup::new("sockets", LIMIT) {
        Ok(group) => group,
        Err(error) => {
            eprintln!("skipped: this machine permits no control group with a memory limit: {error}");
            return;
        }
    };
    let scratch = Scratch::new("memory-limit");
    let cluster = Cluster::builder(entering(&group, &scratch)).gateways(1);
    let off = cluster
        .gateway_env("POSTERN_CONNECT_RATE", "off")
        .gateway_env("POSTERN_USER_CONNECT_RATE", "off");
    let cluster = off.start().await;
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

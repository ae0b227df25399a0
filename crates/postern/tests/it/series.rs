//! Series of `/metrics`: their number has a bound, whoever calls and whatever a caller sends.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::{SocketIo, wait};

use crate::stage::{Platforms, client, cluster, connect};

/// Text in everything that a caller of this test chooses.
const MARK: &str = "chosen-by-the-caller";

#[tokio::test]
async fn further_callers_and_hostile_names_add_no_series() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let mut round = 0;
    let mut known = BTreeSet::new();
    // A slow machine has outcomes of its own, such as timeouts: rounds are repeated until one adds nothing. With a label that a caller
    // chooses, each adds some.
    wait::until_true("callers who add no series", wait::deadline() * 4, async || {
        round += 1;
        for number in 0..3 {
            call(&cluster, &format!("{MARK}-{round}-{number}")).await;
        }
        let seen = series(&cluster).await;
        let is_settled = round > 1 && seen.is_subset(&known);
        known.extend(seen);
        is_settled
    })
    .await;
    for series in &known {
        let owned = [MARK, "127.0.0.1", "test_code", "otel_metric_overflow"];
        assert!(!owned.iter().any(|text| series.contains(text)), "{series}");
    }
    assert_bounded(&known);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Calls every entrance of a gateway as this user, with names that exist and names that do not.
async fn call(cluster: &Cluster, user: &str) {
    let caller = client(cluster, 0, user).await;
    for event in ["account:list", user] {
        caller.emit_with_ack(event, json!({ "userId": user, user: user })).await;
    }
    let code = format!("test_code_{user}");
    caller.emit_with_ack("account:connect", connect(user, &code)).await;
    caller
        .emit_with_ack("account:sync", json!({ "userId": user, "accountType": user }))
        .await;
    let bad = cluster.signer().token_with_kid(user, user) + "x";
    for token in [bad.as_str(), user] {
        let refused = SocketIo::connect(&cluster.endpoint(0), token).await;
        assert!(refused.is_err());
    }
    let of_a_stranger = SocketIo::to(&cluster.endpoint(0)).header("Origin", &format!("https://{user}.example"));
    assert!(of_a_stranger.open().await.is_err());
    for request in [
        Request::get(&format!("/{user}")),
        Request::new(&user.to_uppercase(), "/"),
        Request::get(&format!("/oauth/callback/{user}?state={user}&code={user}")),
        Request::get(&format!("/oauth/callback/github?state={user}&code={user}")),
        Request::post(&format!("/webhooks/{user}"), &json!({})),
        Request::post("/webhooks/github", &json!({})).header("X-GitHub-Event", user),
    ] {
        // A method that does not exist may also close the connection.
        drop(cluster.endpoint(0).http(&request).await);
    }
    let events = format!("/v1/users/{user}/events");
    let unknown = json!({ "event": user, "data": {} });
    for request in [
        Request::post(&events, &unknown).bearer(cluster.internal_token()),
        Request::post(&events, &unknown).bearer(user),
        Request::get(&format!("/v1/{user}")).bearer(cluster.internal_token()),
    ] {
        plain(cluster.gateway(0).internal_addr(), &request).await.unwrap();
    }
}

/// All series of the first gateway and the worker, without their values and the bounds of buckets.
async fn series(cluster: &Cluster) -> BTreeSet<String> {
    let mut series = BTreeSet::new();
    for node in [cluster.gateway(0), cluster.worker(0)] {
        let text = node.metrics().await;
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
        series.extend(lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())));
    }
    series
}

fn assert_bounded(series: &BTreeSet<String>) {
    let mut counts = BTreeMap::<&str, usize>::new();
    for one in series {
        let name = one.split('{').next().unwrap_or_default();
        *counts.entry(name).or_default() += 1;
    }
    for (name, count) in counts {
        assert!(count <= MOST_OF_A_METRIC, "{name}: {count}");
    }
}

/// Most series of one metric: a command by its outcomes, of which a gateway has each from the start.
const MOST_OF_A_METRIC: usize = 1_000;

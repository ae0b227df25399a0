//! First-seen devices are reported to the user's other devices.

use futures_util::future::join_all;
use serde_json::json;
use testkit::Redis;
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::wait;

use crate::audit_events::{audit_events, origin};
use crate::stage::{POSTERN, Platforms};

const USER: &str = "GEN-001";

async fn device(cluster: &Cluster, gateway: usize, name: &str) -> SocketIo {
    let auth = json!({"token": cluster.token(USER), "deviceId": name, "deviceName": format!("{name} of Ada")});
    let endpoint = cluster.endpoint(gateway);
    wait::until("a client to be let in", wait::deadline(), async || {
        SocketIo::to(&endpoint).auth(auth.clone()).connect().await.ok()
    })
    .await
}

/// Waits until the user has so many seen devices.
async fn seen(cluster: &Cluster, devices: usize) {
    let count = format!("SELECT count(*) FROM seen WHERE user_id = '{USER}' AND kind = 'device'");
    wait::until_true("the devices to be seen", wait::deadline(), async || {
        cluster.schema().sql(&count).await == [devices.to_string()]
    })
    .await;
}

/// The kinds of the user's alerts, in order.
async fn alerts(caller: &SocketIo) -> Vec<String> {
    let answer = caller.emit_with_ack("security:alerts", json!({})).await;
    let alerts = answer["alerts"].as_array().unwrap().iter();
    alerts.map(|alert| alert["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn second_device_raises_one_alert_even_on_two_gateways_at_once() {
    let redis = Redis::start().await;
    let platforms = Platforms::start().await;
    let builder = platforms.linked_to(Cluster::builder(POSTERN)).redis(&redis);
    let cluster = builder.start().await;
    let first = device(&cluster, 0, "phone").await;
    seen(&cluster, 1).await;
    assert!(alerts(&first).await.is_empty());

    let second = join_all([0, 1].map(|gateway| device(&cluster, gateway, "laptop"))).await;
    let alert = first.next_event("security:alert").await;
    assert_eq!(
        (&alert.data["type"], &alert.data["message"]),
        (
            &json!("new_device"),
            &json!("A new device signed in: laptop of Ada from 127.0.0.1.")
        )
    );
    seen(&cluster, 2).await;

    // Seen devices in Redis are a hint; after a loss a worker is asked again.
    assert_eq!(redis.command(&["FLUSHALL"]).await, "OK");
    let again = [device(&cluster, 0, "phone").await, device(&cluster, 1, "laptop").await];
    let third = device(&cluster, 1, "tablet").await;
    seen(&cluster, 3).await;
    assert_eq!(alerts(&third).await, ["new_device"; 2]);
    let audited = audit_events(&cluster, &cluster.vault_keys(), &["--user", USER]).await;
    assert_eq!(
        audited.iter().map(origin).collect::<Vec<_>>(),
        [
            "device_seen 127.0.0.1 phone",
            "device_seen 127.0.0.1 laptop",
            "alert_raised 127.0.0.1 laptop",
            "device_seen 127.0.0.1 tablet",
            "alert_raised 127.0.0.1 tablet"
        ]
    );
    drop((second, again));
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

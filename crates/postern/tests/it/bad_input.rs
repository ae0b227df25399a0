//! Bad input in a cluster of processes: it costs its sender an error, and no other client anything.

use serde_json::json;
use testkit::client::SocketIo;
use testkit::client::http::{Request, plain};
use testkit::wait;

use crate::stage::{Platforms, client, cluster, connect};

#[tokio::test]
async fn another_users_id_is_forbidden_and_nothing_happens() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let thief = client(&cluster, 0, "GEN-002").await;
    let victim = client(&cluster, 1, "GEN-001").await;

    let answer = thief
        .emit_with_ack("account:connect", connect("GEN-001", "test_code_stolen"))
        .await;
    assert_eq!(answer["success"], false);
    assert_eq!(answer["error"], "forbidden");
    assert_eq!(platforms.exchanges("test_code_stolen"), 0);

    let list = victim.emit_with_ack("account:list", json!({})).await;
    assert_eq!(list["accounts"], json!([]));
    let events: Vec<_> = victim.unread().into_iter().map(|event| event.name).collect();
    assert_eq!(events, ["account:list_response"], "the victim was notified");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_flood_of_nonsense_on_one_socket_leaves_the_others_alone() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let calm = client(&cluster, 0, "GEN-001").await;
    for nonsense in ["42[", "9", "450-[\"x\"]", "{}", "4", ""] {
        let noisy = client(&cluster, 0, "GEN-001").await;
        noisy.send_text(nonsense).await;
        assert_eq!(noisy.closed().await.code, 4400, "{nonsense:?}");
    }
    assert!(
        SocketIo::connect(&cluster.endpoint(0), "no token at all")
            .await
            .is_err()
    );
    let list = calm.emit_with_ack("account:list", json!({})).await;
    assert_eq!(list["success"], true, "{list}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn own_host_origin_and_lone_surrogates_are_served_and_a_foreign_origin_is_logged() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let foreign = SocketIo::to(&cluster.endpoint(0))
        .header("Origin", "https://evil.example")
        .open()
        .await;
    assert_eq!(foreign.unwrap_err().status(), Some(403));
    wait::until_true("the log to name the Origin", wait::deadline(), async || {
        cluster
            .gateway(0)
            .logs()
            .lines()
            .any(|line| line.contains("upgrade refused") && line.contains("https://evil.example"))
    })
    .await;

    // The Origin that python-socketio derives from the server's address; `'My phone 📱'.slice(0, 10)` of JavaScript.
    let client = SocketIo::to(&cluster.endpoint(0))
        .header("Origin", "https://localhost:443")
        .open()
        .await
        .unwrap();
    client.open_packet().await;
    let token = cluster.token("GEN-001");
    client
        .send_text(format!(
            r#"40{{"token":"{token}","deviceName":"My phone \ud83d\u0000"}}"#
        ))
        .await;
    wait::until_true("the client to be connected", wait::deadline(), async || {
        !client.connect_answer().is_null()
    })
    .await;
    let sessions = client.emit_with_ack("security:sessions", json!({})).await;
    assert_eq!(sessions["sessions"][0]["deviceName"], "My phone \u{fffd}", "{sessions}");

    let settings = json!({ "userId": "GEN-001", "settings": { "sessionTimeout": "45.0" } });
    let updated = client.emit_with_ack("security:update_settings", settings).await;
    assert_eq!(updated["settings"]["sessionTimeout"], 45, "{updated}");
    let connect = connect("GEN-001", "test_code_1\u{0}");
    let refused = client.emit_with_ack("account:connect", connect).await;
    assert_eq!(
        (&refused["error"], &refused["message"]),
        (
            &json!("bad_request"),
            &json!("oauthCode: a text without NUL was expected")
        )
    );

    let alert = json!({ "event": "security:alert", "data": {
        "severity": "high", "type": "suspicious_login", "message": "a\u{0}b", "requiresAction": false } });
    let request = Request::post("/v1/users/GEN-001/events", &alert).bearer(cluster.internal_token());
    let response = plain(cluster.gateway(0).internal_addr(), &request).await.unwrap();
    assert_eq!(
        (response.status, &response.json()["message"]),
        (400, &json!("message: a text without NUL was expected"))
    );
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

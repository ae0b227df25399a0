//! `security:revoke_all`: every account is disconnected, with links in progress.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::{Native, SocketIo};
use testkit::token::claims;
use testkit::wait;

use crate::callback::{Browser, hosted, sent_back};
use crate::stage::{Platforms, client, cluster, connect};

/// A confirmation for this client.
async fn confirmation(client: &SocketIo) -> String {
    let asked = json!({"action": "security:revoke_all"});
    let answer = client.emit_with_ack("security:request_confirmation", asked).await;
    assert_eq!((&answer["success"], &answer["expiresIn"]), (&json!(true), &json!(60)));
    answer["confirmationToken"].as_str().unwrap().to_owned()
}

async fn revoke_all(client: &SocketIo, user: &str, confirmation: &str) -> Value {
    let asked = json!({"userId": user, "confirmationToken": confirmation});
    client.emit_with_ack("security:revoke_all", asked).await
}

/// Waits until every grant is revoked at the platform.
async fn no_grants(platforms: &Platforms) {
    wait::until_true("every grant to be given back", wait::deadline(), async || {
        platforms.handle.snapshot().tokens.is_empty()
    })
    .await;
}

#[tokio::test]
async fn confirmed_revoke_all_disconnects_every_account_and_notifies_every_device() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    let other = Native::connect(&cluster.endpoint(1), &cluster.token("GEN-001"))
        .await
        .unwrap();
    let linked = caller
        .emit_with_ack("account:connect", connect("GEN-001", "test_code_ada"))
        .await;
    assert_eq!(linked["success"], true, "{linked}");
    for device in [&*caller, &*other] {
        let alert = device.next_event("security:alert").await.data;
        assert_eq!(alert["type"], "account_linked");
        assert!(alert["message"].as_str().unwrap().contains("ada"), "{alert}");
    }

    let token = confirmation(&caller).await;
    let answer = revoke_all(&caller, "GEN-001", &token).await;
    assert_eq!(
        (&answer["success"], &answer["accountsDisconnected"]),
        (&json!(true), &json!(1))
    );
    for device in [&*caller, &*other] {
        let alert = device.next_event("security:alert").await;
        assert_eq!(
            (&alert.data["type"], &alert.data["severity"]),
            (&json!("revoke_all"), &json!("high"))
        );
        assert!(alert.offset.is_some());
        assert_eq!(
            device.next_event("account:status_changed").await.data["status"],
            "connected"
        );
        assert_eq!(
            device.next_event("account:status_changed").await.data["status"],
            "disconnected"
        );
    }
    let listed = caller.emit_with_ack("account:list", json!({})).await;
    assert_eq!(listed["accounts"], json!([]));
    no_grants(&platforms).await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_used_foreign_or_altered_confirmation_is_refused_and_nothing_happens() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    let mut elsewhere = claims("GEN-001", Duration::from_secs(3_600));
    elsewhere["sid"] = json!("another session");
    let elsewhere = SocketIo::connect(&cluster.endpoint(1), &cluster.token_with(&elsewhere))
        .await
        .unwrap();
    let stranger = client(&cluster, 1, "GEN-002").await;
    let linked = caller
        .emit_with_ack("account:connect", connect("GEN-001", "test_code_ada"))
        .await;
    assert_eq!(linked["success"], true, "{linked}");
    let token = confirmation(&caller).await;
    let altered = format!("{token}x");
    for (client, user, token) in [
        (&caller, "GEN-001", &altered),
        (&elsewhere, "GEN-001", &token),
        (&stranger, "GEN-002", &token),
    ] {
        let refused = revoke_all(client, user, token).await;
        assert_eq!(refused["error"], "confirmation_invalid", "{refused}");
        assert_eq!(refused["accountsDisconnected"], 0);
    }
    let another = caller
        .emit_with_ack("security:request_confirmation", json!({"action": "account:disconnect"}))
        .await;
    assert_eq!(another["error"], "bad_request");

    let revoked = revoke_all(&caller, "GEN-001", &token).await;
    assert_eq!(revoked["accountsDisconnected"], 1, "{revoked}");
    let again = revoke_all(&caller, "GEN-001", &token).await;
    assert_eq!(
        (&again["error"], &again["accountsDisconnected"]),
        (&json!("confirmation_invalid"), &json!(0))
    );
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn revoke_all_defeats_connects_in_progress_and_earlier_authorizations() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    for (user, with_state) in [("GEN-001", false), ("GEN-002", true)] {
        let caller = client(&cluster, 0, user).await;
        let other = client(&cluster, 1, user).await;
        let open = async || {
            let asked = json!({"accountType": "github", "redirectUri": "http://localhost:3000/callback"});
            caller.emit_with_ack("account:authorize", asked).await["state"].clone()
        };
        let mut under_way = connect(user, &format!("test_code_held_{user}"));
        let mut started_before = connect(user, &format!("test_code_open_{user}"));
        if with_state {
            under_way["state"] = open().await;
        }
        platforms.block_next_exchange();
        caller.emit("account:connect", under_way).await;
        platforms.exchange_is_blocked().await;

        started_before["state"] = open().await;

        let token = confirmation(&other).await;
        let revoked = revoke_all(&other, user, &token).await;
        assert_eq!(
            (&revoked["success"], &revoked["accountsDisconnected"]),
            (&json!(true), &json!(0))
        );
        platforms.handle.release();
        let answer = caller.next_event("account:connect_response").await.data;
        assert_eq!(answer["error"], "conflict", "{answer}");
        let answer = caller.emit_with_ack("account:connect", started_before).await;
        assert_eq!(answer["error"], "conflict", "{answer}");
        let listed = other.emit_with_ack("account:list", json!({})).await;
        assert_eq!(listed["accounts"], json!([]));
    }
    no_grants(&platforms).await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn revoke_all_revokes_pending_links() {
    let platforms = Platforms::start().await;
    let cluster = hosted(&platforms).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    let other = client(&cluster, 1, "GEN-001").await;
    let (open, waiting) = (
        sent_back(&platforms, &caller, "ada").await,
        sent_back(&platforms, &caller, "ada").await,
    );
    let (browser, page) = Browser::open(&cluster.endpoint(0), &waiting).await;
    assert_eq!(page.status, 200, "{}", page.text());

    let token = confirmation(&other).await;
    let revoked = revoke_all(&other, "GEN-001", &token).await;
    assert_eq!(
        (&revoked["success"], &revoked["accountsDisconnected"]),
        (&json!(true), &json!(0))
    );
    no_grants(&platforms).await;
    let pressed = browser.press(&cluster.endpoint(0)).await;
    assert_eq!(pressed.status, 400, "{}", pressed.text());
    let (_, started_before) = Browser::open(&cluster.endpoint(1), &open).await;
    assert_eq!(started_before.status, 409, "{}", started_before.text());
    no_grants(&platforms).await;
    let listed = other.emit_with_ack("account:list", json!({})).await;
    assert_eq!(listed["accounts"], json!([]));
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

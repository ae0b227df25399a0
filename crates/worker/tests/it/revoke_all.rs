//! `security:request_confirmation` and `security:revoke_all`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::callback::{AuthorizationResponse, Callback};
use protocol::command::CommandKind;
use protocol::secret::Secret;
use serde_json::json;
use simulator::{Extent, Kind, Route};

use crate::callback::{HOSTED_REDIRECT_URI, confirm, confirm_link, host_callback, send_callback};
use crate::client::{assert_error, assert_success, connect, with_field};
use crate::env::{TestEnv, with_github};
use crate::scripted_platform::ScriptedPlatform;

#[tokio::test]
async fn revoke_all_unlinks_accounts_revokes_grants_and_notifies_devices() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        let mut other_device = env.client("u", "t").await;
        let confirmation = client.confirmation().await;
        let answer = client.revoke_all(&confirmation).await;
        assert_success(&answer);
        assert_eq!(answer["accountsDisconnected"], 1);

        let alert = other_device.alert().await;
        assert_eq!(
            (&alert["type"], &alert["severity"]),
            (&json!("revoke_all"), &json!("high"))
        );
        assert_eq!(alert["requiresAction"], false);
        assert_eq!(other_device.status().await.0, "disconnected");
        assert_eq!(github.revocations(1).await, [(Extent::Grant, Some("ada".to_owned()))]);
        assert_eq!(client.ask(CommandKind::List, json!({})).await["accounts"], json!([]));
        let read = other_device.ask(CommandKind::Alerts, json!({})).await;
        assert_eq!(read["alerts"][1]["alertId"], alert["alertId"]);

        let confirmation = client.confirmation().await;
        let nothing_left = client.revoke_all(&confirmation).await;
        assert_success(&nothing_left);
        assert_eq!(nothing_left["accountsDisconnected"], 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn confirmation_is_issued_for_revoke_all_only() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    for action in ["account:list", "security:everything", ""] {
        let answer = client
            .ask(CommandKind::RequestConfirmation, json!({"action": action}))
            .await;
        let sentence = assert_error(&answer, "bad_request");
        assert_eq!(sentence, "action: security:revoke_all was expected");
    }
    let answer = client
        .ask(
            CommandKind::RequestConfirmation,
            json!({"action": "security:revoke_all"}),
        )
        .await;
    assert_success(&answer);
    assert_eq!(answer["expiresIn"], 60);
}

#[tokio::test(start_paused = true)]
async fn confirmation_is_accepted_once() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let confirmation = client.confirmation().await;
    assert_success(&client.revoke_all(&confirmation).await);
    assert_success(&client.connect("any").await);
    let again = client.revoke_all(&confirmation).await;
    assert_error(&again, "confirmation_invalid");
    assert_eq!(again["accountsDisconnected"], 0);
    let listed = client.ask(CommandKind::List, json!({})).await;
    assert_eq!(listed["accounts"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn foreign_or_altered_confirmation_is_refused_and_the_real_one_stays_valid() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let mut other_session = env.client("u", "t").await;
    let mut other_user = env.client("v", "s").await;
    assert_success(&client.connect("any").await);
    let confirmation = client.confirmation().await;
    let mut altered = confirmation.clone();
    altered.push('x');
    assert_error(&client.revoke_all(&altered).await, "confirmation_invalid");
    assert_error(&client.revoke_all("").await, "confirmation_invalid");
    assert_error(&other_session.revoke_all(&confirmation).await, "confirmation_invalid");
    assert_error(&other_user.revoke_all(&confirmation).await, "confirmation_invalid");

    let answer = client.revoke_all(&confirmation).await;
    assert_success(&answer);
    assert_eq!(answer["accountsDisconnected"], 1);
}

#[tokio::test(start_paused = true)]
async fn confirmation_expires_after_a_minute() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let (in_time, late) = (client.confirmation().await, client.confirmation().await);
    tokio::time::sleep(Duration::from_secs(55)).await;
    assert_success(&client.revoke_all(&in_time).await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_error(&client.revoke_all(&late).await, "confirmation_invalid");
}

#[tokio::test(start_paused = true)]
async fn used_confirmation_is_refused_though_bus_still_has_it() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let confirmation = client.confirmation().await;
    env.bus.refuses_takes.store(true, Ordering::SeqCst);
    assert_success(&client.revoke_all(&confirmation).await);
    assert_error(&client.revoke_all(&confirmation).await, "confirmation_invalid");
}

#[tokio::test(start_paused = true)]
async fn repeated_revoke_all_returns_first_answer() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect("any").await);
    let confirmation = client.confirmation().await;
    let asked = json!({"confirmationToken": confirmation, "idempotencyKey": "k"});
    let first = client.ask(CommandKind::RevokeAll, asked.clone()).await;
    assert_eq!(first["accountsDisconnected"], 1);
    assert_eq!(client.ask(CommandKind::RevokeAll, asked).await, first);
}

#[tokio::test]
async fn connect_running_during_revoke_all_is_refused_and_revoked() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let mut other_device = env.client("u", "t").await;
        github.fault(Route::Token, Kind::AwaitRelease);
        let connecting = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&connecting).await;
        github.wait_for_blocked_request().await;
        let confirmation = other_device.confirmation().await;
        assert_success(&other_device.revoke_all(&confirmation).await);
        github.release();

        assert_error(&client.answer(&connecting).await, "conflict");
        assert_eq!(client.ask(CommandKind::List, json!({})).await["accounts"], json!([]));
        assert_eq!(github.revocations(1).await.len(), 1);
        assert!(github.logins_with_tokens().is_empty());
    })
    .await;
}

/// The exchange takes 10 ms; the revocation comes before, during or after it.
#[tokio::test(start_paused = true)]
async fn connect_concurrent_with_revoke_all_leaves_no_account() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut linked = 0;
    for round in 0..200_u32 {
        let user = format!("u-{round}");
        let mut client = env.client(&user, "s").await;
        let mut other_device = env.client(&user, "t").await;
        let mut data = connect(&ScriptedPlatform::takes(10, round));
        let mut connect_at = Duration::ZERO;
        if round % 2 == 1 {
            // The authorization is older than the revocation, whichever of connect and revocation comes first.
            data = with_field(data, "state", client.authorize().await["state"].clone());
            connect_at = Duration::from_millis(8);
        }
        let revoke_at = Duration::from_millis(u64::from(1 + round / 2 % 24));
        let connecting = client.job(CommandKind::Connect, data);
        let confirmation = other_device.confirmation().await;
        let (connected, revoked) = tokio::join!(
            async {
                tokio::time::sleep(connect_at).await;
                client.ask_for(&connecting).await
            },
            async {
                tokio::time::sleep(revoke_at).await;
                other_device.revoke_all(&confirmation).await
            }
        );
        assert_success(&revoked);
        if revoked["accountsDisconnected"] == 1 {
            assert_success(&connected);
            linked += 1;
        } else {
            assert_error(&connected, "conflict");
        }
        let listed = client.ask(CommandKind::List, json!({})).await;
        assert_eq!(listed["accounts"], json!([]), "round {round}");
    }
    assert!(
        (20..180).contains(&linked),
        "{linked} connects were stored before the revocation"
    );
    let revoked = ["platform=\"github\"", "outcome=\"done\""];
    env.wait_for_count("postern_worker_revocations_total", &revoked, 200)
        .await;
}

/// The callback is stored after 10 ms and confirmed 8 ms later; the revocation comes before, between or after.
#[tokio::test(start_paused = true)]
async fn callback_concurrent_with_revoke_all_leaves_no_account() {
    let mut env = TestEnv::scripted();
    host_callback(&mut env);
    let _worker = env.worker().await;
    let (mut linked, mut dropped, mut not_pending) = (0, 0, 0);
    for round in 0..200_u32 {
        let user = format!("u-{round}");
        let mut client = env.client(&user, "s").await;
        let mut other_device = env.client(&user, "t").await;
        let asked = json!({"accountType": "github", "redirectUri": HOSTED_REDIRECT_URI});
        let authorized = client.ask(CommandKind::Authorize, asked).await;
        let callback = Callback {
            account: AccountType::Github,
            state: Secret::new(authorized["state"].as_str().unwrap()),
            issuer: None,
            response: AuthorizationResponse::Code(Secret::new(ScriptedPlatform::takes(10, round))),
        };
        let confirmation = other_device.confirmation().await;
        let revoke_at = Duration::from_millis(u64::from(1 + round % 24));
        let (answer, revoked) = tokio::join!(
            async {
                let pending = send_callback(&mut client, &callback).await;
                if pending.error.is_some() {
                    return pending.data.read().unwrap();
                }
                tokio::time::sleep(Duration::from_millis(8)).await;
                confirm(&mut client, confirm_link(&pending.data.read().unwrap())).await
            },
            async {
                tokio::time::sleep(revoke_at).await;
                other_device.revoke_all(&confirmation).await
            }
        );
        assert_success(&revoked);
        match (revoked["accountsDisconnected"].as_u64(), answer["error"].as_str()) {
            (Some(1), None) => linked += 1,
            (Some(0), Some("confirmation_invalid")) => dropped += 1,
            (Some(0), Some("conflict")) => not_pending += 1,
            other => panic!("round {round}: {other:?}"),
        }
        let listed = client.ask(CommandKind::List, json!({})).await;
        assert_eq!(listed["accounts"], json!([]), "round {round}");
    }
    for count in [linked, dropped, not_pending] {
        assert!(
            count >= 20,
            "{linked} linked, {dropped} dropped, {not_pending} not pending"
        );
    }
    let revoked = ["platform=\"github\"", "outcome=\"done\""];
    env.wait_for_count("postern_worker_revocations_total", &revoked, 200)
        .await;
}

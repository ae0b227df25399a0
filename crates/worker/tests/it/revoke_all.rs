//! `security:request_confirmation` and `security:revoke_all`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::callback::{AuthorizationResponse, Callback};
use protocol::command::CommandKind;
use protocol::secret::Secret;
use serde_json::json;
use simulator::{Extent, Kind, Route};

use crate::callback::{HOSTED, call_back, confirm, host, yes};
use crate::client::{connect, refused, succeeded, with};
use crate::scripted::Scripted;
use crate::world::{World, with_github};

#[tokio::test]
async fn all_accounts_go_their_grants_are_given_back_and_all_devices_hear_of_it() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut asking = world.client("u", "s").await;
        succeeded(&asking.connect("test_code_ada").await);
        let mut other_device = world.client("u", "t").await;
        let confirmation = asking.confirmation().await;
        let answer = asking.revoke_all(&confirmation).await;
        succeeded(&answer);
        assert_eq!(answer["accountsDisconnected"], 1);

        let alert = other_device.alert().await;
        assert_eq!(
            (&alert["type"], &alert["severity"]),
            (&json!("revoke_all"), &json!("high"))
        );
        assert_eq!(alert["requiresAction"], false);
        assert_eq!(other_device.status().await.0, "disconnected");
        assert_eq!(github.revocations(1).await, [(Extent::Grant, Some("ada".to_owned()))]);
        assert_eq!(asking.ask(CommandKind::List, json!({})).await["accounts"], json!([]));
        let read = other_device.ask(CommandKind::Alerts, json!({})).await;
        assert_eq!(read["alerts"][1]["alertId"], alert["alertId"]);

        let confirmation = asking.confirmation().await;
        let nothing_left = asking.revoke_all(&confirmation).await;
        succeeded(&nothing_left);
        assert_eq!(nothing_left["accountsDisconnected"], 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_is_issued_for_known_commands_only() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    for action in ["account:list", "security:everything", ""] {
        let answer = client
            .ask(CommandKind::RequestConfirmation, json!({"action": action}))
            .await;
        let sentence = refused(&answer, "bad_request");
        assert_eq!(sentence, "action: security:revoke_all was expected");
    }
    let answer = client
        .ask(
            CommandKind::RequestConfirmation,
            json!({"action": "security:revoke_all"}),
        )
        .await;
    succeeded(&answer);
    assert_eq!(answer["expiresIn"], 60);
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_counts_once() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let confirmation = client.confirmation().await;
    succeeded(&client.revoke_all(&confirmation).await);
    succeeded(&client.connect("any").await);
    let again = client.revoke_all(&confirmation).await;
    refused(&again, "confirmation_invalid");
    assert_eq!(again["accountsDisconnected"], 0);
    let listed = client.ask(CommandKind::List, json!({})).await;
    assert_eq!(listed["accounts"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_or_altered_confirmation_is_refused_and_uses_nothing_up() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let mut other_session = world.client("u", "t").await;
    let mut somebody_else = world.client("v", "s").await;
    succeeded(&client.connect("any").await);
    let confirmation = client.confirmation().await;
    let mut altered = confirmation.clone();
    altered.push('x');
    refused(&client.revoke_all(&altered).await, "confirmation_invalid");
    refused(&client.revoke_all("").await, "confirmation_invalid");
    refused(&other_session.revoke_all(&confirmation).await, "confirmation_invalid");
    refused(&somebody_else.revoke_all(&confirmation).await, "confirmation_invalid");

    let answer = client.revoke_all(&confirmation).await;
    succeeded(&answer);
    assert_eq!(answer["accountsDisconnected"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_counts_for_a_minute() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let (in_time, late) = (client.confirmation().await, client.confirmation().await);
    tokio::time::sleep(Duration::from_secs(55)).await;
    succeeded(&client.revoke_all(&in_time).await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    refused(&client.revoke_all(&late).await, "confirmation_invalid");
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_the_bus_still_has_is_spent_all_the_same() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let confirmation = client.confirmation().await;
    world.bus.refuses_takes.store(true, Ordering::SeqCst);
    succeeded(&client.revoke_all(&confirmation).await);
    refused(&client.revoke_all(&confirmation).await, "confirmation_invalid");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_revocation_gives_its_first_answer() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    succeeded(&client.connect("any").await);
    let confirmation = client.confirmation().await;
    let asked = json!({"confirmationToken": confirmation, "idempotencyKey": "k"});
    let first = client.ask(CommandKind::RevokeAll, asked.clone()).await;
    assert_eq!(first["accountsDisconnected"], 1);
    assert_eq!(client.ask(CommandKind::RevokeAll, asked).await, first);
}

#[tokio::test]
async fn a_connect_that_the_platform_holds_meanwhile_is_not_linked_and_given_back() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let mut other_device = world.client("u", "t").await;
        github.fault(Route::Token, Kind::AwaitRelease);
        let connecting = client.job(CommandKind::Connect, connect("test_code_ada"));
        client.submit(&connecting).await;
        github.blocked().await;
        let confirmation = other_device.confirmation().await;
        succeeded(&other_device.revoke_all(&confirmation).await);
        github.release();

        refused(&client.answer(&connecting).await, "conflict");
        assert_eq!(client.ask(CommandKind::List, json!({})).await["accounts"], json!([]));
        assert_eq!(github.revocations(1).await.len(), 1);
        assert!(github.logins_with_tokens().is_empty());
    })
    .await;
}

/// An exchange takes 10 ms; the revocation comes before, in the midst of it, or after.
#[tokio::test(start_paused = true)]
async fn a_connect_under_way_leaves_no_account_in_any_interleaving() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut linked = 0;
    for round in 0..200_u32 {
        let user = format!("u-{round}");
        let mut client = world.client(&user, "s").await;
        let mut other_device = world.client(&user, "t").await;
        let mut data = connect(&Scripted::takes(10, round));
        let mut connect_at = Duration::ZERO;
        if round % 2 == 1 {
            // Its authorization is older than the revocation, whatever comes first then.
            data = with(data, "state", client.authorize().await["state"].clone());
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
        succeeded(&revoked);
        if revoked["accountsDisconnected"] == 1 {
            succeeded(&connected);
            linked += 1;
        } else {
            refused(&connected, "conflict");
        }
        let listed = client.ask(CommandKind::List, json!({})).await;
        assert_eq!(listed["accounts"], json!([]), "round {round}");
    }
    assert!((20..180).contains(&linked), "{linked} of the connects were before");
    let given_back = ["platform=\"github\"", "outcome=\"done\""];
    world
        .counted("postern_worker_revocations_total", &given_back, 200)
        .await;
}

/// What comes back is parked after 10 ms and confirmed 8 ms later; the revocation comes before, between, or after.
#[tokio::test(start_paused = true)]
async fn a_parked_callback_leaves_no_account_in_any_interleaving() {
    let mut world = World::scripted();
    host(&mut world);
    let _worker = world.worker().await;
    let (mut linked, mut dropped, mut not_parked) = (0, 0, 0);
    for round in 0..200_u32 {
        let user = format!("u-{round}");
        let mut client = world.client(&user, "s").await;
        let mut other_device = world.client(&user, "t").await;
        let asked = json!({"accountType": "github", "redirectUri": HOSTED});
        let authorized = client.ask(CommandKind::Authorize, asked).await;
        let callback = Callback {
            account: AccountType::Github,
            state: Secret::new(authorized["state"].as_str().unwrap()),
            issuer: None,
            response: AuthorizationResponse::Code(Secret::new(Scripted::takes(10, round))),
        };
        let confirmation = other_device.confirmation().await;
        let revoke_at = Duration::from_millis(u64::from(1 + round % 24));
        let (answer, revoked) = tokio::join!(
            async {
                let come_back = call_back(&mut client, &callback).await;
                if come_back.error.is_some() {
                    return come_back.data.read().unwrap();
                }
                tokio::time::sleep(Duration::from_millis(8)).await;
                confirm(&mut client, yes(&come_back.data.read().unwrap())).await
            },
            async {
                tokio::time::sleep(revoke_at).await;
                other_device.revoke_all(&confirmation).await
            }
        );
        succeeded(&revoked);
        match (revoked["accountsDisconnected"].as_u64(), answer["error"].as_str()) {
            (Some(1), None) => linked += 1,
            (Some(0), Some("confirmation_invalid")) => dropped += 1,
            (Some(0), Some("conflict")) => not_parked += 1,
            other => panic!("round {round}: {other:?}"),
        }
        let listed = client.ask(CommandKind::List, json!({})).await;
        assert_eq!(listed["accounts"], json!([]), "round {round}");
    }
    for met in [linked, dropped, not_parked] {
        assert!(met >= 20, "{linked} linked, {dropped} dropped, {not_parked} not parked");
    }
    let given_back = ["platform=\"github\"", "outcome=\"done\""];
    world
        .counted("postern_worker_revocations_total", &given_back, 200)
        .await;
}

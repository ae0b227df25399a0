//! Alerts about a session, which it cannot put aside itself: the thief's own are for the owner.

use std::time::Duration;

use lifecycle::Clock;
use protocol::cluster::job::{JobOutcome, Joined, Work};
use protocol::command::CommandKind;
use protocol::security::Alert;
use serde_json::{Value, json};

use crate::client::{Client, refused, succeeded};
use crate::factor::{Guarded, verify};
use crate::world::World;

/// A socket with this device has joined, and its gateway knows nothing of it.
async fn join(client: &mut Client, device: &str, address: &str) -> Value {
    client.origin.device_id = Some(device.to_owned());
    client.origin.address = address.to_owned();
    let joined = client.work(Work::Joined(Joined {
        unseen: true,
        alerts_sent: true,
    }));
    let answer = client.ask_for(&joined).await;
    succeeded(&answer);
    answer
}

async fn acknowledge(client: &mut Client, alert: &Value) -> JobOutcome {
    let ack = client.job(CommandKind::Acknowledge, json!({"alertId": alert["alertId"]}));
    client.submit(&ack).await;
    client.outcome(&ack).await
}

async fn acknowledged(client: &mut Client, alert: &Value) -> Value {
    acknowledge(client, alert).await.data.read().unwrap()
}

/// The user's next alert of this kind.
async fn next(client: &mut Client, kind: &str) -> Value {
    loop {
        let alert = client.alert().await;
        if alert["type"] == kind {
            return alert;
        }
    }
}

/// A thief on a new device and network, and the owner.
async fn stolen(world: &World) -> (Client, Client) {
    let (mut owner, mut thief) = (world.client("u", "owner").await, world.client("u", "thief").await);
    join(&mut owner, "phone", "192.0.2.7").await;
    thief.signed_in = Some(world.clock.now().into());
    world.clock.advance(Duration::from_secs(1));
    join(&mut thief, "laptop", "198.51.100.7").await;
    (thief, owner)
}

#[tokio::test(start_paused = true)]
async fn a_thief_cannot_put_aside_the_alert_of_the_new_device() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let (mut thief, mut owner) = stolen(&world).await;
    let alerts = [
        next(&mut owner, "new_device").await,
        next(&mut owner, "suspicious_login").await,
    ];
    for alert in &alerts {
        let sentence = refused(&acknowledged(&mut thief, alert).await, "reauth_required");
        assert!(sentence.contains("about this session"), "{sentence}");
    }
    let open = owner.work(Work::Joined(Joined {
        unseen: false,
        alerts_sent: false,
    }));
    assert_eq!(owner.ask_for(&open).await["alerts"][0]["alertId"], alerts[1]["alertId"]);
    for alert in &alerts {
        succeeded(&acknowledged(&mut owner, alert).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_after_the_alert_puts_it_aside() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let (mut device, mut owner) = stolen(&world).await;
    let alert = next(&mut owner, "suspicious_login").await;
    world.clock.advance(Duration::from_secs(1));
    device.signed_in = Some(world.clock.now().into());
    succeeded(&acknowledged(&mut device, &alert).await);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_issued_ahead_of_time_is_no_later_sign_in() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut owner = world.client("u", "owner").await;
    join(&mut owner, "phone", "192.0.2.7").await;
    let mut thief = world.client("u", "thief").await;
    // Within the leeway of a token's times.
    let ahead = world.clock.now() + Duration::from_secs(45);
    thief.signed_in = Some(ahead.into());
    join(&mut thief, "laptop", "198.51.100.7").await;
    let alert = next(&mut owner, "suspicious_login").await;
    refused(&acknowledged(&mut thief, &alert).await, "reauth_required");
}

#[tokio::test]
async fn where_there_is_a_factor_it_is_asked_for_and_puts_the_alert_aside() {
    let guarded = Guarded::new().await;
    let (mut device, _) = guarded.challenged("t").await;
    join(&mut device, "phone", "192.0.2.7").await;
    join(&mut device, "laptop", "198.51.100.7").await;
    let suspicious = next(&mut device, "suspicious_login").await;
    let mut challenge = Value::Null;
    // A challenge is not the factor.
    for _ in 0..2 {
        let outcome = acknowledge(&mut device, &suspicious).await;
        refused(&outcome.data.read().unwrap(), "2fa_required");
        let leading_notice = outcome.leading_notice.unwrap();
        assert_eq!(leading_notice.event, "security:2fa_required");
        challenge = leading_notice.data.read::<Value>().unwrap()["sessionId"].clone();
    }
    succeeded(&verify(&mut device, &challenge, &guarded.code()).await);
    succeeded(&acknowledged(&mut device, &suspicious).await);
}

#[tokio::test]
async fn who_guesses_puts_neither_its_failures_aside_nor_what_they_made_suspicious() {
    let mut guarded = Guarded::new().await;
    let (mut thief, challenge) = guarded.challenged("thief").await;
    join(&mut guarded.client, "phone", "192.0.2.7").await;
    for _ in 0..3 {
        refused(&verify(&mut thief, &challenge, "000000").await, "2fa_invalid");
    }
    let failed = next(&mut thief, "failed_2fa").await;
    // The owner's own, known device.
    join(&mut guarded.client, "phone", "192.0.2.7").await;
    let suspicious = next(&mut thief, "suspicious_login").await;
    for alert in [&failed, &suspicious] {
        refused(&acknowledged(&mut thief, alert).await, "2fa_required");
    }
    succeeded(&acknowledged(&mut guarded.client, &failed).await);
    succeeded(&verify(&mut thief, &challenge, &guarded.code()).await);
    succeeded(&acknowledged(&mut thief, &suspicious).await);
}

/// What comes again leaves before what the arrival raises, though a worker looks at both.
#[tokio::test(start_paused = true)]
async fn what_is_open_is_told_before_the_arrival_raises_anything() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut owner = world.client("u", "owner").await;
    join(&mut owner, "phone", "192.0.2.7").await;
    for name in ["a", "b"] {
        let alert: Alert = serde_json::from_value(json!({
            "userId": "u", "alertId": name, "severity": "high", "type": "suspicious_login",
            "message": "look", "timestamp": "2026-11-23T16:31:00.007Z", "requiresAction": true,
        }))
        .unwrap();
        let raise = owner.work(Work::RaiseAlert(alert));
        succeeded(&owner.ask_for(&raise).await);
    }
    let mut device = world.client("u", "device").await;
    device.origin.device_id = Some("laptop".to_owned());
    device.origin.address = "198.51.100.7".to_owned();
    let mut names = async |alerts_sent: bool| {
        let joined = device.work(Work::Joined(Joined {
            unseen: true,
            alerts_sent,
        }));
        let alerts_sent = device.ask_for(&joined).await;
        let listed = device.ask(CommandKind::Alerts, json!({})).await;
        let names = |answer: Value| {
            let alerts = answer["alerts"].as_array().unwrap().clone();
            alerts
                .iter()
                .map(|alert| alert["type"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        (names(alerts_sent), names(listed))
    };
    let raised = ["suspicious_login", "suspicious_login"];
    assert_eq!(
        names(false).await,
        (raised.map(str::to_owned).to_vec(), raised.map(str::to_owned).to_vec())
    );
    let after = [&raised[..], &["new_device", "suspicious_login"]].concat();
    assert_eq!(
        names(true).await,
        (Vec::new(), after.iter().map(|kind| (*kind).to_owned()).collect())
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_that_comes_back_after_months_is_new() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    client.assert_no_event();
    world.clock.advance(Duration::from_hours(91 * 24));
    store::Answers::prune(&*world.store).await.unwrap();
    world.bus.forget();
    let mut client = world.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    next(&mut client, "new_device").await;
}

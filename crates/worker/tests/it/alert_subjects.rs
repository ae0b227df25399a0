//! Acknowledgement of alerts about the caller's own session, which a stolen session must not be able to hide from the owner.

use std::time::Duration;

use lifecycle::Clock;
use protocol::cluster::job::{JobOutcome, Joined, Work};
use protocol::command::CommandKind;
use protocol::security::Alert;
use serde_json::{Value, json};

use crate::client::{Client, assert_error, assert_success};
use crate::env::TestEnv;
use crate::factor::{FactorUser, verify};

/// Reports a socket with this device, of which its gateway has no hint, as joined.
async fn join(client: &mut Client, device: &str, address: &str) -> Value {
    client.origin.device_id = Some(device.to_owned());
    client.origin.address = address.to_owned();
    let joined = client.work(Work::Joined(Joined {
        unseen: true,
        alerts_sent: true,
    }));
    let answer = client.ask_for(&joined).await;
    assert_success(&answer);
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

/// Next alert of this kind.
async fn next(client: &mut Client, kind: &str) -> Value {
    loop {
        let alert = client.alert().await;
        if alert["type"] == kind {
            return alert;
        }
    }
}

/// Thief on a new device and network, and the owner.
async fn thief_and_owner(env: &TestEnv) -> (Client, Client) {
    let (mut owner, mut thief) = (env.client("u", "owner").await, env.client("u", "thief").await);
    join(&mut owner, "phone", "192.0.2.7").await;
    thief.signed_in = Some(env.clock.now().into());
    env.clock.advance(Duration::from_secs(1));
    join(&mut thief, "laptop", "198.51.100.7").await;
    (thief, owner)
}

#[tokio::test(start_paused = true)]
async fn session_cannot_acknowledge_the_alert_of_its_own_sign_in() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let (mut thief, mut owner) = thief_and_owner(&env).await;
    let alerts = [
        next(&mut owner, "new_device").await,
        next(&mut owner, "suspicious_login").await,
    ];
    for alert in &alerts {
        let sentence = assert_error(&acknowledged(&mut thief, alert).await, "reauth_required");
        assert!(sentence.contains("about this session"), "{sentence}");
    }
    let open = owner.work(Work::Joined(Joined {
        unseen: false,
        alerts_sent: false,
    }));
    assert_eq!(owner.ask_for(&open).await["alerts"][0]["alertId"], alerts[1]["alertId"]);
    for alert in &alerts {
        assert_success(&acknowledged(&mut owner, alert).await);
    }
}

#[tokio::test(start_paused = true)]
async fn session_with_newer_sign_in_can_acknowledge_its_alert() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let (mut device, mut owner) = thief_and_owner(&env).await;
    let alert = next(&mut owner, "suspicious_login").await;
    env.clock.advance(Duration::from_secs(1));
    device.signed_in = Some(env.clock.now().into());
    assert_success(&acknowledged(&mut device, &alert).await);
}

#[tokio::test(start_paused = true)]
async fn token_issued_within_leeway_does_not_count_as_newer_sign_in() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut owner = env.client("u", "owner").await;
    join(&mut owner, "phone", "192.0.2.7").await;
    let mut thief = env.client("u", "thief").await;
    // Within the leeway of a token's times.
    let ahead = env.clock.now() + Duration::from_secs(45);
    thief.signed_in = Some(ahead.into());
    join(&mut thief, "laptop", "198.51.100.7").await;
    let alert = next(&mut owner, "suspicious_login").await;
    assert_error(&acknowledged(&mut thief, &alert).await, "reauth_required");
}

#[tokio::test]
async fn session_acknowledges_its_own_alert_after_second_factor() {
    let guarded = FactorUser::new().await;
    let (mut device, _) = guarded.challenged("t").await;
    join(&mut device, "phone", "192.0.2.7").await;
    join(&mut device, "laptop", "198.51.100.7").await;
    let suspicious = next(&mut device, "suspicious_login").await;
    let mut challenge = Value::Null;
    // A challenge is not the factor.
    for _ in 0..2 {
        let outcome = acknowledge(&mut device, &suspicious).await;
        assert_error(&outcome.data.read().unwrap(), "2fa_required");
        let leading_notice = outcome.leading_notice.unwrap();
        assert_eq!(leading_notice.event, "security:2fa_required");
        challenge = leading_notice.data.read::<Value>().unwrap()["sessionId"].clone();
    }
    assert_success(&verify(&mut device, &challenge, &guarded.code()).await);
    assert_success(&acknowledged(&mut device, &suspicious).await);
}

#[tokio::test]
async fn session_with_wrong_codes_needs_second_factor_to_acknowledge_its_alerts() {
    let mut guarded = FactorUser::new().await;
    let (mut thief, challenge) = guarded.challenged("thief").await;
    join(&mut guarded.client, "phone", "192.0.2.7").await;
    for _ in 0..3 {
        assert_error(&verify(&mut thief, &challenge, "000000").await, "2fa_invalid");
    }
    let failed = next(&mut thief, "failed_2fa").await;
    // The owner signs in on a known device.
    join(&mut guarded.client, "phone", "192.0.2.7").await;
    let suspicious = next(&mut thief, "suspicious_login").await;
    for alert in [&failed, &suspicious] {
        assert_error(&acknowledged(&mut thief, alert).await, "2fa_required");
    }
    assert_success(&acknowledged(&mut guarded.client, &failed).await);
    assert_success(&verify(&mut thief, &challenge, &guarded.code()).await);
    assert_success(&acknowledged(&mut thief, &suspicious).await);
}

/// Open alerts are sent before the sign-in raises new ones, though one worker handles both.
#[tokio::test(start_paused = true)]
async fn open_alerts_are_sent_before_the_sign_in_raises_new_ones() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut owner = env.client("u", "owner").await;
    join(&mut owner, "phone", "192.0.2.7").await;
    for name in ["a", "b"] {
        let alert: Alert = serde_json::from_value(json!({
            "userId": "u", "alertId": name, "severity": "high", "type": "suspicious_login",
            "message": "look", "timestamp": "2026-11-23T16:31:00.007Z", "requiresAction": true,
        }))
        .unwrap();
        let raise = owner.work(Work::RaiseAlert(alert));
        assert_success(&owner.ask_for(&raise).await);
    }
    let mut device = env.client("u", "device").await;
    device.origin.device_id = Some("laptop".to_owned());
    device.origin.address = "198.51.100.7".to_owned();
    let mut names = async |alerts_sent: bool| {
        let joined = device.work(Work::Joined(Joined {
            unseen: true,
            alerts_sent,
        }));
        let sent = device.ask_for(&joined).await;
        let listed = device.ask(CommandKind::Alerts, json!({})).await;
        let names = |answer: Value| {
            let alerts = answer["alerts"].as_array().unwrap().clone();
            alerts
                .iter()
                .map(|alert| alert["type"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        (names(sent), names(listed))
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
async fn device_returning_after_three_months_raises_new_device_alert() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    client.assert_no_event();
    env.clock.advance(Duration::from_hours(91 * 24));
    tokio::time::sleep(Duration::from_secs(61)).await;
    env.bus.lose_data();
    let mut client = env.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    next(&mut client, "new_device").await;
}

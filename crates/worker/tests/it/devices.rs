//! Devices of sign-ins: alerts about first-seen ones, and the hints that spare the next socket a job.

use std::time::Duration;

use bus::{Hint, Hints};
use lifecycle::Clock;
use protocol::cluster::job::{Job, JobOutcome, Joined, OpenSession, Work};
use protocol::command::CommandKind;
use protocol::id::SessionId;
use protocol::security::FactorMethod;
use serde_json::json;
use store::vault::Ciphertext;
use store::{Actor, Factor, Security, SecurityChange, SecurityDecision, SecurityEffect, SecurityRecord};

use crate::client::{Client, assert_error, assert_success};
use crate::env::TestEnv;

/// Job of a joined socket with this device, of which its gateway has no hint.
fn joined(client: &mut Client, device: &str, address: &str) -> Job {
    client.origin.device_id = Some(device.to_owned());
    client.origin.address = address.to_owned();
    client.work(Work::Joined(Joined {
        unseen: true,
        alerts_sent: false,
    }))
}

async fn join(client: &mut Client, device: &str, address: &str) {
    let job = joined(client, device, address);
    assert_success(&client.ask_for(&job).await);
}

async fn hint(env: &TestEnv, client: &Client) -> Hint {
    env.bus.hint(&client.user, &client.origin).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn first_device_raises_no_alert_and_second_device_raises_one() {
    let env = TestEnv::scripted();
    let _workers = (env.worker().await, env.worker().await);
    let mut client = env.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    client.assert_no_event();

    // Two gateways report the same device at once.
    let both = [(); 2].map(|()| joined(&mut client, "laptop", "192.0.2.8"));
    for job in &both {
        client.submit(job).await;
    }
    for job in &both {
        assert_success(&client.answer(job).await);
    }
    let alert = client.alert().await;
    assert_eq!(
        (&alert["type"], &alert["message"], &alert["requiresAction"]),
        (
            &json!("new_device"),
            &json!("A new device signed in: laptop from 192.0.2.8."),
            &json!(false)
        )
    );
    assert!(hint(&env, &client).await.seen);
    client.assert_no_event();

    env.bus.lose_data();
    let mut client = env.client("u", "s").await;
    for device in ["phone", "laptop"] {
        join(&mut client, device, "192.0.2.8").await;
    }
    assert!(hint(&env, &client).await.seen);
    let alerts = client.ask(CommandKind::Alerts, json!({})).await;
    assert_eq!(alerts["alerts"].as_array().unwrap().len(), 1, "{alerts}");
}

#[tokio::test(start_paused = true)]
async fn new_device_on_new_network_is_suspicious_until_acknowledged() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    assert!(hint(&env, &client).await.no_open_alerts);
    join(&mut client, "laptop", "198.51.100.7").await;
    assert_eq!(client.alert().await["type"], "new_device");
    let suspicious = client.alert().await;
    assert_eq!(
        (&suspicious["type"], &suspicious["requiresAction"]),
        (&json!("suspicious_login"), &json!(true))
    );
    assert!(!hint(&env, &client).await.no_open_alerts);

    let open = client.work(Work::Joined(Joined {
        unseen: false,
        alerts_sent: false,
    }));
    let answer = client.ask_for(&open).await;
    assert_eq!(answer["alerts"][0]["alertId"], suspicious["alertId"], "{answer}");
    assert!(!hint(&env, &client).await.no_open_alerts);
    let ack = json!({"alertId": suspicious["alertId"]});
    let mut owner = env.client("u", "another").await;
    assert_success(&owner.ask(CommandKind::Acknowledge, ack).await);
    let none = client.work(Work::Joined(Joined {
        unseen: false,
        alerts_sent: false,
    }));
    assert_eq!(client.ask_for(&none).await["alerts"], json!([]));
    assert!(hint(&env, &client).await.no_open_alerts);
}

/// Opens another session of the client's user from this device, as a gateway does.
async fn open(env: &TestEnv, session: &str, device: &str) -> Client {
    let mut client = env.client("u", session).await;
    client.origin.device_id = Some(device.to_owned());
    env.bus.begin_alert_check(&client.user, session).await.unwrap();
    let work = Work::OpenSession(OpenSession {
        issued_at: None,
        expires_at: None,
        latest_expiry: None,
        announced: None,
        alert_check: Some(session.to_owned()),
        origin: client.origin.clone(),
    });
    let job = client.work(work);
    assert_success(&client.ask_for(&job).await);
    client
}

#[tokio::test(start_paused = true)]
async fn session_opened_on_a_first_or_known_device_needs_no_sign_in_check() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let both = Hint {
        seen: true,
        no_open_alerts: true,
    };
    for session in ["one", "another"] {
        let mut client = open(&env, session, "phone").await;
        assert_eq!(hint(&env, &client).await, both);
        client.assert_no_event();
        env.bus.lose_data();
    }
}

#[tokio::test(start_paused = true)]
async fn session_opened_on_a_new_device_leaves_its_alert_to_the_joined_socket() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    open(&env, "owner", "phone").await;
    let mut thief = open(&env, "thief", "laptop").await;
    assert!(!hint(&env, &thief).await.seen);
    thief.assert_no_event();
    join(&mut thief, "laptop", "192.0.2.7").await;
    assert_eq!(thief.alert().await["type"], "new_device");
}

#[tokio::test(start_paused = true)]
async fn session_opened_after_three_wrong_codes_leaves_its_alert_to_the_joined_socket() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let owner = open(&env, "owner", "phone").await;
    store_wrong_codes(&env, &owner, 3).await;
    env.bus.clear_seen(&owner.user).await.unwrap();
    let mut thief = open(&env, "thief", "phone").await;
    assert!(!hint(&env, &thief).await.seen);
    join(&mut thief, "phone", "192.0.2.7").await;
    assert_eq!(thief.alert().await["type"], "suspicious_login");
}

/// Stores this number of wrong codes, the last of them now.
async fn store_wrong_codes(env: &TestEnv, client: &Client, failures: u32) {
    let rule = |_: &SecurityRecord, now| {
        let factor = Factor {
            method: FactorMethod::Totp,
            secret: Ciphertext::from_bytes(Vec::new()),
            last_step: 0,
            sent: Vec::new(),
            failures,
            last_failed: Some(now),
            recovery_key: None,
            recovery_codes: Vec::new(),
            recovery_attempts: Vec::new(),
            lock: None,
        };
        Ok(SecurityDecision::Change(Box::new(SecurityChange {
            record: SecurityRecord {
                factor: Some(factor),
                ..SecurityRecord::default()
            },
            events: Vec::new(),
            outcome: JobOutcome::done(),
            receipt: None,
            audit_events: Vec::new(),
            effect: SecurityEffect::Nothing,
        })))
    };
    let operator = Actor::System(SessionId::new("operator").unwrap());
    env.store.decide_security(&client.user, &operator, &rule).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn sign_in_after_three_wrong_codes_raises_suspicious_login_once() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    store_wrong_codes(&env, &client, 2).await;
    join(&mut client, "phone", "192.0.2.7").await;
    client.assert_no_event();
    store_wrong_codes(&env, &client, 3).await;
    for _ in 0..2 {
        join(&mut client, "phone", "192.0.2.7").await;
    }
    let suspicious = client.alert().await;
    assert_eq!(suspicious["type"], "suspicious_login", "{suspicious}");
    client.assert_no_event();

    env.clock.advance(Duration::from_secs(60));
    store_wrong_codes(&env, &client, 4).await;
    env.clock.advance(Duration::from_secs(10 * 60));
    join(&mut client, "phone", "192.0.2.7").await;
    client.assert_no_event();
}

#[tokio::test(start_paused = true)]
async fn wrong_code_clears_hint_of_known_devices() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    assert!(hint(&env, &client).await.seen);

    client.signed_in = Some(env.clock.now().into());
    let settings = json!({"settings": {"twoFactorEnabled": true}});
    let enrolment = client.ask(CommandKind::UpdateSettings, settings).await;
    let code = json!({"sessionId": enrolment["enrolment"]["sessionId"], "token": "000000"});
    assert_error(&client.ask(CommandKind::VerifyTwoFactor, code).await, "2fa_invalid");
    assert!(!hint(&env, &client).await.seen);
}

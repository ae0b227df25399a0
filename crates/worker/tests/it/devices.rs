//! Devices that users come with: what is said of them, once, and what is noted so that the next socket costs nothing.

use std::time::Duration;

use bus::{Hint, Hints};
use lifecycle::Clock;
use protocol::answer::Answer;
use protocol::cluster::job::{Job, JobOutcome, Joined, Work};
use protocol::command::CommandKind;
use protocol::id::SessionId;
use protocol::security::FactorMethod;
use serde_json::json;
use store::vault::Ciphertext;
use store::{Actor, Factor, Security, SecurityChange, SecurityDecision, SecurityEffect, SecurityRecord};

use crate::client::{Client, refused, succeeded};
use crate::world::World;

/// A socket with this device has joined, and its gateway knows nothing of it.
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
    succeeded(&client.ask_for(&job).await);
}

async fn hint(world: &World, client: &Client) -> Hint {
    world.bus.hint(&client.user, &client.origin).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_second_device_is_news_once_and_the_first_is_none() {
    let world = World::scripted();
    let _workers = (world.worker().await, world.worker().await);
    let mut client = world.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    client.assert_no_event();

    // Two gateways see it at once.
    let both = [(); 2].map(|()| joined(&mut client, "laptop", "192.0.2.8"));
    for job in &both {
        client.submit(job).await;
    }
    for job in &both {
        succeeded(&client.answer(job).await);
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
    assert!(hint(&world, &client).await.seen);
    client.assert_no_event();

    world.bus.forget();
    let mut client = world.client("u", "s").await;
    for device in ["phone", "laptop"] {
        join(&mut client, device, "192.0.2.8").await;
    }
    assert!(hint(&world, &client).await.seen);
    let alerts = client.ask(CommandKind::Alerts, json!({})).await;
    assert_eq!(alerts["alerts"].as_array().unwrap().len(), 1, "{alerts}");
}

#[tokio::test(start_paused = true)]
async fn a_new_device_on_a_new_network_is_suspicious_until_its_user_says_that_it_is_not() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    assert!(hint(&world, &client).await.no_open_alerts);
    join(&mut client, "laptop", "198.51.100.7").await;
    assert_eq!(client.alert().await["type"], "new_device");
    let suspicious = client.alert().await;
    assert_eq!(
        (&suspicious["type"], &suspicious["requiresAction"]),
        (&json!("suspicious_login"), &json!(true))
    );
    assert!(!hint(&world, &client).await.no_open_alerts);

    let open = client.work(Work::Joined(Joined {
        unseen: false,
        alerts_sent: false,
    }));
    let alerts_sent = client.ask_for(&open).await;
    assert_eq!(
        alerts_sent["alerts"][0]["alertId"], suspicious["alertId"],
        "{alerts_sent}"
    );
    assert!(!hint(&world, &client).await.no_open_alerts);
    let ack = json!({"alertId": suspicious["alertId"]});
    let mut owner = world.client("u", "another").await;
    succeeded(&owner.ask(CommandKind::Acknowledge, ack).await);
    let none = client.work(Work::Joined(Joined {
        unseen: false,
        alerts_sent: false,
    }));
    assert_eq!(client.ask_for(&none).await["alerts"], json!([]));
    assert!(hint(&world, &client).await.no_open_alerts);
}

/// Makes the last of these wrong second factors a moment old.
async fn fail(world: &World, client: &Client, failures: u32) {
    let fail = |_: &SecurityRecord, now| {
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
        };
        Ok(SecurityDecision::SecurityChange(Box::new(SecurityChange {
            record: SecurityRecord {
                factor: Some(factor),
                ..SecurityRecord::default()
            },
            events: Vec::new(),
            outcome: JobOutcome::from(&Answer::Acknowledged),
            receipt: None,
            audit_events: Vec::new(),
            effect: SecurityEffect::Nothing,
        })))
    };
    let operator = Actor::System(SessionId::new("operator").unwrap());
    world
        .store
        .decide_security(&client.user, &operator, &fail)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connect_soon_after_three_wrong_second_factors_is_suspicious_once() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    fail(&world, &client, 2).await;
    join(&mut client, "phone", "192.0.2.7").await;
    client.assert_no_event();
    fail(&world, &client, 3).await;
    for _ in 0..2 {
        join(&mut client, "phone", "192.0.2.7").await;
    }
    let suspicious = client.alert().await;
    assert_eq!(suspicious["type"], "suspicious_login", "{suspicious}");
    client.assert_no_event();

    world.clock.advance(Duration::from_secs(60));
    fail(&world, &client, 4).await;
    world.clock.advance(Duration::from_secs(10 * 60));
    join(&mut client, "phone", "192.0.2.7").await;
    client.assert_no_event();
}

#[tokio::test(start_paused = true)]
async fn a_wrong_second_factor_has_the_next_connect_looked_at() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    join(&mut client, "phone", "192.0.2.7").await;
    assert!(hint(&world, &client).await.seen);

    client.signed_in = Some(world.clock.now().into());
    let settings = json!({"settings": {"twoFactorEnabled": true}});
    let enrolment = client.ask(CommandKind::UpdateSettings, settings).await;
    let code = json!({"sessionId": enrolment["enrolment"]["sessionId"], "token": "000000"});
    refused(&client.ask(CommandKind::VerifyTwoFactor, code).await, "2fa_invalid");
    assert!(!hint(&world, &client).await.seen);
}

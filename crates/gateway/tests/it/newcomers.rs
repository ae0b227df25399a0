//! What a worker is asked about sockets that join, and what it is spared.

use bus::Hints;
use protocol::cluster::origin::Origin;
use protocol::id::{AlertId, UserId};
use protocol::security::{Alert, AlertType, Severity};
use protocol::time::Timestamp;
use serde_json::json;
use testkit::{Native, SocketIo, wait};

use crate::house::House;
use crate::worker::Worker;

async fn device(house: &House, user: &str, device: &str) -> Native {
    Native::to(&house.endpoint)
        .auth(json!({"token": house.token(user), "deviceId": device}))
        .connect()
        .await
        .unwrap()
}

/// Waits until a worker was asked about so many sockets.
async fn asked(worker: &Worker, count: usize) -> Vec<(String, bool)> {
    wait::until_true("a worker to be asked", wait::deadline(), async || {
        worker.joined().len() >= count
    })
    .await;
    worker.joined()
}

/// Notes what a worker notes of a user without open alerts who came with this device.
async fn note(house: &House, user: &str, device: &str) {
    let user = UserId::new(user).unwrap();
    let from = Origin {
        address: "127.0.0.1".to_owned(),
        device_id: Some(device.to_owned()),
        device_name: None,
        user_agent: None,
    };
    house.line.mark_seen(&user, &from).await.unwrap();
    house.line.begin_alert_check(&user, "look").await.unwrap();
    house.line.mark_no_open_alerts(&user, "look").await.unwrap();
}

#[tokio::test]
async fn a_known_device_of_a_user_without_open_alerts_costs_no_job() {
    let house = House::new().await;
    let worker = Worker::obliging(&house);
    let first = device(&house, "u", "phone").await;
    assert_eq!(asked(&worker, 1).await, [("u".to_owned(), true)]);

    note(&house, "u", "phone").await;
    let known = device(&house, "u", "phone").await;
    // Those who join are looked at in turn.
    let another = device(&house, "v", "phone").await;
    assert_eq!(asked(&worker, 2).await[1..], [("v".to_owned(), true)]);

    house
        .line
        .clear_no_open_alerts(&UserId::new("u").unwrap())
        .await
        .unwrap();
    let with_alerts = device(&house, "u", "phone").await;
    assert_eq!(asked(&worker, 3).await[2..], [("u".to_owned(), false)]);
    assert!(
        [first, known, another, with_alerts]
            .iter()
            .all(|socket| socket.is_open())
    );
}

fn urgent(name: &str) -> Alert {
    Alert {
        user_id: UserId::new("u").unwrap(),
        alert_id: AlertId::new(name).unwrap(),
        severity: Severity::High,
        kind: AlertType::SuspiciousLogin,
        message: "look".to_owned(),
        timestamp: Timestamp::from_millis(1_795_451_460_007),
        requires_action: true,
    }
}

#[tokio::test]
async fn alerts_come_again_oldest_first_and_before_the_arrival_is_looked_at() {
    let house = House::new().await;
    let names: Vec<_> = (0..20).rev().map(|number| format!("{number:02}")).collect();
    let worker = Worker::knowing(&house, names.iter().map(|name| urgent(name)).collect());
    let native = device(&house, "u", "phone").await;
    let socketio = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    for socket in [&*native, &*socketio] {
        for name in &names {
            assert_eq!(&socket.next_event("security:alert").await.data["alertId"], name);
        }
    }
    wait::until_true("both arrivals to be looked at", wait::deadline(), async || {
        worker.looks().iter().filter(|look| look.alerts_sent).count() == 2
    })
    .await;
    assert!(worker.looks().iter().all(|look| look.unseen));
    assert_eq!(worker.looks().len(), 4);
}

#[tokio::test]
async fn who_leaves_when_told_of_alerts_is_looked_at_all_the_same() {
    let house = House::new().await;
    let worker = Worker::knowing(&house, vec![urgent("a")]);
    let thief = device(&house, "u", "phone").await;
    thief.next_event("security:alert").await;
    drop(thief);
    wait::until_true("the arrival to be looked at", wait::deadline(), async || {
        worker.looks().iter().any(|look| look.unseen && look.alerts_sent)
    })
    .await;
}

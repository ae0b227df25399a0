//! Sign-in checks: which new sockets cause a job for a worker, and which do not.

use protocol::cluster::envelope::Envelope;
use protocol::cluster::origin::Origin;
use protocol::id::{AlertId, UserId};
use protocol::security::{Alert, AlertType, Severity};
use protocol::time::Timestamp;
use serde_json::json;
use testkit::{Native, SocketIo, wait};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

async fn device(gateway: &TestGateway, user: &str, device: &str) -> Native {
    Native::to(&gateway.endpoint)
        .auth(json!({"token": gateway.token(user), "deviceId": device}))
        .connect()
        .await
        .unwrap()
}

/// Waits until a worker got this many jobs for new sockets.
async fn asked(worker: &Worker, count: usize) -> Vec<(String, bool)> {
    wait::until_true("a worker to be asked", wait::deadline(), async || {
        worker.joined().len() >= count
    })
    .await;
    worker.joined()
}

/// Records a known device and the absence of open alerts, as a worker does.
async fn note(gateway: &TestGateway, user: &str, device: &str) {
    let user = UserId::new(user).unwrap();
    let from = Origin {
        address: "127.0.0.1".to_owned(),
        device_id: Some(device.to_owned()),
        device_name: None,
        user_agent: None,
    };
    gateway.bus.inner().mark_seen(&user, &from).await.unwrap();
    gateway.bus.inner().begin_alert_check(&user, "look").await.unwrap();
    gateway.bus.inner().mark_no_open_alerts(&user, "look").await.unwrap();
}

#[tokio::test]
async fn known_device_without_open_alerts_creates_no_job() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let first = device(&gateway, "u", "phone").await;
    assert_eq!(asked(&worker, 1).await, [("u".to_owned(), true)]);

    note(&gateway, "u", "phone").await;
    let known = device(&gateway, "u", "phone").await;
    // New sockets are checked one after the other, so the next job shows that this one caused none.
    let another = device(&gateway, "v", "phone").await;
    assert_eq!(asked(&worker, 2).await[1..], [("v".to_owned(), true)]);

    gateway
        .bus
        .inner()
        .publish(&UserId::new("u").unwrap(), &Envelope::of_alert(urgent("a")))
        .await
        .unwrap();
    let with_alerts = device(&gateway, "u", "phone").await;
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
async fn open_alerts_are_sent_oldest_first_before_the_sign_in_check() {
    let gateway = TestGateway::new().await;
    let names: Vec<_> = (0..20).rev().map(|number| format!("{number:02}")).collect();
    let worker = Worker::with_alerts(&gateway, names.iter().map(|name| urgent(name)).collect());
    let native = device(&gateway, "u", "phone").await;
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for socket in [&*native, &*socketio] {
        for name in &names {
            assert_eq!(&socket.next_event("security:alert").await.data["alertId"], name);
        }
    }
    wait::until_true("both arrivals to be looked at", wait::deadline(), async || {
        worker.checks().iter().filter(|check| check.alerts_sent).count() == 2
    })
    .await;
    assert!(worker.checks().iter().all(|check| check.unseen));
    assert_eq!(worker.checks().len(), 4);
}

#[tokio::test]
async fn sign_in_is_checked_after_the_socket_closes() {
    let gateway = TestGateway::new().await;
    let worker = Worker::with_alerts(&gateway, vec![urgent("a")]);
    let thief = device(&gateway, "u", "phone").await;
    thief.next_event("security:alert").await;
    drop(thief);
    wait::until_true("the arrival to be looked at", wait::deadline(), async || {
        worker.checks().iter().any(|check| check.unseen && check.alerts_sent)
    })
    .await;
}

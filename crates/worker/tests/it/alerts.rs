//! Alerts: read again, acknowledged, and raised by the application.

use protocol::cluster::job::{Joined, Work};
use protocol::command::CommandKind;
use protocol::security::Alert;
use serde_json::{Value, json};

use crate::client::{connect, refused, succeeded, with};
use crate::world::{World, with_github};

fn alert(name: &str) -> Alert {
    serde_json::from_value(json!({
        "userId": "u", "alertId": name, "severity": "high", "type": "suspicious_login",
        "message": "Login from new device detected", "timestamp": "2026-11-23T16:31:00.007Z", "requiresAction": true,
    }))
    .unwrap()
}

fn names(answer: &Value) -> Vec<&str> {
    let alerts = answer["alerts"].as_array().unwrap().iter();
    alerts.map(|alert| alert["alertId"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_raised_alert_is_heard_once_and_read_again_after_the_bus_has_forgotten() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    for name in ["a", "a", "b"] {
        let raise = client.work(Work::RaiseAlert(alert(name)));
        succeeded(&client.ask_for(&raise).await);
    }
    for name in ["a", "b"] {
        assert_eq!(client.alert().await["alertId"], name);
    }
    client.assert_no_event();

    world.bus.forget();
    let mut client = world.client("u", "s").await;
    let all = client.ask(CommandKind::Alerts, json!({})).await;
    succeeded(&all);
    assert_eq!(names(&all), ["a", "b"]);
    assert_eq!(all["alerts"][0], json!(alert("a")));
    let newer = client.ask(CommandKind::Alerts, json!({"after": "a"})).await;
    assert_eq!(names(&newer), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn an_alert_is_open_until_its_user_acknowledges_it() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let mut somebody_else = world.client("v", "s").await;
    for name in ["a", "b"] {
        let raise = client.work(Work::RaiseAlert(alert(name)));
        succeeded(&client.ask_for(&raise).await);
    }
    let open = client.work(Work::Joined(Joined {
        unseen: false,
        alerts_sent: false,
    }));
    assert_eq!(names(&client.ask_for(&open).await), ["a", "b"]);

    let ack = json!({"alertId": "a"});
    let foreign = somebody_else.ask(CommandKind::Acknowledge, ack.clone()).await;
    assert_eq!(refused(&foreign, "bad_request"), "alertId: there is no such alert");
    for _ in 0..2 {
        succeeded(&client.ask(CommandKind::Acknowledge, ack.clone()).await);
    }
    let open = client.work(Work::Joined(Joined {
        unseen: false,
        alerts_sent: false,
    }));
    assert_eq!(names(&client.ask_for(&open).await), ["b"]);
    assert_eq!(names(&client.ask(CommandKind::Alerts, json!({})).await), ["a", "b"]);
}

#[tokio::test]
async fn a_link_that_was_not_begun_here_asks_every_device_to_look() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        succeeded(&client.connect("test_code_ada").await);
        let alert = client.alert().await;
        assert_eq!(
            (&alert["type"], &alert["requiresAction"]),
            (&json!("account_linked"), &json!(true))
        );
        assert!(
            alert["message"].as_str().unwrap().contains("github account ada"),
            "{alert}"
        );

        let mut begun_here = world.client("v", "s").await;
        let authorize = begun_here.authorize().await;
        let back = github.visit(authorize["authorizationUrl"].as_str().unwrap()).await;
        let value = |name: &str| back.iter().find(|(key, _)| key == name).unwrap().1.clone();
        let data = with(connect(&value("code")), "state", value("state"));
        succeeded(&begun_here.ask(CommandKind::Connect, data).await);
        let alert = begun_here.alert().await;
        assert_eq!(
            (&alert["type"], &alert["requiresAction"]),
            (&json!("account_linked"), &json!(false))
        );
        let listed = begun_here.ask(CommandKind::Alerts, json!({})).await;
        assert_eq!(names(&listed), [alert["alertId"].as_str().unwrap()]);
    })
    .await;
}

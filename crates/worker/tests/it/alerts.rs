//! Alerts: raised by the application, listed again, acknowledged.

use protocol::cluster::job::{Joined, Work};
use protocol::command::CommandKind;
use protocol::security::Alert;
use serde_json::{Value, json};

use crate::client::{assert_error, assert_success, connect, with_field};
use crate::env::{TestEnv, with_github};

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
async fn raised_alert_is_received_once_and_listed_after_bus_data_loss() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    for name in ["a", "a", "b"] {
        let raise = client.work(Work::RaiseAlert(alert(name)));
        assert_success(&client.ask_for(&raise).await);
    }
    for name in ["a", "b"] {
        assert_eq!(client.alert().await["alertId"], name);
    }
    client.assert_no_event();

    env.bus.lose_data();
    let mut client = env.client("u", "another session").await;
    let all = client.ask(CommandKind::Alerts, json!({})).await;
    assert_success(&all);
    assert_eq!(names(&all), ["a", "b"]);
    assert_eq!(all["alerts"][0], json!(alert("a")));
    let newer = client.ask(CommandKind::Alerts, json!({"after": "a"})).await;
    assert_eq!(names(&newer), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn alert_is_open_until_its_user_acknowledges_it() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let mut other_user = env.client("v", "s").await;
    for name in ["a", "b"] {
        let raise = client.work(Work::RaiseAlert(alert(name)));
        assert_success(&client.ask_for(&raise).await);
    }
    let open = client.work(Work::Joined(Joined {
        unseen: false,
        alerts_sent: false,
    }));
    assert_eq!(names(&client.ask_for(&open).await), ["a", "b"]);

    let ack = json!({"alertId": "a"});
    let foreign = other_user.ask(CommandKind::Acknowledge, ack.clone()).await;
    assert_eq!(assert_error(&foreign, "bad_request"), "alertId: there is no such alert");
    for _ in 0..2 {
        assert_success(&client.ask(CommandKind::Acknowledge, ack.clone()).await);
    }
    let open = client.work(Work::Joined(Joined {
        unseen: false,
        alerts_sent: false,
    }));
    assert_eq!(names(&client.ask_for(&open).await), ["b"]);
    assert_eq!(names(&client.ask(CommandKind::Alerts, json!({})).await), ["a", "b"]);
}

#[tokio::test]
async fn link_without_authorize_raises_an_alert_that_requires_action() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        assert_success(&client.connect("test_code_ada").await);
        let alert = client.alert().await;
        assert_eq!(
            (&alert["type"], &alert["requiresAction"]),
            (&json!("account_linked"), &json!(true))
        );
        assert!(
            alert["message"].as_str().unwrap().contains("github account ada"),
            "{alert}"
        );

        let mut authorizing = env.client("v", "s").await;
        let authorize = authorizing.authorize().await;
        let back = github.visit(authorize["authorizationUrl"].as_str().unwrap()).await;
        let value = |name: &str| back.iter().find(|(key, _)| key == name).unwrap().1.clone();
        let data = with_field(connect(&value("code")), "state", value("state"));
        assert_success(&authorizing.ask(CommandKind::Connect, data).await);
        let alert = authorizing.alert().await;
        assert_eq!(
            (&alert["type"], &alert["requiresAction"]),
            (&json!("account_linked"), &json!(false))
        );
        let listed = authorizing.ask(CommandKind::Alerts, json!({})).await;
        assert_eq!(names(&listed), [alert["alertId"].as_str().unwrap()]);
    })
    .await;
}

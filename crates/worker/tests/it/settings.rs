//! `security:get_settings` and `security:update_settings`.

use protocol::command::CommandKind;
use serde_json::{Value, json};

use crate::client::{Client, assert_error, assert_success};
use crate::env::TestEnv;

async fn update(client: &mut Client, settings: Value) -> Value {
    client
        .ask(CommandKind::UpdateSettings, json!({"settings": settings}))
        .await
}

#[tokio::test]
async fn default_settings_have_30_minutes_and_no_factor() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let answer = client.ask(CommandKind::GetSettings, json!({})).await;
    assert_success(&answer);
    assert_eq!(
        answer["settings"],
        json!({"sessionTimeout": 30, "twoFactorEnabled": false})
    );
}

#[tokio::test]
async fn changed_timeout_is_stored_and_sent_to_all_devices() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let (mut client, mut other) = (env.client("u", "s").await, env.client("u", "t").await);
    let settings = json!({"sessionTimeout": 60, "twoFactorEnabled": false});
    let answer = update(&mut client, json!({"sessionTimeout": 60})).await;
    assert_success(&answer);
    assert_eq!(answer["settings"], settings);
    for device in [&mut client, &mut other] {
        let event = device.event().await;
        assert_eq!(
            event,
            ("security:settings_updated".to_owned(), json!({"settings": settings}))
        );
    }
    assert_eq!(
        other.ask(CommandKind::GetSettings, json!({})).await["settings"],
        settings
    );
    let stranger = &mut env.client("v", "s").await;
    assert_eq!(
        stranger.ask(CommandKind::GetSettings, json!({})).await["settings"]["sessionTimeout"],
        30
    );
}

#[tokio::test]
async fn timeout_outside_one_minute_to_a_day_is_refused() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    for minutes in [0, 1_441, u32::MAX] {
        let answer = update(&mut client, json!({"sessionTimeout": minutes})).await;
        assert!(assert_error(&answer, "bad_request").starts_with("settings.sessionTimeout: "));
    }
    for minutes in [1, 1_440] {
        assert_success(&update(&mut client, json!({"sessionTimeout": minutes})).await);
    }
}

#[tokio::test]
async fn method_without_sender_reports_not_supported() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    for method in ["sms", "email"] {
        let asked = json!({"twoFactorEnabled": true, "method": method, "sessionTimeout": 5});
        assert_error(&update(&mut client, asked).await, "not_supported");
    }
    assert_eq!(
        client.ask(CommandKind::GetSettings, json!({})).await["settings"]["sessionTimeout"],
        30
    );
}

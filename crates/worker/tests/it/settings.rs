//! `security:get_settings` and `security:update_settings`.

use protocol::command::CommandKind;
use serde_json::{Value, json};

use crate::client::{Client, refused, succeeded};
use crate::world::World;

async fn update(client: &mut Client, settings: Value) -> Value {
    client
        .ask(CommandKind::UpdateSettings, json!({"settings": settings}))
        .await
}

#[tokio::test]
async fn settings_begin_with_half_an_hour_and_no_second_factor() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let answer = client.ask(CommandKind::GetSettings, json!({})).await;
    succeeded(&answer);
    assert_eq!(
        answer["settings"],
        json!({"sessionTimeout": 30, "twoFactorEnabled": false})
    );
}

#[tokio::test]
async fn a_changed_timeout_is_kept_and_heard_on_all_devices() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let (mut client, mut other) = (world.client("u", "s").await, world.client("u", "t").await);
    let settings = json!({"sessionTimeout": 60, "twoFactorEnabled": false});
    let answer = update(&mut client, json!({"sessionTimeout": 60})).await;
    succeeded(&answer);
    assert_eq!(answer["settings"], settings);
    for device in [&mut client, &mut other] {
        let heard = device.event().await;
        assert_eq!(
            heard,
            ("security:settings_updated".to_owned(), json!({"settings": settings}))
        );
    }
    assert_eq!(
        other.ask(CommandKind::GetSettings, json!({})).await["settings"],
        settings
    );
    let stranger = &mut world.client("v", "s").await;
    assert_eq!(
        stranger.ask(CommandKind::GetSettings, json!({})).await["settings"]["sessionTimeout"],
        30
    );
}

#[tokio::test]
async fn a_timeout_has_one_minute_to_a_day() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    for minutes in [0, 1_441, u32::MAX] {
        let answer = update(&mut client, json!({"sessionTimeout": minutes})).await;
        assert!(refused(&answer, "bad_request").starts_with("settings.sessionTimeout: "));
    }
    for minutes in [1, 1_440] {
        succeeded(&update(&mut client, json!({"sessionTimeout": minutes})).await);
    }
}

#[tokio::test]
async fn codes_that_are_sent_somewhere_are_not_offered() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    for method in ["sms", "email"] {
        let asked = json!({"twoFactorEnabled": true, "method": method, "sessionTimeout": 5});
        refused(&update(&mut client, asked).await, "not_supported");
    }
    assert_eq!(
        client.ask(CommandKind::GetSettings, json!({})).await["settings"]["sessionTimeout"],
        30
    );
}

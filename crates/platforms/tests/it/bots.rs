//! Inboxes of bots: recipients of their messages, each notified once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifecycle::ManualClock;
use platforms::{ApiError, BotInbox, BotSettings, DiscordBot, Http, InboxPage, PauseScope, TelegramBot, Timeouts};
use protocol::notification::NotificationType;
use protocol::secret::Secret;
use serde_json::{Value, json};
use simulator::{BOT_TOKEN, Fault, Kind, Limit, NewMessage, Platform, Route};

use crate::world::{World, assert_no_secret, world};

fn settings(world: &World, api: &str, token: &str) -> BotSettings {
    BotSettings {
        token: Secret::new(token),
        api_url: format!("{}/{api}", world.simulator.url()).parse().unwrap(),
    }
}

fn http() -> Http {
    Http::new(Timeouts::default()).unwrap()
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)))
}

pub(crate) fn telegram(world: &World, token: &str, clock: &Arc<ManualClock>) -> TelegramBot {
    let clock = Arc::<ManualClock>::clone(clock);
    TelegramBot::new(settings(world, "telegram", token), http(), clock).unwrap()
}

pub(crate) fn discord(world: &World) -> DiscordBot {
    DiscordBot::new(settings(world, "discord/api/v10", BOT_TOKEN), http()).unwrap()
}

fn message(text: &str, mentions: &[&str], reply_to: Option<&str>) -> NewMessage {
    NewMessage {
        text: text.to_owned(),
        mentions: mentions.iter().map(ToString::to_string).collect(),
        reply_to: reply_to.map(str::to_owned),
        ..NewMessage::default()
    }
}

/// Reads from the cursor on; returns kind and text of the notifications, and the page.
async fn read(inbox: &dyn BotInbox, cursor: &mut Option<Value>) -> (Vec<(NotificationType, String)>, InboxPage) {
    let page = inbox.read(cursor.as_ref()).await.unwrap();
    *cursor = page.cursor.clone().or_else(|| cursor.take());
    let notifications = page.notifications.iter();
    (
        notifications
            .map(|it| (it.notification.kind, it.notification.content.clone()))
            .collect(),
        page,
    )
}

#[tokio::test]
async fn telegram_reports_mentions_and_replies_and_confirms_passed_cursors() {
    world(async |world| {
        let bot = telegram(&world, BOT_TOKEN, &clock());
        world
            .simulator
            .post_to_telegram(&message("look", &["ada", "grace"], None));
        world
            .simulator
            .post_to_telegram(&message("indeed", &["ada"], Some("ada")));
        let mut cursor = None;
        let (notifications, page) = read(&bot, &mut cursor).await;
        let received = [
            (NotificationType::Mention, "look".to_owned()),
            (NotificationType::Reply, "indeed".to_owned()),
        ];
        assert_eq!(notifications, received);
        assert_eq!(page.notifications[0].notification.sender, "grace");
        assert_eq!(
            page.notifications[0].platform_user_id,
            page.notifications[1].platform_user_id
        );
        let mut before = None;
        assert_eq!(
            read(&bot, &mut before).await.0,
            received,
            "nothing is confirmed that was not handed in"
        );
        assert_eq!(read(&bot, &mut cursor).await.0, []);
        assert_eq!(read(&bot, &mut None).await.0, [], "now it is");
    })
    .await;
}

#[tokio::test]
async fn cursor_of_another_bot_or_of_last_week_is_ignored() {
    world(async |world| {
        let clock = clock();
        let bot = telegram(&world, BOT_TOKEN, &clock);
        world.simulator.post_to_telegram(&message("first", &["ada"], None));
        let mut cursor = None;
        read(&bot, &mut cursor).await;
        // A cursor of a week ago: the next id is random.
        let ahead = |mut cursor: Value, bot: &str| {
            cursor["next"] = json!(1_000);
            cursor["bot"] = json!(bot);
            Some(cursor)
        };
        let id = BOT_TOKEN.split(':').next().unwrap();
        let ours = ahead(cursor.clone().unwrap(), id);
        let others = ahead(cursor.unwrap(), "7");
        world.simulator.post_to_telegram(&message("second", &["ada"], None));
        assert_eq!(read(&bot, &mut others.clone()).await.0.len(), 2);
        clock.advance(Duration::from_hours(6 * 24));
        assert_eq!(read(&bot, &mut ours.clone()).await.0.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn token_that_telegram_rejects_is_refused_and_not_printed() {
    world(async |world| {
        let token = "7000000001:a-token-that-was-withdrawn";
        let error = telegram(&world, token, &clock()).read(None).await.unwrap_err();
        assert!(matches!(error, ApiError::Refused(_)), "{error:?}");
        assert_no_secret(&error, &[token]);
        world.simulator.fault(Fault::once(
            Platform::Telegram,
            Route::Notifications,
            Kind::DropResponse,
        ));
        let error = telegram(&world, token, &clock()).read(None).await.unwrap_err();
        assert!(matches!(error, ApiError::Unavailable(..)), "{error:?}");
        assert_no_secret(&error, &[token]);
    })
    .await;
}

#[tokio::test]
async fn discord_reports_messages_since_the_first_read() {
    world(async |world| {
        let bot = discord(&world);
        world.simulator.post_to_discord(&message("long ago", &["ada"], None));
        let mut cursor = None;
        assert_eq!(read(&bot, &mut cursor).await.0, []);
        world
            .simulator
            .post_to_discord(&message("look", &["ada", "grace"], None));
        world
            .simulator
            .post_to_discord(&message("indeed", &["ada"], Some("ada")));
        let elsewhere = NewMessage {
            channel: "a new channel".to_owned(),
            ..message("here too", &["ada"], None)
        };
        world.simulator.post_to_discord(&elsewhere);
        let (notifications, page) = read(&bot, &mut cursor).await;
        let received = [
            (NotificationType::Mention, "look".to_owned()),
            (NotificationType::Reply, "indeed".to_owned()),
            (NotificationType::Mention, "here too".to_owned()),
        ];
        assert_eq!((notifications, page.more), (received.to_vec(), false));
        assert_eq!(page.notifications[0].notification.sender, "grace");
        assert_eq!(read(&bot, &mut cursor).await.0, []);
    })
    .await;
}

#[tokio::test]
async fn many_messages_and_channels_are_read_in_parts_and_once_each() {
    world(async |world| {
        let bot = discord(&world);
        let mut cursor = None;
        let say = |channel: usize, text: usize| {
            world.simulator.post_to_discord(&NewMessage {
                channel: format!("channel {channel}"),
                ..message(&text.to_string(), &["ada"], None)
            });
        };
        say(0, 0);
        read(&bot, &mut cursor).await;
        (1..=250).for_each(|text| say(0, text));
        (1..=30).for_each(|channel| say(channel, 250 + channel));
        let mut received = Vec::new();
        let mut parts = 0;
        loop {
            let (notifications, page) = read(&bot, &mut cursor).await;
            received.extend(
                notifications
                    .into_iter()
                    .map(|(_, text)| text.parse::<usize>().unwrap()),
            );
            parts += 1;
            if !page.more {
                break;
            }
        }
        received.sort_unstable();
        assert_eq!(received, (1..=280).collect::<Vec<_>>());
        assert!(parts > 1);
    })
    .await;
}

#[tokio::test]
async fn channel_without_permission_is_skipped() {
    world(async |world| {
        let bot = discord(&world);
        let mut cursor = None;
        world.simulator.post_to_discord(&message("long ago", &["ada"], None));
        read(&bot, &mut cursor).await;
        world.simulator.post_to_discord(&message("secret", &["ada"], None));
        // Guilds and channels are listed; then the one channel is read.
        let late = Kind::Latency { milliseconds: 0 };
        for kind in [late.clone(), late, missing_access()] {
            world
                .simulator
                .fault(Fault::once(Platform::Discord, Route::Notifications, kind));
        }
        assert_eq!(read(&bot, &mut cursor).await.0, []);
        world.simulator.post_to_discord(&message("seen", &["ada"], None));
        assert_eq!(read(&bot, &mut cursor).await.0.len(), 1, "and not asked for again");
    })
    .await;
}

#[tokio::test]
async fn guild_without_permission_does_not_block_later_reads() {
    world(async |world| {
        let bot = discord(&world);
        let mut cursor = None;
        world.simulator.post_to_discord(&message("long ago", &["ada"], None));
        read(&bot, &mut cursor).await;
        world.simulator.post_to_discord(&message("meanwhile", &["ada"], None));
        for kind in [Kind::Latency { milliseconds: 0 }, missing_access()] {
            world
                .simulator
                .fault(Fault::once(Platform::Discord, Route::Notifications, kind));
        }
        assert_eq!(read(&bot, &mut cursor).await.0, []);
        assert_eq!(read(&bot, &mut cursor).await.0.len(), 1);
    })
    .await;
}

/// Discord's answer to a bot without permission.
fn missing_access() -> Kind {
    Kind::Status {
        status: 403,
        headers: [].into(),
        body: r#"{"message":"Missing Access","code":50001}"#.to_owned(),
    }
}

#[tokio::test]
async fn throttled_bot_reports_the_wait() {
    world(async |world| {
        let clock = clock();
        let telegram = telegram(&world, BOT_TOKEN, &clock);
        let discord = discord(&world);
        let inboxes: [(Platform, &dyn BotInbox); 2] = [(Platform::Telegram, &telegram), (Platform::Discord, &discord)];
        for (platform, inbox) in inboxes {
            let throttle = Kind::Throttle {
                limit: Limit::Secondary,
                seconds: 77,
            };
            world
                .simulator
                .fault(Fault::once(platform, Route::Notifications, throttle));
            match inbox.read(None).await.unwrap_err() {
                ApiError::Throttled { wait, pause, .. } => {
                    assert_eq!(wait, Duration::from_secs(77));
                    assert_eq!(pause == PauseScope::App, platform == Platform::Discord);
                }
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

//! Response formats: with every text and notation that the simulator can produce, links and syncs work and all texts are clean.

use std::time::Duration;

use platforms::{BotInbox, Platform, PlatformNotification, Profile, RefreshError, Tokens};
use serde_json::Value;
use simulator::{
    BOT_TOKEN, CLIENT_SECRET, NewMessage, NewNotification, NewPost, NumberFormat, Platform as At, PostKind,
    ResponseFormat, TextFormat,
};

use crate::world::{World, request, world};
use crate::{bots, discord, telegram, x_twitter};

/// Every text format, every number format, and URL-encoded tokens.
const RESPONSE_FORMATS: [(TextFormat, NumberFormat, bool); 6] = [
    (TextFormat::LoneSurrogate, NumberFormat::Float, false),
    (TextFormat::Nul, NumberFormat::Text, false),
    (TextFormat::Controls, NumberFormat::Plain, true),
    (TextFormat::InvalidUtf8, NumberFormat::Plain, false),
    (TextFormat::Overlong, NumberFormat::Text, true),
    (TextFormat::Plain, NumberFormat::Float, true),
];

/// Items in a list: so many that overlong ones exceed the size limit of an answer.
const ITEMS: usize = 40;

/// Runs `test` once for each response format of `at`.
#[expect(clippy::print_stdout, reason = "a failed test prints its response format")]
async fn in_every_format(at: At, test: impl AsyncFn(&World)) {
    for (texts, numbers, urlencoded_tokens) in RESPONSE_FORMATS {
        println!("{texts:?}, {numbers:?}, URL-encoded: {urlencoded_tokens}");
        world(async |world| {
            let format = ResponseFormat {
                texts,
                numbers,
                urlencoded_tokens,
            };
            world.simulator.set_response_format(at, format);
            test(&world).await;
        })
        .await;
    }
}

/// Tokens of a test code of ada's, and their owner.
async fn linked(platform: &dyn Platform) -> (Tokens, Profile) {
    let tokens = platform
        .exchange(&request("test_code_ada"))
        .await
        .unwrap()
        .tokens
        .unwrap();
    let profile = platform.profile(&tokens).await.unwrap();
    assert_clean(&profile);
    (tokens, profile)
}

fn assert_clean(profile: &Profile) {
    let id = &profile.platform_user_id;
    assert!(!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
    assert!(profile.username.starts_with("ada"), "{}", profile.username);
    for text in [
        Some(&profile.username),
        profile.display_name.as_ref(),
        profile.avatar_url.as_ref(),
    ] {
        assert_is_text(text.map_or("", String::as_str));
    }
}

fn assert_is_text(text: &str) {
    let controls = text.matches(|c: char| c.is_control() && c != '\n' && c != '\t');
    assert_eq!(controls.count(), 0, "{text:?}");
}

fn assert_all_came(notifications: &[PlatformNotification], most: usize) {
    assert_eq!(notifications.len(), most);
    for notification in notifications {
        assert_is_text(&notification.content);
        assert_is_text(&notification.sender);
        let item = notification.id.split('@').next().unwrap();
        assert!(!item.contains('.'), "{}", notification.id);
    }
}

/// Syncs until no page is left.
async fn synced(platform: &dyn Platform, tokens: &Tokens, cursor: &mut Option<Value>) -> Vec<PlatformNotification> {
    let mut notifications = Vec::new();
    loop {
        let page = platform.sync(tokens, cursor.as_ref()).await.unwrap();
        assert_clean(&page.profile);
        notifications.extend(page.notifications);
        *cursor = page.cursor.or_else(|| cursor.take());
        if !page.more {
            return notifications;
        }
    }
}

/// Reads an inbox until no page is left.
async fn read(inbox: &dyn BotInbox, cursor: &mut Option<Value>) -> Vec<PlatformNotification> {
    let mut notifications = Vec::new();
    loop {
        let page = inbox.read(cursor.as_ref()).await.unwrap();
        notifications.extend(page.notifications.into_iter().map(|addressed| addressed.notification));
        *cursor = page.cursor.or_else(|| cursor.take());
        if !page.more {
            return notifications;
        }
    }
}

#[tokio::test]
async fn github_link_and_sync_work_in_every_response_format() {
    in_every_format(At::Github, async |world| {
        world.simulator.expiring_github_tokens();
        let (tokens, _) = linked(&world.github).await;
        assert_eq!(tokens.expires_in, Some(Duration::from_hours(8)));
        for _ in 0..ITEMS {
            world.simulator.notify(NewNotification {
                login: "ada".to_owned(),
                ..NewNotification::default()
            });
        }
        assert_all_came(&synced(&world.github, &tokens, &mut None).await, ITEMS);
        let renewed = world.github.refresh(&tokens.refresh.unwrap()).await.unwrap();
        assert_eq!(renewed.tokens.unwrap().expires_in, Some(Duration::from_hours(8)));
    })
    .await;
}

#[tokio::test]
async fn x_link_and_sync_work_in_every_response_format() {
    in_every_format(At::XTwitter, async |world| {
        let x_twitter = x_twitter::x_twitter(&world.simulator);
        let (tokens, _) = linked(&x_twitter).await;
        assert_eq!(tokens.expires_in, Some(Duration::from_hours(2)));
        let mut cursor = None;
        synced(&x_twitter, &tokens, &mut cursor).await;
        for nth in 0..ITEMS {
            world.simulator.post(NewPost {
                login: "ada".to_owned(),
                kind: if nth % 2 == 0 {
                    PostKind::Mention
                } else {
                    PostKind::Reply
                },
                ..NewPost::default()
            });
        }
        assert_all_came(&synced(&x_twitter, &tokens, &mut cursor).await, ITEMS);
        world.simulator.post(NewPost {
            login: "ada".to_owned(),
            kind: PostKind::Message,
            ..NewPost::default()
        });
        assert_all_came(&synced(&x_twitter, &tokens, &mut cursor).await, 1);
        let spent = x_twitter.refresh(&tokens.access).await.unwrap_err();
        assert!(matches!(spent, RefreshError::Refused(_)), "{spent:?}");
    })
    .await;
}

#[tokio::test]
async fn direct_messages_of_any_length_are_read_newest_first() {
    world(async |world| {
        let overlong = ResponseFormat {
            texts: TextFormat::Overlong,
            ..ResponseFormat::default()
        };
        world.simulator.set_response_format(At::XTwitter, overlong);
        let x_twitter = x_twitter::x_twitter(&world.simulator);
        let (tokens, _) = linked(&x_twitter).await;
        let mut cursor = None;
        synced(&x_twitter, &tokens, &mut cursor).await;
        for _ in 0..ITEMS {
            world.simulator.post(NewPost {
                login: "ada".to_owned(),
                kind: PostKind::Message,
                ..NewPost::default()
            });
        }
        let notifications = synced(&x_twitter, &tokens, &mut cursor).await;
        assert_all_came(&notifications, 20);
        assert_eq!(notifications.last().unwrap().id, (8 + ITEMS).to_string());
    })
    .await;
}

#[tokio::test]
async fn discord_link_sync_and_guilds_work_in_every_response_format() {
    in_every_format(At::Discord, async |world| {
        let discord = discord::discord(&world.simulator, CLIENT_SECRET);
        let (tokens, _) = linked(&discord).await;
        assert_eq!(tokens.expires_in, Some(Duration::from_hours(7 * 24)));
        assert_all_came(&synced(&discord, &tokens, &mut None).await, 0);
        let bot = bots::discord(world);
        world.simulator.post_to_discord(&NewMessage::default());
        let mut cursor = None;
        read(&bot, &mut cursor).await;
        for _ in 0..ITEMS {
            world.simulator.post_to_discord(&answer());
        }
        assert_all_came(&read(&bot, &mut cursor).await, ITEMS);
    })
    .await;
}

#[tokio::test]
async fn telegram_link_and_bot_work_in_every_response_format() {
    in_every_format(At::Telegram, async |world| {
        let telegram = telegram::here(world);
        let grant = telegram.exchange(&request("test_code_ada")).await.unwrap();
        assert_clean(&grant.owner.unwrap());
        let bot = bots::telegram(world, BOT_TOKEN, &bots::clock());
        for _ in 0..ITEMS {
            world.simulator.post_to_telegram(&answer());
        }
        assert_all_came(&read(&bot, &mut None).await, ITEMS);
    })
    .await;
}

/// Message that replies to ada.
fn answer() -> NewMessage {
    NewMessage {
        mentions: vec!["ada".to_owned()],
        reply_to: Some("ada".to_owned()),
        ..NewMessage::default()
    }
}

//! Whatever strangers write at a platform, and however its answers are written: links and syncs work, and what comes in is clean.

use std::time::Duration;

use platforms::{BotInbox, Platform, PlatformNotification, Profile, RefreshError, Tokens};
use serde_json::Value;
use simulator::{
    BOT_TOKEN, CLIENT_SECRET, NewMessage, NewNotification, NewPost, NumberFormat, Platform as At, PostKind,
    ResponseFormat, TextFormat,
};

use crate::world::{World, request, world};
use crate::{bots, discord, telegram, x_twitter};

/// Every way of writing texts, every way of writing numbers, and forms.
const SPELLINGS: [(TextFormat, NumberFormat, bool); 6] = [
    (TextFormat::LoneSurrogate, NumberFormat::Float, false),
    (TextFormat::Nul, NumberFormat::Text, false),
    (TextFormat::Controls, NumberFormat::Plain, true),
    (TextFormat::InvalidUtf8, NumberFormat::Plain, false),
    (TextFormat::Overlong, NumberFormat::Text, true),
    (TextFormat::Plain, NumberFormat::Float, true),
];

/// Things in a list: so many that overlong ones make a page that is not read.
const THINGS: usize = 40;

/// Runs `test` once for each spelling, which `at` has from then on.
#[expect(clippy::print_stdout, reason = "a test that fails says with which spelling")]
async fn in_every_spelling(at: At, test: impl AsyncFn(&World)) {
    for (texts, numbers, urlencoded_tokens) in SPELLINGS {
        println!("{texts:?}, {numbers:?}, form: {urlencoded_tokens}");
        world(async |world| {
            let spelling = ResponseFormat {
                texts,
                numbers,
                urlencoded_tokens,
            };
            world.simulator.set_response_format(at, spelling);
            test(&world).await;
        })
        .await;
    }
}

/// Tokens that a test code of ada's brings, and whose they are.
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
        let thing = notification.id.split('@').next().unwrap();
        assert!(!thing.contains('.'), "{}", notification.id);
    }
}

/// Syncs until there is no more.
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

/// Reads an inbox until there is no more.
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
async fn github_is_linked_and_synced_in_every_spelling() {
    in_every_spelling(At::Github, async |world| {
        world.simulator.expiring_github_tokens();
        let (tokens, _) = linked(&world.github).await;
        assert_eq!(tokens.expires_in, Some(Duration::from_hours(8)));
        for _ in 0..THINGS {
            world.simulator.notify(NewNotification {
                login: "ada".to_owned(),
                ..NewNotification::default()
            });
        }
        assert_all_came(&synced(&world.github, &tokens, &mut None).await, THINGS);
        let renewed = world.github.refresh(&tokens.refresh.unwrap()).await.unwrap();
        assert_eq!(renewed.tokens.unwrap().expires_in, Some(Duration::from_hours(8)));
    })
    .await;
}

#[tokio::test]
async fn x_is_linked_and_synced_in_every_spelling() {
    in_every_spelling(At::XTwitter, async |world| {
        let x_twitter = x_twitter::x_twitter(&world.simulator);
        let (tokens, _) = linked(&x_twitter).await;
        assert_eq!(tokens.expires_in, Some(Duration::from_hours(2)));
        let mut cursor = None;
        synced(&x_twitter, &tokens, &mut cursor).await;
        for nth in 0..THINGS {
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
        assert_all_came(&synced(&x_twitter, &tokens, &mut cursor).await, THINGS);
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
async fn direct_messages_of_any_length_are_read_the_newest_first() {
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
        for _ in 0..THINGS {
            world.simulator.post(NewPost {
                login: "ada".to_owned(),
                kind: PostKind::Message,
                ..NewPost::default()
            });
        }
        let notifications = synced(&x_twitter, &tokens, &mut cursor).await;
        assert_all_came(&notifications, 20);
        assert_eq!(notifications.last().unwrap().id, (8 + THINGS).to_string());
    })
    .await;
}

#[tokio::test]
async fn discord_is_linked_synced_and_its_guilds_read_in_every_spelling() {
    in_every_spelling(At::Discord, async |world| {
        let discord = discord::discord(&world.simulator, CLIENT_SECRET);
        let (tokens, _) = linked(&discord).await;
        assert_eq!(tokens.expires_in, Some(Duration::from_hours(7 * 24)));
        assert_all_came(&synced(&discord, &tokens, &mut None).await, 0);
        let bot = bots::discord(world);
        world.simulator.post_to_discord(&NewMessage::default());
        let mut cursor = None;
        read(&bot, &mut cursor).await;
        for _ in 0..THINGS {
            world.simulator.post_to_discord(&answer());
        }
        assert_all_came(&read(&bot, &mut cursor).await, THINGS);
    })
    .await;
}

#[tokio::test]
async fn telegram_is_linked_and_its_bot_read_in_every_spelling() {
    in_every_spelling(At::Telegram, async |world| {
        let telegram = telegram::here(world);
        let grant = telegram.exchange(&request("test_code_ada")).await.unwrap();
        assert_clean(&grant.owner.unwrap());
        let bot = bots::telegram(world, BOT_TOKEN, &bots::clock());
        for _ in 0..THINGS {
            world.simulator.post_to_telegram(&answer());
        }
        assert_all_came(&read(&bot, &mut None).await, THINGS);
    })
    .await;
}

/// A message that answers ada.
fn answer() -> NewMessage {
    NewMessage {
        mentions: vec!["ada".to_owned()],
        reply_to: Some("ada".to_owned()),
        ..NewMessage::default()
    }
}

//! A platform that asks to wait: whoever is meant is not asked about before, by anybody, and whoever is not meant is.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::ManualClock;
use platforms::{BotSettings, DiscordBot, TelegramBot};
use protocol::account::AccountType;
use protocol::command::CommandKind;
use protocol::secret::Secret;
use serde_json::json;
use simulator::{BOT_TOKEN, Fault, Handle, Kind, Limit, Platform as At, Route};
use testkit::wait;

use crate::client::{DEADLINE, refused, succeeded};
use crate::simulated::{code, http, linked, platform, simulator, sync};
use crate::world::World;

/// Longer than any account waits for its next sync, shorter than the life of any access token.
const SECONDS: u32 = 5_000;

#[tokio::test]
async fn github_403_with_nothing_left_of_the_window() {
    holds_back_one_account(At::Github, Route::Profile, throttle(Limit::Primary)).await;
}

#[tokio::test]
async fn github_403_of_the_secondary_limit() {
    holds_back_one_account(At::Github, Route::Notifications, throttle(Limit::Secondary)).await;
}

#[tokio::test]
async fn github_429() {
    holds_back_one_account(At::Github, Route::Notifications, status(429)).await;
}

#[tokio::test]
async fn discord_429_of_a_user() {
    holds_back_one_account(At::Discord, Route::Profile, throttle(Limit::Primary)).await;
}

#[tokio::test]
async fn discord_429_while_tokens_are_refreshed() {
    holds_back_one_account(At::Discord, Route::Token, throttle(Limit::Primary)).await;
}

#[tokio::test]
async fn discord_429_of_the_whole_application() {
    holds_back(At::Discord, Route::Profile, throttle(Limit::Secondary), Whom::All).await;
}

#[tokio::test]
async fn discord_403_that_says_when() {
    holds_back_one_account(At::Discord, Route::Profile, status(403)).await;
}

#[tokio::test]
async fn x_429_of_a_window() {
    holds_back_one_account(At::XTwitter, Route::Notifications, throttle(Limit::Primary)).await;
}

#[tokio::test]
async fn x_429_of_a_users_day() {
    holds_back_one_account(At::XTwitter, Route::Profile, throttle(Limit::Secondary)).await;
}

#[tokio::test]
async fn x_429_while_tokens_are_refreshed() {
    holds_back_one_account(At::XTwitter, Route::Token, throttle(Limit::Primary)).await;
}

#[tokio::test]
async fn x_403_that_says_when() {
    holds_back_one_account(At::XTwitter, Route::Notifications, status(403)).await;
}

/// Telegram is asked for its bot's inbox alone; the other bot's is read on.
#[tokio::test]
async fn telegram_429_of_the_bot() {
    let (handle, _serving) = simulator().await;
    let mut world = World::new(Vec::new());
    let clock = Arc::<ManualClock>::clone(&world.clock);
    let telegram = TelegramBot::new(bot(&handle, "telegram"), http(), clock).unwrap();
    world.inboxes.push(Arc::new(telegram));
    let discord = DiscordBot::new(bot(&handle, "discord/api/v10"), http()).unwrap();
    world.inboxes.push(Arc::new(discord));
    handle.fault(Fault::once(
        At::Telegram,
        Route::Notifications,
        throttle(Limit::Primary),
    ));
    let _workers = [world.worker().await, world.worker().await];
    wait::until_true("the throttled turn to end", DEADLINE, async || {
        world.store.ended_inbox_leases(AccountType::Telegram) > 0
    })
    .await;
    world.clock.advance(Duration::from_secs((SECONDS - 1).into()));
    let looks = world.store.inbox_looks();
    let (at_telegram, at_discord) = (asked(&handle, At::Telegram), asked(&handle, At::Discord));
    wait::until_true("discord to be read on", DEADLINE, async || {
        world.store.inbox_looks() > looks + 8 && asked(&handle, At::Discord) > at_discord
    })
    .await;
    assert_eq!(asked(&handle, At::Telegram), at_telegram);
    world.clock.advance(Duration::from_secs(1));
    wait::until_true("telegram to be read on", DEADLINE, async || {
        asked(&handle, At::Telegram) > at_telegram
    })
    .await;
}

/// The whole application is meant, whoever in it was told: also whoever links, gives back, or reads a bot's inbox.
#[tokio::test]
async fn an_application_that_is_to_wait_links_nothing_gives_nothing_back_and_reads_no_inbox() {
    let (handle, _serving) = simulator().await;
    let mut world = World::new(vec![platform(handle.url(), At::Discord)]);
    let bot = DiscordBot::new(bot(&handle, "discord/api/v10"), http()).unwrap();
    let _worker = world.worker().await;
    let mut ada = linked(&world, At::Discord, "ada").await;
    handle.fault(Fault::once(At::Discord, Route::Token, throttle(Limit::Secondary)));
    let mut bob = world.client("bob", "s").await;
    let answer = bob.ask(CommandKind::Connect, code(At::Discord, "bob")).await;
    refused(&answer, "platform_rate_limited");
    assert_eq!(answer["retryAfter"], SECONDS);

    world.inboxes.push(Arc::new(bot));
    let _reader = world.worker().await;
    let before = asked(&handle, At::Discord);
    succeeded(
        &ada.ask(CommandKind::Disconnect, json!({ "accountType": At::Discord }))
            .await,
    );
    let answer = bob.ask(CommandKind::Connect, code(At::Discord, "bobby")).await;
    refused(&answer, "platform_rate_limited");
    let (leases, looks) = (world.store.leases(), world.store.inbox_looks());
    wait::until_true("revocations and inbox to be looked for", DEADLINE, async || {
        world.store.leases() > leases + 2 && world.store.inbox_looks() > looks + 2
    })
    .await;
    assert_eq!(asked(&handle, At::Discord), before);

    world.clock.advance(Duration::from_secs(SECONDS.into()));
    succeeded(&bob.ask(CommandKind::Connect, code(At::Discord, "bobby")).await);
    wait::until_true("the grant to be given back", DEADLINE, async || {
        handle.snapshot().ledger.requests(At::Discord, Route::Revoke) > 0
    })
    .await;
    wait::until_true("the inbox to be read", DEADLINE, async || {
        handle.snapshot().ledger.requests(At::Discord, Route::Notifications) > 0
    })
    .await;
}

#[tokio::test]
async fn a_platform_that_fails_for_an_hour_is_asked_less_and_less_and_another_as_before() {
    const ROUNDS: u64 = 12;
    let (handle, _serving) = simulator().await;
    let world = World::new(vec![
        platform(handle.url(), At::Github),
        platform(handle.url(), At::XTwitter),
    ]);
    let _worker = world.worker().await;
    let mut ada = linked(&world, At::Github, "ada").await;
    succeeded(&ada.ask(CommandKind::Connect, code(At::XTwitter, "ada")).await);
    for route in [Route::Profile, Route::Notifications] {
        let fails = Kind::Status {
            status: 503,
            headers: [].into(),
            body: String::new(),
        };
        handle.fault(Fault::forever(At::Github, route, fails));
    }
    let at_github = asked(&handle, At::Github);
    for _ in 0..ROUNDS {
        let at_x = asked(&handle, At::XTwitter);
        // A little longer than from one sync of X to the next.
        world.clock.advance(Duration::from_secs(6 * 60));
        wait::until_true("x to be asked", DEADLINE, async || asked(&handle, At::XTwitter) > at_x).await;
    }
    let times = asked(&handle, At::Github) - at_github;
    assert!((3..=ROUNDS * 2 / 3).contains(&times), "{times}");
    handle.clear_faults();
    world.clock.advance(Duration::from_secs(60 * 60));
    world
        .counted("postern_worker_syncs_total", &["platform=\"github\"", "\"ok\""], 1)
        .await;
}

/// Whom a platform means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whom {
    One,
    All,
}

async fn holds_back_one_account(at: At, route: Route, fault: Kind) {
    holds_back(at, route, fault, Whom::One).await;
}

async fn holds_back(at: At, route: Route, fault: Kind, whom: Whom) {
    let (handle, _serving) = simulator().await;
    let world = World::new(vec![platform(handle.url(), at)]);
    let _worker = world.worker().await;
    let (mut ada, mut bob) = (linked(&world, at, "ada").await, linked(&world, at, "bob").await);
    succeeded(&sync(&mut ada, at).await);
    succeeded(&sync(&mut bob, at).await);
    // What a sync asks that has nothing new.
    let before = asked(&handle, at);
    succeeded(&sync(&mut bob, at).await);
    let one_sync = asked(&handle, at) - before;

    if route == Route::Token {
        handle.expire(at, "ada");
    }
    handle.fault(Fault::once(at, route, fault));
    let answer = sync(&mut ada, at).await;
    refused(&answer, "platform_rate_limited");
    let wait = answer["retryAfter"].as_u64().unwrap();
    // Where the platform says when, its own seconds are counted, and those of its `Date` begin a little later.
    assert!(wait.abs_diff(SECONDS.into()) <= 1, "{wait}");

    // Nobody who asks, and no account that is due, gets through a second too early.
    world.clock.advance(Duration::from_secs(wait - 1));
    let before = asked(&handle, at);
    if whom == Whom::One {
        world.counted("postern_worker_syncs_total", &["\"ok\""], 4).await;
    }
    let looks = world.store.due_looks();
    wait::until_true("due accounts to be looked for", DEADLINE, async || {
        world.store.due_looks() > looks + 2
    })
    .await;
    refused(&sync(&mut ada, at).await, "platform_rate_limited");
    let of_bob = match whom {
        Whom::One => {
            succeeded(&sync(&mut bob, at).await);
            2 * one_sync
        }
        Whom::All => {
            refused(&sync(&mut bob, at).await, "platform_rate_limited");
            0
        }
    };
    assert_eq!(asked(&handle, at) - before, of_bob);

    world.clock.advance(Duration::from_secs(1));
    succeeded(&sync(&mut ada, at).await);
    succeeded(&sync(&mut bob, at).await);
    assert!(asked(&handle, at) - before >= of_bob + 2 * one_sync);
}

/// How often this platform was asked for anything.
fn asked(handle: &Handle, at: At) -> u64 {
    let ledger = handle.snapshot().ledger;
    let routes = [Route::Token, Route::Profile, Route::Notifications, Route::Revoke];
    routes.into_iter().map(|route| ledger.requests(at, route)).sum()
}

fn throttle(limit: Limit) -> Kind {
    Kind::Throttle {
        limit,
        seconds: SECONDS,
    }
}

/// A status that says in a header how long to wait.
fn status(status: u16) -> Kind {
    Kind::Status {
        status,
        headers: [("retry-after".to_owned(), SECONDS.to_string())].into(),
        body: String::new(),
    }
}

fn bot(handle: &Handle, api: &str) -> BotSettings {
    BotSettings {
        token: Secret::new(BOT_TOKEN),
        api_url: format!("{}/{api}", handle.url()).parse().unwrap(),
    }
}

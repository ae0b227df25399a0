//! Rate limits of platforms: a throttled account, bot or application is not requested before its time, and all others are.

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

use crate::client::{DEADLINE, assert_error, assert_success};
use crate::env::TestEnv;
use crate::simulated_platform::{code, http, linked, platform, simulator, sync};

/// Longer than the sync interval of every account, shorter than the lifetime of every access token.
const SECONDS: u32 = 5_000;

#[tokio::test]
async fn github_403_of_primary_limit_pauses_one_account() {
    assert_pause_of_one_account(At::Github, Route::Profile, throttle(Limit::Primary)).await;
}

#[tokio::test]
async fn github_403_of_secondary_limit_pauses_one_account() {
    assert_pause_of_one_account(At::Github, Route::Notifications, throttle(Limit::Secondary)).await;
}

#[tokio::test]
async fn github_429_pauses_one_account() {
    assert_pause_of_one_account(At::Github, Route::Notifications, status(429)).await;
}

#[tokio::test]
async fn discord_429_of_user_limit_pauses_one_account() {
    assert_pause_of_one_account(At::Discord, Route::Profile, throttle(Limit::Primary)).await;
}

#[tokio::test]
async fn discord_429_of_refresh_pauses_one_account() {
    assert_pause_of_one_account(At::Discord, Route::Token, throttle(Limit::Primary)).await;
}

#[tokio::test]
async fn discord_429_of_global_limit_pauses_the_application() {
    assert_pause(At::Discord, Route::Profile, throttle(Limit::Secondary), Affected::All).await;
}

#[tokio::test]
async fn discord_403_with_retry_after_pauses_one_account() {
    assert_pause_of_one_account(At::Discord, Route::Profile, status(403)).await;
}

#[tokio::test]
async fn x_429_of_window_pauses_one_account() {
    assert_pause_of_one_account(At::XTwitter, Route::Notifications, throttle(Limit::Primary)).await;
}

#[tokio::test]
async fn x_429_of_daily_user_limit_pauses_one_account() {
    assert_pause_of_one_account(At::XTwitter, Route::Profile, throttle(Limit::Secondary)).await;
}

#[tokio::test]
async fn x_429_of_refresh_pauses_one_account() {
    assert_pause_of_one_account(At::XTwitter, Route::Token, throttle(Limit::Primary)).await;
}

#[tokio::test]
async fn x_403_with_retry_after_pauses_one_account() {
    assert_pause_of_one_account(At::XTwitter, Route::Notifications, status(403)).await;
}

/// The platform `telegram` is requested for its bot's inbox only. The inbox of the other bot is still read.
#[tokio::test]
async fn telegram_429_of_bot_pauses_its_inbox_only() {
    let (handle, _serving) = simulator().await;
    let mut env = TestEnv::new(Vec::new());
    let clock = Arc::<ManualClock>::clone(&env.clock);
    let telegram = TelegramBot::new(bot(&handle, "telegram"), http(), clock).unwrap();
    env.inboxes.push(Arc::new(telegram));
    let discord = DiscordBot::new(bot(&handle, "discord/api/v10"), http()).unwrap();
    env.inboxes.push(Arc::new(discord));
    handle.fault(Fault::once(
        At::Telegram,
        Route::Notifications,
        throttle(Limit::Primary),
    ));
    let _workers = [env.worker().await, env.worker().await];
    wait::until_true("the throttled lease to end", DEADLINE, async || {
        env.store.ended_inbox_leases(AccountType::Telegram) > 0
    })
    .await;
    env.clock.advance(Duration::from_secs((SECONDS - 1).into()));
    let queries = env.store.inbox_queries();
    let (at_telegram, at_discord) = (
        request_count(&handle, At::Telegram),
        request_count(&handle, At::Discord),
    );
    wait::until_true("the next read of discord", DEADLINE, async || {
        env.store.inbox_queries() > queries + 8 && request_count(&handle, At::Discord) > at_discord
    })
    .await;
    assert_eq!(request_count(&handle, At::Telegram), at_telegram);
    env.clock.advance(Duration::from_secs(1));
    wait::until_true("the next read of telegram", DEADLINE, async || {
        request_count(&handle, At::Telegram) > at_telegram
    })
    .await;
}

/// A pause of the application applies to connects, revocations and inboxes, whichever request was throttled.
#[tokio::test]
async fn paused_application_does_not_link_revoke_or_read_inbox() {
    let (handle, _serving) = simulator().await;
    let mut env = TestEnv::new(vec![platform(handle.url(), At::Discord)]);
    let bot = DiscordBot::new(bot(&handle, "discord/api/v10"), http()).unwrap();
    let _worker = env.worker().await;
    let mut ada = linked(&env, At::Discord, "ada").await;
    handle.fault(Fault::once(At::Discord, Route::Token, throttle(Limit::Secondary)));
    let mut bob = env.client("bob", "s").await;
    let answer = bob.ask(CommandKind::Connect, code(At::Discord, "bob")).await;
    assert_error(&answer, "platform_rate_limited");
    assert_eq!(answer["retryAfter"], SECONDS);

    env.inboxes.push(Arc::new(bot));
    let _reader = env.worker().await;
    let before = request_count(&handle, At::Discord);
    assert_success(
        &ada.ask(CommandKind::Disconnect, json!({ "accountType": At::Discord }))
            .await,
    );
    let answer = bob.ask(CommandKind::Connect, code(At::Discord, "bobby")).await;
    assert_error(&answer, "platform_rate_limited");
    let (leases, queries) = (env.store.leases(), env.store.inbox_queries());
    wait::until_true("queries of revocations and inboxes", DEADLINE, async || {
        env.store.leases() > leases + 2 && env.store.inbox_queries() > queries + 2
    })
    .await;
    assert_eq!(request_count(&handle, At::Discord), before);

    env.clock.advance(Duration::from_secs(SECONDS.into()));
    assert_success(&bob.ask(CommandKind::Connect, code(At::Discord, "bobby")).await);
    wait::until_true("the grant to be revoked", DEADLINE, async || {
        handle.snapshot().ledger.requests(At::Discord, Route::Revoke) > 0
    })
    .await;
    wait::until_true("the inbox to be read", DEADLINE, async || {
        handle.snapshot().ledger.requests(At::Discord, Route::Notifications) > 0
    })
    .await;
}

#[tokio::test]
async fn failing_platform_is_requested_with_backoff_and_others_as_scheduled() {
    const ROUNDS: u64 = 12;
    let (handle, _serving) = simulator().await;
    let env = TestEnv::new(vec![
        platform(handle.url(), At::Github),
        platform(handle.url(), At::XTwitter),
    ]);
    let _worker = env.worker().await;
    let mut ada = linked(&env, At::Github, "ada").await;
    assert_success(&ada.ask(CommandKind::Connect, code(At::XTwitter, "ada")).await);
    for route in [Route::Profile, Route::Notifications] {
        let fails = Kind::Status {
            status: 503,
            headers: [].into(),
            body: String::new(),
        };
        handle.fault(Fault::forever(At::Github, route, fails));
    }
    let at_github = request_count(&handle, At::Github);
    for round in 1..=ROUNDS {
        // Longer than the sync interval of X. The next due time is set when a sync is committed, not when it is requested.
        env.clock.advance(Duration::from_secs(6 * 60));
        env.wait_for_count(
            "postern_worker_syncs_total",
            &["platform=\"x_twitter\"", "\"ok\""],
            round,
        )
        .await;
    }
    let times = request_count(&handle, At::Github) - at_github;
    assert!((3..=ROUNDS * 2 / 3).contains(&times), "{times}");
    handle.clear_faults();
    env.clock.advance(Duration::from_secs(60 * 60));
    env.wait_for_count("postern_worker_syncs_total", &["platform=\"github\"", "\"ok\""], 1)
        .await;
}

/// Extent of a platform's pause.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Affected {
    One,
    All,
}

async fn assert_pause_of_one_account(at: At, route: Route, fault: Kind) {
    assert_pause(at, route, fault, Affected::One).await;
}

async fn assert_pause(at: At, route: Route, fault: Kind, affected: Affected) {
    let (handle, _serving) = simulator().await;
    let env = TestEnv::new(vec![platform(handle.url(), at)]);
    let _worker = env.worker().await;
    let (mut ada, mut bob) = (linked(&env, at, "ada").await, linked(&env, at, "bob").await);
    assert_success(&sync(&mut ada, at).await);
    assert_success(&sync(&mut bob, at).await);
    // Requests of a sync that finds nothing new.
    let before = request_count(&handle, at);
    assert_success(&sync(&mut bob, at).await);
    let one_sync = request_count(&handle, at) - before;

    if route == Route::Token {
        handle.expire(at, "ada");
    }
    handle.fault(Fault::once(at, route, fault));
    let answer = sync(&mut ada, at).await;
    assert_error(&answer, "platform_rate_limited");
    let wait = answer["retryAfter"].as_u64().unwrap();
    // A `retry-after` counts from the response's `Date`, which is rounded to a second.
    assert!(wait.abs_diff(SECONDS.into()) <= 1, "{wait}");

    // One second early, neither a command nor the schedule sends a request.
    env.clock.advance(Duration::from_secs(wait - 1));
    let before = request_count(&handle, at);
    if affected == Affected::One {
        env.wait_for_count("postern_worker_syncs_total", &["\"ok\""], 4).await;
    }
    let queries = env.store.due_queries();
    wait::until_true("queries of due accounts", DEADLINE, async || {
        env.store.due_queries() > queries + 2
    })
    .await;
    assert_error(&sync(&mut ada, at).await, "platform_rate_limited");
    let of_bob = match affected {
        Affected::One => {
            assert_success(&sync(&mut bob, at).await);
            2 * one_sync
        }
        Affected::All => {
            assert_error(&sync(&mut bob, at).await, "platform_rate_limited");
            0
        }
    };
    assert_eq!(request_count(&handle, at) - before, of_bob);

    env.clock.advance(Duration::from_secs(1));
    assert_success(&sync(&mut ada, at).await);
    assert_success(&sync(&mut bob, at).await);
    assert!(request_count(&handle, at) - before >= of_bob + 2 * one_sync);
}

/// Number of requests to this platform.
fn request_count(handle: &Handle, at: At) -> u64 {
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

/// Response with this status and a `retry-after` header.
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

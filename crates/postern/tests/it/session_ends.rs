//! A thousand sessions on three gateways end at one instant, and every socket hears it once and in time, whatever Redis says or
//! forgets to say of its keys.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::json;
use testkit::Redis;
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::token::claims;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::stage::POSTERN;

#[tokio::test]
async fn a_thousand_sessions_end_at_one_instant_and_every_socket_hears_it_once() {
    let late = lateness(1_000, async |_| {}).await;
    // Ten times what is promised for a machine that does nothing else.
    assert!(late < Duration::from_secs(10), "{late:?}");
}

#[tokio::test]
async fn so_they_do_when_redis_stops_announcing_what_expires() {
    let late = lateness(1_000, async |redis| {
        redis.command(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    })
    .await;
    assert!(late < Duration::from_secs(30), "{late:?}");
}

#[tokio::test]
async fn so_they_do_when_the_subscribers_are_cut_off() {
    let late = lateness(1_000, async |redis| {
        redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    })
    .await;
    assert!(late < Duration::from_secs(30), "{late:?}");
}

/// Opens so many sessions, a socket each, then does something to Redis, and waits for all to end. Gives the worst lateness.
#[expect(clippy::print_stdout, reason = "the figures are for whoever runs this test")]
async fn lateness(sessions: usize, meanwhile: impl AsyncFnOnce(&Redis)) -> Duration {
    // One after the other: opening so many takes all of a small machine, and they end so long after they were written.
    let _turn = ONE_AT_A_TIME.acquire().await.unwrap();
    let redis = Redis::start().await;
    redis.command(&["EVAL", OTHER_KEYS, "0"]).await;
    let cluster = Cluster::builder(POSTERN)
        .redis(&redis)
        .gateways(3)
        .worker_env("POSTERN_SESSION_WARNING", "8s")
        .start()
        .await;
    // They were opened before, Redis has lost them, and all are over at one instant.
    let before = format!(
        "INSERT INTO users (user_id) SELECT 'u-' || n FROM generate_series(0, {sessions} - 1) AS n;
         INSERT INTO sessions (user_id, session_id, exp_at, address)
         SELECT 'u-' || n, 's', date_trunc('milliseconds', now()) + interval '{LIFE} s', '192.0.2.1'
         FROM generate_series(0, {sessions} - 1) AS n"
    );
    cluster.schema().sql(&before).await;
    let begun = Instant::now();
    let sockets: Vec<SocketIo> = stream::iter(0..sessions)
        .map(async |number| connect(&cluster, number).await)
        .buffered(16)
        .collect()
        .await;
    let connected = begun.elapsed();
    let deadlines = deadlines(&redis).await;
    assert_eq!(deadlines.len(), sessions);
    meanwhile(&redis).await;

    let heard = sockets.iter().map(hear);
    let mut late: Vec<Duration> = join_all(heard)
        .await
        .into_iter()
        .enumerate()
        .map(|(number, ended)| ended.saturating_duration_since(deadlines[&format!("u-{number}")]))
        .collect();
    late.sort();
    let at = |share: usize| late[(late.len() - 1) * share / 100];
    println!(
        "{sessions} sessions, open after {connected:?}, ended late by p50 {:?}, p99 {:?}, max {:?}",
        at(50),
        at(99),
        at(100)
    );
    assert_eq!(cluster.finish().await, Vec::<String>::new());
    at(100)
}

async fn connect(cluster: &Cluster, number: usize) -> SocketIo {
    let mut claims = claims(&format!("u-{number}"), Duration::from_secs(3_600));
    claims["sid"] = json!("s");
    SocketIo::connect(&cluster.endpoint(number % 3), &cluster.token_with(&claims))
        .await
        .unwrap()
}

/// One warning and one end, and nothing else until the socket is closed. Gives when the end was heard.
async fn hear(socket: &SocketIo) -> Instant {
    let patience = Duration::from_secs(2 * LIFE);
    socket.next_event_within("security:session_warning", patience).await;
    let expired = socket.next_event_within("security:session_expired", patience).await;
    let heard = Instant::now();
    assert_eq!(expired.data["reason"], json!("idle"));
    assert_eq!(socket.closed().await.code, 4401);
    assert_eq!(socket.unread(), []);
    heard
}

/// When each user's session ends, as Redis has it.
async fn deadlines(redis: &Redis) -> HashMap<String, Instant> {
    let dump = redis.dump("pn:").await;
    let (wall, now) = (millis(redis).await, Instant::now());
    let of_a_session = |line: &str| {
        let (key, value) = line.split_once(": ")?;
        let user = key.strip_prefix("pn:{")?.strip_suffix("}:s:s")?;
        let deadline: u64 = value.split(' ').nth(2)?.parse().ok()?;
        Some((
            user.to_owned(),
            now + Duration::from_millis(deadline.saturating_sub(wall)),
        ))
    };
    dump.lines().filter_map(of_a_session).collect()
}

/// The clock of Redis.
async fn millis(redis: &Redis) -> u64 {
    let time = redis.command(&["TIME"]).await;
    let (seconds, micros) = time.split_once('\n').unwrap();
    seconds.parse::<u64>().unwrap() * 1_000 + micros.parse::<u64>().unwrap() / 1_000
}

/// Seconds from the opening of the first to the end of all.
const LIFE: u64 = 40;
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// A hundred thousand keys that end some other day, as any Redis has them: they keep it from announcing ours in time.
const OTHER_KEYS: &str = "for n = 1, 100000 do redis.call('SET', 'other:' .. n, '', 'EX', 86400) end";

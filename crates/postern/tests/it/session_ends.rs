//! A thousand sessions on three gateways expire at once, and every socket is notified once and in time; and so are those of hundreds
//! without keyspace events of Redis.

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
async fn thousand_sessions_that_expire_at_once_notify_every_socket_once() {
    let late = lateness(THOUSAND, async |_| {}).await;
    // Ten times the documented bound for an idle machine.
    assert!(late < Duration::from_secs(10), "{late:?}");
}

#[tokio::test]
async fn sessions_expire_on_time_without_keyspace_events() {
    let late = lateness(HUNDREDS, async |redis| {
        redis.command(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    })
    .await;
    assert!(late < Duration::from_secs(30), "{late:?}");
}

#[tokio::test]
async fn sessions_expire_on_time_with_subscribers_disconnected() {
    let late = lateness(HUNDREDS, async |redis| {
        redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    })
    .await;
    assert!(late < Duration::from_secs(30), "{late:?}");
}

/// Opens so many sessions, a socket each, then disturbs Redis, and waits for all to expire. Returns the worst lateness.
#[expect(clippy::print_stdout, reason = "the figures are for whoever runs this test")]
async fn lateness(Crowd { sessions, life }: Crowd, meanwhile: impl AsyncFnOnce(&Redis)) -> Duration {
    // One test at a time: opening so many takes all of a small machine, and their deadlines are fixed when they are opened.
    let _permit = ONE_AT_A_TIME.acquire().await.unwrap();
    let redis = Redis::start().await;
    redis.command(&["EVAL", OTHER_KEYS, "0"]).await;
    let cluster = Cluster::builder(POSTERN)
        .redis(&redis)
        .gateways(3)
        .worker_env("POSTERN_SESSION_WARNING", "8s")
        .start()
        .await;
    // Opened before and lost by Redis, all of them expire at once.
    let before = format!(
        "INSERT INTO users (user_id) SELECT 'u-' || n FROM generate_series(0, {sessions} - 1) AS n;
         INSERT INTO sessions (user_id, session_id, exp_at, address)
         SELECT 'u-' || n, 's', date_trunc('milliseconds', now()) + interval '{life} s', '192.0.2.1'
         FROM generate_series(0, {sessions} - 1) AS n"
    );
    cluster.schema().sql(&before).await;
    let started = Instant::now();
    let sockets: Vec<SocketIo> = stream::iter(0..sessions)
        .map(async |number| connect(&cluster, number).await)
        .buffered(16)
        .collect()
        .await;
    let connected = started.elapsed();
    let deadlines = deadlines(&redis).await;
    assert_eq!(deadlines.len(), sessions);
    meanwhile(&redis).await;

    let received = sockets.iter().map(|socket| warning_and_expiry(socket, life));
    let mut late: Vec<Duration> = join_all(received)
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

/// Asserts one warning and one expiry, and no other event until the socket is closed. Returns the time of the expiry.
async fn warning_and_expiry(socket: &SocketIo, life: u64) -> Instant {
    let patience = Duration::from_secs(2 * life);
    socket.next_event_within("security:session_warning", patience).await;
    let expired = socket.next_event_within("security:session_expired", patience).await;
    let received = Instant::now();
    assert_eq!(expired.data["reason"], json!("idle"));
    assert_eq!(socket.closed().await.code, 4401);
    assert_eq!(socket.unread(), []);
    received
}

/// Deadlines of all users' sessions in Redis.
async fn deadlines(redis: &Redis) -> HashMap<String, Instant> {
    let dump = redis.dump("pn:").await;
    let (wall, now) = (millis(redis).await, Instant::now());
    let of_a_session = |line: &str| {
        let (key, value) = line.split_once(": ")?;
        let user = key.strip_prefix("pn:{")?.strip_suffix("}:s:s")?;
        let deadline: u64 = value.split(' ').nth(3)?.parse().ok()?;
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

/// Sessions that expire at once.
#[derive(Clone, Copy)]
struct Crowd {
    sessions: usize,
    /// Seconds from the opening of the first session to the expiry of all.
    life: u64,
}

const THOUSAND: Crowd = Crowd {
    sessions: 1_000,
    life: 40,
};
const HUNDREDS: Crowd = Crowd {
    sessions: 300,
    life: 25,
};
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// A hundred thousand keys that expire much later: they delay Redis' announcement of the sessions' keys.
const OTHER_KEYS: &str = "for n = 1, 100000 do redis.call('SET', 'other:' .. n, '', 'EX', 86400) end";

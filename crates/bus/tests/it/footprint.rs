//! Memory of one user in Redis: each role is used far beyond the rate limits, with ids of the longest length.
//! docs/operations/redis-memory.md has the bound and its parts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{
    Bucket, Bus, ChallengeKey, OpenSocket, PendingLink, Quota, RedisBus, RedisSettings, ResumeToken, ResumeTokenKey,
    SessionKey, SessionSeed, TokenTimes,
};
use futures_util::future::join_all;
use lifecycle::SystemClock;
use protocol::account::AccountType;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::origin::Origin;
use protocol::id::{ConnectionId, EventId, ResumeTokenId, SessionId, UserId};
use protocol::json::Json;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use testkit::Redis;

use crate::nodes::{connect, connect_to_protected_cluster, protected_cluster, runtime};
use crate::sample::{event, node, offset};

/// Number of entries per role, above its bound.
const MOST: u64 = 5 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_one_user_stays_within_its_bound() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    fill(&*bus).await;
    let bytes = bytes_by_kind(&[&redis], "pn").await;
    println!("{bytes:#?}");
    check(&bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_one_user_in_a_cluster_stays_within_its_bound() {
    let (cluster, _) = protected_cluster().await;
    let prefix = cluster.prefix();
    let bus = connect_to_protected_cluster(&prefix).await;
    fill(&*bus).await;
    let primaries: Vec<&Redis> = cluster
        .primaries()
        .await
        .into_iter()
        .map(|index| cluster.node(index))
        .collect();
    let bytes = bytes_by_kind(&primaries, &prefix).await;
    println!("{bytes:#?}");
    check(&bytes);
}

/// A new kind of key is to be forgotten too, or to be named here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgotten_user_leaves_ends_of_sessions_offset_and_rate_limits_alone() {
    let redis = Redis::start().await;
    let settings = RedisSettings::new(redis.url().parse().unwrap());
    let bus = RedisBus::connect(&settings, &runtime(Arc::new(SystemClock)))
        .await
        .unwrap();
    fill(&bus).await;
    let filled = bytes_by_kind(&[&redis], "pn").await;
    bus.forget_user(&UserId::new("}".repeat(128)).unwrap()).await.unwrap();
    let mut left = bytes_by_kind(&[&redis], "pn").await;
    let kept = ["ended", "link", "nodes", "oauth", "pos", "rl", "s", "sids", "w"];
    assert!(filled.len() > kept.len(), "{filled:?}");
    left.retain(|kind, _| !kept.contains(&kind.as_str()));
    assert_eq!(left, BTreeMap::new());
    // Only the owners of states are left of the authorizations, for ten minutes.
    assert_eq!(redis.command(&["KEYS", "*}:oauth"]).await, "");
}

/// Uses every role as one user, beyond its bound.
async fn fill(bus: &dyn Bus) {
    let user = UserId::new("}".repeat(128)).unwrap();
    publish_events(bus, &user).await;
    keep_challenges(bus, &user).await;
    open_sessions(bus, &user).await;
    come_and_go(bus, &user).await;
    ask_limits(bus, &user).await;
}

/// Memory of all keys with this prefix, by their kinds.
async fn bytes_by_kind(servers: &[&Redis], prefix: &str) -> BTreeMap<String, u64> {
    let mut bytes = BTreeMap::<String, u64>::new();
    for redis in servers {
        let keys = redis.command(&["KEYS", &format!("{prefix}:*")]).await;
        for key in keys.lines() {
            let used = redis.command(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).await;
            let kind = key.rsplit("}:").next().unwrap();
            let kind = kind.strip_prefix(&format!("{prefix}:")).unwrap_or(kind);
            let kind = kind.split(':').next().unwrap().to_owned();
            // Empty where the key has expired meanwhile.
            *bytes.entry(kind).or_default() += used.parse::<u64>().unwrap_or(0);
        }
    }
    bytes
}

fn check(bytes: &BTreeMap<String, u64>) {
    let bound = |what: &str, most: u64| {
        let used = bytes[what];
        assert!(used > 0 && used <= most, "{what}: {used} bytes, and not {most}");
    };
    bound("log", 2_700_000);
    bound("eids", 150_000);
    bound("oauth", 70_000);
    bound("link", 60_000);
    bound("confirm", 40_000);
    bound("2fa", 400_000);
    bound("stepup", 40_000);
    bound("pids", 100_000);
    bound("conn", 240_000);
    bound("seen", 320_000);
    bound("s", 285_000);
    bound("w", 255_000);
    bound("sids", 150_000);
    bound("rl", 400_000);
    let all: u64 = bytes.values().sum();
    assert!(all <= MOST, "{all}");
}

/// Publishes more and larger events than a log keeps, each with the longest id.
async fn publish_events(bus: &dyn Bus, user: &UserId) {
    let events = (0..1_000).map(|number| Envelope {
        id: EventId::new(long("e", number)).unwrap(),
        data: Json::of(&"x".repeat(16 * 1024)),
        ..event(number)
    });
    for event in events {
        bus.publish(user, &event).await.unwrap();
    }
}

/// Stores more challenges of each kind than a user may have, and as many global ones as ten a minute are.
async fn keep_challenges(bus: &dyn Bus, user: &UserId) {
    let (word, record) = ([b'x'; 128], [b'x'; 4_096]);
    for number in 0..2_000 {
        let (user, name) = (user.clone(), long("c", number));
        let hash = format!("{number:064}");
        let keys: [(ChallengeKey, &[u8]); 4] = [
            (
                ChallengeKey::Authorize {
                    user: user.clone(),
                    state_hash: hash.clone(),
                },
                &record,
            ),
            (
                ChallengeKey::Confirmation {
                    user: user.clone(),
                    hash,
                },
                b"issued",
            ),
            (
                ChallengeKey::TwoFactor {
                    user: user.clone(),
                    id: name.clone(),
                },
                &word,
            ),
            (
                ChallengeKey::StepUp {
                    user,
                    of: format!("{name}:{name}"),
                },
                b"given",
            ),
        ];
        let kept = keys.iter().map(|(key, value)| bus.put(key, value, LIFE));
        assert!(join_all(kept).await.iter().all(Result::is_ok));
    }
    let both = [user.as_str(), user.as_str()].join("\n");
    for number in 0..110 {
        let state = ChallengeKey::State {
            hash: format!("{number:064}"),
        };
        bus.put(&state, user.as_str().as_bytes(), LIFE).await.unwrap();
        let link = PendingLink::key(AccountType::Github, &Secret::new(number.to_string()), &Secret::new("c"));
        bus.put(&link, both.as_bytes(), LIFE).await.unwrap();
    }
}

/// Registers more sessions than the bound.
async fn open_sessions(bus: &dyn Bus, user: &UserId) {
    let newest = Timestamp::from_millis(1_764_000_000_000);
    let seed = SessionSeed {
        left: LIFE,
        timeout: LIFE,
        lead: LIFE / 2,
        opened_at: newest,
        tokens: TokenTimes {
            issued_at: Some(newest),
            expires_at: Some(newest),
        },
        announced: None,
    };
    for number in 0..600 {
        let key = SessionKey {
            user: user.clone(),
            session: SessionId::new(long("s", number)).unwrap(),
        };
        bus.seed(&key, seed).await.unwrap();
    }
}

/// Registers more sockets, devices and resume tokens than the bounds, each of a session of its own.
async fn come_and_go(bus: &dyn Bus, user: &UserId) {
    let start = offset(bus, user).await;
    bus.renew_node(&node("gw"), LIFE).await.unwrap();
    for number in 0..600 {
        let (session, connection) = (
            SessionId::new(long("s", number)).unwrap(),
            ConnectionId::new(long("c", number)).unwrap(),
        );
        let key = ResumeTokenKey {
            user: user.clone(),
            id: ResumeTokenId::new(long("t", number)).unwrap(),
        };
        let token = ResumeToken {
            session: session.clone(),
            connection: connection.clone(),
            start: start.clone(),
        };
        bus.issue_token(&key, &token, 128).await.unwrap();
        let origin = Origin {
            address: "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".to_owned(),
            device_id: Some(wide(number)),
            device_name: Some(wide(number)),
            user_agent: Some(long("u", number).repeat(2)),
        };
        // A full set is cleared: here it is just full.
        if number < 254 {
            bus.mark_seen(user, &origin).await.unwrap();
        }
        let present = OpenSocket {
            connection,
            node: node("gw"),
            session,
            connected_at: Timestamp::from_millis(i64::try_from(number).unwrap()),
            origin,
        };
        bus.register_socket(user, &present, 64).await.unwrap();
    }
    bus.begin_alert_check(user, &long("l", 0)).await.unwrap();
}

/// Creates as many rate cells as a user's commands of a minute use, each for a session of its own.
async fn ask_limits(bus: &dyn Bus, user: &UserId) {
    let quota = Quota {
        count: 10,
        period: Duration::from_secs(60),
    };
    for number in 0..180 {
        for name in ["protection", "request_confirmation"] {
            let of = Some(long("s", number));
            bus.admit(user, &Bucket { name, scope: of }, quota).await.unwrap();
        }
    }
    for name in [
        "connect",
        "disconnect",
        "authorize",
        "update_settings",
        "confirm_link",
        "commands",
    ] {
        bus.admit(user, &Bucket { name, scope: None }, quota).await.unwrap();
    }
}

/// Name of 128 characters, all of which are percent-encoded in keys.
fn long(kind: &str, number: u64) -> String {
    format!("{kind}{number:>127}").replace(' ', "}")
}

/// Longest device name that a gateway passes on: 256 characters of several bytes.
fn wide(number: u64) -> String {
    format!("{number:0>8}{}", "\u{1f511}".repeat(248))
}

const LIFE: Duration = Duration::from_secs(300);

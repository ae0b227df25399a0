//! Leftovers: every key has a TTL, a drain closes all connections, and no error contains a secret.

use std::sync::Arc;
use std::time::Duration;

use bus::{
    Bucket, Bus, ChallengeKey, EndAllSessions, Quota, RedisBus, ResumeToken, ResumeTokenKey, SessionKey, SessionSeed,
    TokenTimes,
};
use lifecycle::SystemClock;
use protocol::cluster::job::Lane;
use protocol::fault::chain;
use protocol::id::{ConnectionId, ResumeTokenId, SessionId};
use protocol::time::Timestamp;
use testkit::{Redis, wait};

use crate::nodes::{SHORT_WAIT, TestSubscriptions, connect, runtime};
use crate::sample::{event, job, node, offset, publish, reply, user, worker};

#[tokio::test]
async fn every_key_except_lanes_has_a_ttl() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    use_everything(&*bus).await;
    let keys = redis.command(&["KEYS", "*"]).await;
    assert!(keys.lines().count() >= 8, "{keys}");
    for key in keys.lines().filter(|key| !key.starts_with("pn:{jobs:")) {
        let life: i64 = redis.command(&["TTL", key]).await.parse().unwrap();
        assert!(life > 0, "{key} has no TTL");
    }
}

#[tokio::test]
async fn drained_bus_closes_all_connections() {
    let redis = Redis::start().await;
    let settings = bus::RedisSettings {
        limits_url: Some(format!("{}/1", redis.url()).parse().unwrap()),
        ..bus::RedisSettings::new(redis.url().parse().unwrap())
    };
    let runtime = runtime(Arc::new(SystemClock));
    let tasks = runtime.tasks.clone();
    let bus = RedisBus::connect(&settings, &runtime).await;
    let bus: Arc<dyn Bus> = Arc::new(bus.unwrap());
    let subscriptions = TestSubscriptions::open(&*bus).await;
    let replies = bus.subscribe_replies(&node("gw-1")).await.unwrap();
    use_everything(&*bus).await;
    assert!(clients(&redis).await >= 5);

    let report = tasks.drain(wait::deadline()).await;
    assert!(report.is_clean(), "{report}");
    drop((bus, subscriptions, replies));
    wait::until_true("all connections to close", wait::deadline(), async || {
        clients(&redis).await == 0
    })
    .await;
}

#[tokio::test]
async fn errors_do_not_quote_commands() {
    let mut redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    redis.command(&["SET", "pn:{GEN-001}:pos", "of another type"]).await;
    let wrong_type = bus.publish(&user("GEN-001"), &event(1)).await.unwrap_err();
    redis.pause();
    let stopped = bus.publish(&user("GEN-001"), &event(1)).await.unwrap_err();
    for error in [wrong_type, stopped] {
        let line = chain(&error);
        assert!(line.starts_with("publish an event: "), "{line}");
        for sent in ["GEN-001", "e-1", "status_changed", "s-1"] {
            assert!(!line.contains(sent), "{line}");
        }
    }
}

async fn use_everything(bus: &dyn Bus) {
    let (user, lane) = (user("GEN-001"), Lane::Interactive);
    publish(bus, &user, 1).await;
    let start = offset(bus, &crate::sample::user("new")).await;
    let token = ResumeTokenKey {
        user: user.clone(),
        id: ResumeTokenId::new("t-1").unwrap(),
    };
    let (session, connection) = (SessionId::new("s-1").unwrap(), ConnectionId::new("c-1").unwrap());
    let issued = ResumeToken {
        session,
        connection,
        start,
    };
    let lease = bus.issue_token(&token, &issued, 128).await.unwrap();
    assert_eq!(bus.renew_tokens(&[lease]).await.unwrap(), [true]);
    bus.submit(lane, &job("j-1", 1), Duration::from_secs(60)).await.unwrap();
    bus.claim(lane, &worker("w-1"), 1, SHORT_WAIT).await.unwrap();
    bus.reply(&node("gw-1"), &reply("j-1")).await.unwrap();
    let key = ChallengeKey::State {
        hash: "00ff".to_owned(),
    };
    let owned = ChallengeKey::Confirmation {
        user: user.clone(),
        hash: "00ff".to_owned(),
    };
    for key in [key, owned] {
        bus.put(&key, b"encrypted", Duration::from_secs(60)).await.unwrap();
    }
    let bucket = Bucket {
        name: "connect",
        scope: None,
    };
    let quota = Quota {
        count: 1,
        period: Duration::from_secs(60),
    };
    bus.admit(&user, &bucket, quota).await.unwrap();
    use_sessions(bus).await;
}

async fn use_sessions(bus: &dyn Bus) {
    let opened_at = Timestamp::from_millis(1_000);
    let seed = SessionSeed {
        left: Duration::from_secs(60),
        timeout: Duration::from_secs(60),
        lead: Duration::from_secs(5),
        opened_at,
        tokens: TokenTimes::UNKNOWN,
        announced: None,
    };
    let keys = ["alive", "announced", "unknown", "ended"].map(|name| SessionKey {
        user: user("GEN-001"),
        session: SessionId::new(name).unwrap(),
    });
    for known in &keys[..2] {
        bus.seed(known, seed).await.unwrap();
    }
    let token = TokenTimes {
        issued_at: Some(opened_at),
        expires_at: None,
    };
    bus.record_token(&keys[0], token).await.unwrap();
    bus.announce_end(&keys[1..3]).await.unwrap();
    bus.end(&keys[3], opened_at, Duration::from_secs(60)).await.unwrap();
    let all = EndAllSessions {
        ended_at: opened_at,
        except: None,
    };
    bus.end_all(&user("GEN-001"), &all, Duration::from_secs(60))
        .await
        .unwrap();
}

/// Number of connections, without the asking one.
async fn clients(redis: &Redis) -> usize {
    let list = redis.command(&["CLIENT", "LIST"]).await;
    list.lines().filter(|line| !line.contains("cmd=client|list")).count()
}

//! Formats of all keys in Redis: each is written as `formats/keys.txt` has it, and read from it. A changed format needs a new version, or a
//! key of another name (docs/operations/upgrading.md), so that two releases can run side by side.

mod newer;
mod stored;

use std::time::Duration;

use bus::{
    Bucket, Bus, ChallengeKey, EndAllSessions, JoinOutcome, LogRead, OpenSocket, Quota, ResumeToken, ResumeTokenKey,
    SessionKey, SessionSeed, SessionState, Share, SocketJoin, TokenTimes,
};
use protocol::cluster::job::Lane::{Interactive, Platform};
use protocol::cluster::job::{Job, Work};
use protocol::cluster::offset::{Epoch, Offset};
use protocol::cluster::origin::Origin;
use protocol::id::{ConnectionId, JobId, ResumeTokenId, SessionId};
use protocol::time::Timestamp;
use testkit::{Redis, wait};

use self::stored::{checked_in, stored_keys};
use crate::nodes::connect;
use crate::sample::{HALF_AN_HOUR, event, job, node, offset, publish, reply, user, worker};

const MINUTE: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(10);
const QUOTA: Quota = Quota {
    count: 5,
    period: MINUTE,
};

#[tokio::test]
async fn keys_are_written_in_the_checked_in_formats() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    write_events_and_sessions(&*bus).await;
    write_sockets(&*bus).await;
    write_challenges_and_limits(&*bus).await;
    write_jobs(&*bus, &redis).await;
    let epoch = offset(&*bus, &user("u")).await.epoch;
    let written = stored_keys(&redis, &epoch).await;
    for (written, checked_in) in written.iter().zip(checked_in()) {
        assert_eq!(*written, checked_in);
    }
    assert_eq!(written.len(), checked_in().count());
}

#[tokio::test]
async fn keys_in_the_checked_in_formats_are_read() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let epoch = Epoch::new("0badcafe").unwrap();
    for key in checked_in() {
        key.store(&redis, &epoch).await;
    }
    let read = bus.read_log(&user("u"), &at(&epoch, 0), 9).await.unwrap();
    let LogRead::Events(events) = read else {
        panic!("{read:?}")
    };
    assert_eq!((&events[0].0, &events[0].1.id), (&at(&epoch, 1), &event(1).id));
    assert_eq!(bus.unrestored_epoch(&user("u")).await.unwrap(), Some(epoch.clone()));
    let sessions = ["s-1", "s-2", "s-3"].map(|session| key("u", session));
    let states = bus.check_ttl(&sessions).await.unwrap();
    let SessionState::Alive(alive) = &states[0] else {
        panic!("{states:?}")
    };
    assert_eq!((alive.timeout, alive.lead), (HALF_AN_HOUR.timeout, HALF_AN_HOUR.lead));
    assert_eq!(alive.latest_token_expiry, Some(Timestamp::from_millis(3_000)));
    assert!(matches!(&states[1..], [SessionState::Ending(_), SessionState::Ended]));
    assert_eq!(bus.alive_sessions(&user("u")).await.unwrap().len(), 1);
    assert_eq!(bus.seed(&key("v", "s-2"), OPENED).await.unwrap(), SessionState::Ended);
    assert!(matches!(
        bus.seed(&key("v", "s-1"), OPENED).await.unwrap(),
        SessionState::Alive(_)
    ));
    assert_eq!(bus.open_sockets(&user("u")).await.unwrap(), [socket()]);
    for (id, redemption) in [("t-1", 1), ("t-2", 2)] {
        let (session, now) = (SessionId::new("s-1").unwrap(), Timestamp::from_millis(6_000));
        let redeemed = bus.redeem_token(&token(id), &session, now).await.unwrap().unwrap();
        assert_eq!(redeemed.token.start, at(&epoch, 1));
        assert_eq!(redeemed.lease.redemption, redemption);
    }
    assert!(bus.hint(&user("u"), &origin()).await.unwrap().seen);
    assert!(bus.hint(&user("v"), &origin()).await.unwrap().no_open_alerts);
    for (challenge, value) in challenges() {
        assert_eq!(bus.read(&challenge).await.unwrap(), Some(value.as_bytes().to_vec()));
    }
    read_jobs(&*bus).await;
}

async fn read_jobs(bus: &dyn Bus) {
    let claimed = bus
        .claim(Interactive, &worker("w-1"), 9, wait::deadline())
        .await
        .unwrap();
    let text = |job| serde_json::to_string(job).unwrap();
    assert_eq!(text(&claimed[0].job), text(&job("j-1", 5)));
    let replies = bus.stored_replies(&node("gw-1"), &[JobId::new("j-1").unwrap()]).await;
    assert_eq!(replies.unwrap(), [reply("j-1")]);
}

/// A key that the catalogue has and the file lacks could change unnoticed.
#[test]
fn each_key_of_the_catalogue_has_a_checked_in_format() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redis.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `<prefix>"));
    let patterns: Vec<_> = rows
        .filter(|row| !row.contains("channel |") && !row.contains("{probe:"))
        .map(|row| row.split('`').nth(1).unwrap())
        .collect();
    assert!(patterns.len() > 20, "{patterns:?}");
    let keys: Vec<_> = checked_in().map(|stored| stored.key).collect();
    for pattern in patterns {
        assert!(keys.iter().any(|key| fills(pattern, key)), "{pattern}");
    }
}

/// Reports whether a key fills a pattern.
fn fills(pattern: &str, key: &str) -> bool {
    let mut rest = key;
    let mut fixed = pattern.split('<').filter_map(|part| Some(part.split_once('>')?.1));
    let is_found = fixed.all(|part| {
        let Some((_value, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
        true
    });
    is_found && pattern.matches(':').count() == key.matches(':').count()
}

async fn write_events_and_sessions(bus: &dyn Bus) {
    publish(bus, &user("u"), 1).await;
    bus.seed(&key("u", "s-1"), OPENED).await.unwrap();
    bus.announce_end(&[key("u", "s-2")]).await.unwrap();
    let ended_at = Timestamp::from_millis(2_000);
    bus.end(&key("u", "s-3"), ended_at, MINUTE).await.unwrap();
    let except = Some(SessionId::new("s-1").unwrap());
    bus.end_all(&user("v"), &EndAllSessions { ended_at, except }, MINUTE)
        .await
        .unwrap();
}

async fn write_sockets(bus: &dyn Bus) {
    bus.renew_node(&node("gw-1"), LEASE).await.unwrap();
    let join = SocketJoin {
        session: key("u", "s-1"),
        token: OPENED.tokens,
        socket: socket(),
        max_sockets: 9,
        resume_token: Some(token("t-1").id),
        alert_check: None,
    };
    assert!(matches!(bus.join(&join).await.unwrap(), JoinOutcome::Joined(_)));
    let issued = ResumeToken {
        session: SessionId::new("s-1").unwrap(),
        connection: ConnectionId::new("c-2").unwrap(),
        start: offset(bus, &user("u")).await,
    };
    bus.issue_token(&token("t-2"), &issued, 9).await.unwrap();
    let attempted_at = Timestamp::from_millis(5_000);
    let redeemed = bus.redeem_token(&token("t-2"), &issued.session, attempted_at).await;
    assert!(redeemed.unwrap().is_some());
    bus.mark_seen(&user("u"), &origin()).await.unwrap();
    for user in [user("u"), user("v")] {
        bus.begin_alert_check(&user, "check-1").await.unwrap();
    }
    bus.mark_no_open_alerts(&user("v"), "check-1").await.unwrap();
}

async fn write_challenges_and_limits(bus: &dyn Bus) {
    for (challenge, value) in challenges() {
        bus.put(&challenge, value.as_bytes(), MINUTE).await.unwrap();
    }
    let bucket = |name, scope: Option<&str>| Bucket {
        name,
        scope: scope.map(str::to_owned),
    };
    let user = user("u");
    bus.admit(&user, &bucket("connect", None), QUOTA).await.unwrap();
    let share = Share { member: "m", most: 1 };
    let guess = bucket("guess", Some("s-1"));
    bus.admit_shared_attempt(&user, &guess, QUOTA, &share).await.unwrap();
    bus.admit_global_attempt(&bucket("address", Some("a")), QUOTA)
        .await
        .unwrap();
}

async fn write_jobs(bus: &dyn Bus, redis: &Redis) {
    bus.submit(Interactive, &job("j-1", 5), MINUTE).await.unwrap();
    bus.reply(&node("gw-1"), &reply("j-1")).await.unwrap();
    let of_application = Job {
        work: Work::EndAllSessions,
        ..job("j-2", 0)
    };
    bus.submit(Platform, &of_application, MINUTE).await.unwrap();
    let claimed = bus.claim(Platform, &worker("w-1"), 9, wait::deadline()).await.unwrap();
    // Two workers have lost it.
    let lost = [
        "XCLAIM",
        "pn:{jobs:platform}",
        "workers",
        "w-2",
        "0",
        claimed[0].entry.0.as_str(),
    ];
    redis
        .command(&[&lost[..], &["IDLE", "3000", "RETRYCOUNT", "2"][..]].concat())
        .await;
    wait::until_true("the job to be given up", wait::deadline(), async || {
        let found = bus.claim(Platform, &worker("w-1"), 9, Duration::from_secs(1)).await;
        assert!(found.unwrap().is_empty());
        redis.command(&["XLEN", "pn:{jobs:platform}"]).await == "0"
    })
    .await;
}

fn challenges() -> [(ChallengeKey, &'static str); 6] {
    let (user, [aa, bb, cc, dd]) = (user("u"), ["aa", "bb", "cc", "dd"].map(str::to_owned));
    let authorize = ChallengeKey::Authorize {
        user: user.clone(),
        state_hash: aa,
    };
    let confirmation = ChallengeKey::Confirmation {
        user: user.clone(),
        hash: bb,
    };
    let two_factor = ChallengeKey::TwoFactor {
        user: user.clone(),
        id: "i-1".to_owned(),
    };
    let step_up = ChallengeKey::StepUp {
        user,
        of: "s-1:c-1".to_owned(),
    };
    [
        (authorize, "record"),
        (confirmation, "issued"),
        (ChallengeKey::State { hash: cc }, "u"),
        (ChallengeKey::PendingLink { hash: dd }, "u\ns-1"),
        (two_factor, "s-1"),
        (step_up, "given"),
    ]
}

/// Session with known times.
const OPENED: SessionSeed = SessionSeed {
    tokens: TokenTimes {
        issued_at: Some(Timestamp::from_millis(2_000)),
        expires_at: Some(Timestamp::from_millis(3_000)),
    },
    ..HALF_AN_HOUR
};

fn key(of: &str, session: &str) -> SessionKey {
    SessionKey {
        user: user(of),
        session: SessionId::new(session).unwrap(),
    }
}

fn token(id: &str) -> ResumeTokenKey {
    ResumeTokenKey {
        user: user("u"),
        id: ResumeTokenId::new(id).unwrap(),
    }
}

fn socket() -> OpenSocket {
    OpenSocket {
        connection: ConnectionId::new("c-1").unwrap(),
        node: node("gw-1"),
        session: SessionId::new("s-1").unwrap(),
        connected_at: Timestamp::from_millis(4_000),
        origin: origin(),
    }
}

fn origin() -> Origin {
    Origin {
        address: "192.0.2.7".to_owned(),
        device_id: Some("d-1".to_owned()),
        device_name: None,
        user_agent: None,
    }
}

fn at(epoch: &Epoch, seq: u64) -> Offset {
    Offset {
        epoch: epoch.clone(),
        seq,
    }
}

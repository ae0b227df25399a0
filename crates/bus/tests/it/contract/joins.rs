//! Joins: one step for a socket that becomes live.

use bus::{
    Bus, Hint, JoinOutcome, JoinedSocket, OpenSocket, RecordedSignIn, ResumeLease, ResumeTokenKey, SessionKey,
    SessionState, SocketJoin, TokenTimes,
};
use futures_util::future::join_all;
use protocol::cluster::origin::Origin;
use protocol::id::{ConnectionId, ResumeTokenId, SessionId};
use protocol::time::Timestamp;
use testkit::{Redis, wait};

use crate::nodes::connect;
use crate::sample::{HALF_AN_HOUR, node, offset, publish, user};

test_all!(
    join_registers_the_socket_and_issues_its_resume_token,
    join_without_resume_token_issues_none,
    join_of_a_session_that_is_not_live_does_nothing,
    join_records_the_newest_token,
    join_above_the_cap_of_sockets_names_those_to_close,
    concurrent_joins_above_the_cap_close_the_surplus_and_no_more,
    tokens_of_a_flooding_session_are_evicted_before_those_of_another,
    each_of_a_thousand_sockets_has_a_resume_token,
    join_reads_the_hints,
    join_of_an_unknown_session_starts_its_check_for_open_alerts,
);

async fn join_registers_the_socket_and_issues_its_resume_token(bus: &dyn Bus) {
    prepare(bus).await;
    publish(bus, &user("u"), 1).await;
    let join = join("a", "s-1");
    let joined = joined(bus, &join).await;
    assert!(joined.session.left <= HALF_AN_HOUR.left && joined.session.left > HALF_AN_HOUR.left - wait::deadline());
    assert_eq!(joined.offset, offset(bus, &user("u")).await);
    assert_eq!((joined.offset.seq, joined.surplus.len()), (1, 0));
    assert_eq!(bus.open_sockets(&user("u")).await.unwrap(), [join.socket]);
    let lease = joined.lease.unwrap();
    assert_eq!(lease, self::lease("a"));
    assert_eq!(bus.renew_tokens(std::slice::from_ref(&lease)).await.unwrap(), [true]);
    publish(bus, &user("u"), 2).await;
    let (of, at) = (SessionId::new("s-1").unwrap(), Timestamp::from_millis(1));
    let redeemed = bus.redeem_token(&lease.key, &of, at).await.unwrap().unwrap();
    assert_eq!(redeemed.token.connection.as_str(), "a");
    assert_eq!(redeemed.token.start, joined.offset);
    assert_eq!(redeemed.lease.redemption, 1);
}

async fn join_without_resume_token_issues_none(bus: &dyn Bus) {
    prepare(bus).await;
    let join = SocketJoin {
        resume_token: None,
        ..join("a", "s-1")
    };
    let joined = joined(bus, &join).await;
    assert_eq!((joined.lease, joined.offset.seq), (None, 0));
    assert_eq!(redeem(bus, "a", "s-1").await, None);
}

async fn join_of_a_session_that_is_not_live_does_nothing(bus: &dyn Bus) {
    prepare(bus).await;
    let [ending, ended] = ["s-2", "s-3"].map(session);
    bus.seed(&ending, HALF_AN_HOUR).await.unwrap();
    bus.announce_end(std::slice::from_ref(&ending)).await.unwrap();
    bus.end(&ended, Timestamp::from_millis(2_000), wait::deadline())
        .await
        .unwrap();
    for name in ["s-2", "s-3", "s-4"] {
        let outcome = bus.join(&join(name, name)).await.unwrap();
        let state = bus.check_ttl(&[session(name)]).await.unwrap().remove(0);
        assert_eq!(outcome, JoinOutcome::Refused(state));
        assert!(!matches!(state, SessionState::Alive(_)), "{name}: {state:?}");
        assert_eq!(redeem(bus, name, name).await, None);
    }
    assert_eq!(bus.open_sockets(&user("u")).await.unwrap(), []);
}

/// Times of a token.
fn token(issued_at: i64, expires_at: i64) -> TokenTimes {
    TokenTimes {
        issued_at: Some(Timestamp::from_millis(issued_at)),
        expires_at: Some(Timestamp::from_millis(expires_at)),
    }
}

async fn join_records_the_newest_token(bus: &dyn Bus) {
    prepare(bus).await;
    let last = 1_795_451_460_007;
    for (name, issued_at, expires_at, latest) in [("a", 7, 70, 70), ("b", 9, 60, 70), ("c", 8, last, last)] {
        let join = SocketJoin {
            token: token(issued_at, expires_at),
            ..join(name, "s-1")
        };
        let joined = joined(bus, &join).await;
        assert_eq!(joined.session.latest_token_expiry, Some(Timestamp::from_millis(latest)));
    }
    let announced = bus.announce_end(&[session("s-1")]).await.unwrap().remove(0);
    assert_eq!(announced.tokens, token(9, last));
}

async fn join_above_the_cap_of_sockets_names_those_to_close(bus: &dyn Bus) {
    prepare(bus).await;
    for name in ["s-2", "s-3"] {
        bus.seed(&session(name), HALF_AN_HOUR).await.unwrap();
    }
    for (name, session) in [("a", "s-2"), ("b", "s-1"), ("c", "s-1")] {
        assert_eq!(joined(bus, &capped(name, session)).await.surplus, []);
    }
    let last = joined(bus, &capped("d", "s-3")).await;
    assert_eq!(
        last.surplus,
        [capped("b", "s-1").socket],
        "the oldest of a session with the most sockets"
    );
    let open = bus.open_sockets(&user("u")).await.unwrap();
    let open: Vec<_> = open.iter().map(|socket| socket.connection.as_str()).collect();
    assert_eq!(open, ["a", "c", "d"]);
}

async fn concurrent_joins_above_the_cap_close_the_surplus_and_no_more(bus: &dyn Bus) {
    prepare(bus).await;
    let names: Vec<String> = ('a'..='p').map(String::from).collect();
    let joins: Vec<_> = names.iter().map(|name| capped(name, "s-1")).collect();
    let joined = join_all(joins.iter().map(|join| joined(bus, join))).await;
    let closed = joined.iter().flat_map(|joined| &joined.surplus);
    let open = bus.open_sockets(&user("u")).await.unwrap();
    let mut all: Vec<&str> = closed.chain(&open).map(|socket| socket.connection.as_str()).collect();
    all.sort_unstable();
    assert_eq!(open.len(), 3);
    assert_eq!(all, names, "each socket is open, or closed once");
}

/// A thief's session issues more tokens than a user may have.
async fn tokens_of_a_flooding_session_are_evicted_before_those_of_another(bus: &dyn Bus) {
    prepare(bus).await;
    bus.seed(&session("stolen"), HALF_AN_HOUR).await.unwrap();
    joined(bus, &join("own", "s-1")).await;
    for number in 0..140 {
        let join = SocketJoin {
            max_sockets: 64,
            ..join(&format!("t-{number:03}"), "stolen")
        };
        joined(bus, &join).await;
    }
    assert_eq!(redeem(bus, "t-000", "stolen").await, None);
    assert!(redeem(bus, "t-139", "stolen").await.is_some());
    assert!(
        redeem(bus, "own", "s-1").await.is_some(),
        "the owner's token is evicted"
    );
}

/// A user with as many devices, where the cap of sockets admits them: most of them reconnect at once after an outage.
async fn each_of_a_thousand_sockets_has_a_resume_token(bus: &dyn Bus) {
    prepare(bus).await;
    let names: Vec<String> = (0..1_000).map(|number| format!("t-{number:03}")).collect();
    for names in names.chunks(100) {
        let joins: Vec<_> = names.iter().map(|name| join(name, "s-1")).collect();
        let joined = join_all(joins.iter().map(|join| joined(bus, join))).await;
        assert!(joined.iter().all(|joined| joined.surplus.is_empty()));
    }
    for names in names.chunks(100) {
        let redeemed = join_all(names.iter().map(|name| redeem(bus, name, "s-1"))).await;
        assert!(redeemed.iter().all(Option::is_some), "{redeemed:?}");
    }
}

async fn join_reads_the_hints(bus: &dyn Bus) {
    prepare(bus).await;
    let hint = async |name: &str| joined(bus, &join(name, "s-1")).await.hint;
    assert_eq!(hint("a").await, Hint::default());
    bus.mark_seen(&user("u"), &origin()).await.unwrap();
    let seen = hint("b").await;
    assert_eq!((seen.seen, seen.no_open_alerts), (true, false));
    bus.begin_alert_check(&user("u"), "check").await.unwrap();
    assert!(!hint("c").await.no_open_alerts, "the check has no result yet");
    bus.mark_no_open_alerts(&user("u"), "check").await.unwrap();
    let both = Hint {
        seen: true,
        no_open_alerts: true,
    };
    assert_eq!(hint("d").await, both);
    bus.clear_seen(&user("u")).await.unwrap();
    assert_eq!(hint("e").await, Hint::default());
}

#[tokio::test]
async fn join_on_another_primary_ignores_session_hints_and_epoch() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    prepare(&*bus).await;
    bus.mark_seen(&user("u"), &origin()).await.unwrap();
    bus.begin_alert_check(&user("u"), "check").await.unwrap();
    bus.mark_no_open_alerts(&user("u"), "check").await.unwrap();
    publish(&*bus, &user("u"), 1).await;
    let join = join("a", "s-1");
    let before = joined(&*bus, &join).await;
    assert!(before.hint.seen && before.hint.no_open_alerts);

    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    let unknown = JoinOutcome::Refused(SessionState::Unknown);
    assert_eq!(
        bus.join(&join).await.unwrap(),
        unknown,
        "its deadline may be an older one"
    );
    bus.seed(&join.session, HALF_AN_HOUR).await.unwrap();
    let after = joined(&*bus, &join).await;
    assert_ne!(after.offset.epoch, before.offset.epoch);
    assert_eq!((after.offset.seq, after.hint), (0, Hint::default()));
}

/// Hints of another primary do not count, so a join that finds its session unknown starts a new check.
#[tokio::test]
async fn join_on_another_primary_starts_the_check_for_open_alerts_of_its_sign_in() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    prepare(&*bus).await;
    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    let first = signed_in_after_refusal(&*bus, "s-1").await;
    assert!(joined(&*bus, &first).await.hint.no_open_alerts);
}

/// Entries of open sockets are renewed one by one; those of a user expire together.
#[tokio::test]
async fn join_renews_the_ttl_of_all_sockets_of_its_user_in_the_second_half() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    prepare(&*bus).await;
    joined(&*bus, &join("a", "s-1")).await;
    let ttl = async || -> u64 { redis.command(&["PTTL", SOCKETS]).await.parse().unwrap() };
    let whole = ttl().await;
    redis
        .command(&["PEXPIRE", SOCKETS, &(whole / 2 - 1_000).to_string()])
        .await;
    joined(&*bus, &join("b", "s-1")).await;
    assert!(ttl().await > whole / 2, "{} of {whole}", ttl().await);
}

const SOCKETS: &str = "pn:{u}:conn";

/// Sessions are stored in a layout that the script reads without parsing; others cost two more scripts.
#[tokio::test]
async fn join_of_a_live_session_is_one_script_also_with_a_newer_token() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    prepare(&*bus).await;
    joined(&*bus, &join("a", "s-1")).await;
    bus.renew_session(&session("s-1")).await.unwrap();
    let before = scripts(&redis).await;
    let newer = token(1_795_451_460_008, 1_795_451_490_007);
    for token in [TokenTimes::UNKNOWN, token(1_795_451_460_007, 1_795_451_490_007), newer] {
        let join = SocketJoin {
            token,
            ..join("b", "s-1")
        };
        joined(&*bus, &join).await;
    }
    assert_eq!(scripts(&redis).await - before, 3);
    let ttl: i64 = redis.command(&["TTL", "pn:{u}:s:s-1"]).await.parse().unwrap();
    assert!(ttl > 0, "{ttl}");
    let announced = bus.announce_end(&[session("s-1")]).await.unwrap().remove(0);
    assert_eq!(announced.tokens, newer);
}

#[tokio::test]
async fn session_of_another_version_is_unknown_until_it_is_seeded_again() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    prepare(&*bus).await;
    let stored = redis.command(&["GET", "pn:{u}:s:s-1"]).await;
    let of_another_version = stored.replacen('2', "3", 1);
    redis
        .command(&["SET", "pn:{u}:s:s-1", &of_another_version, "KEEPTTL"])
        .await;
    let join = join("a", "s-1");
    assert_eq!(
        bus.join(&join).await.unwrap(),
        JoinOutcome::Refused(SessionState::Unknown)
    );
    bus.seed(&session("s-1"), HALF_AN_HOUR).await.unwrap();
    joined(&*bus, &join).await;
}

/// Number of scripts that the server has run.
async fn scripts(redis: &Redis) -> usize {
    let stats = redis.command(&["INFO", "commandstats"]).await;
    let calls = stats.split("cmdstat_evalsha:calls=").nth(1).unwrap();
    calls.split(',').next().unwrap().parse().unwrap()
}

/// Starts a lease of the node and the session `s-1`.
async fn prepare(bus: &dyn Bus) {
    bus.renew_node(&node("n"), 10 * wait::deadline()).await.unwrap();
    bus.seed(&session("s-1"), HALF_AN_HOUR).await.unwrap();
}

async fn joined(bus: &dyn Bus, join: &SocketJoin) -> JoinedSocket {
    match bus.join(join).await.unwrap() {
        JoinOutcome::Joined(joined) => *joined,
        refused @ JoinOutcome::Refused(_) => panic!("{refused:?}"),
    }
}

/// Joins a socket to a session that is unknown, and seeds the session by the check for open alerts that the join began. Returns the join.
async fn signed_in_after_refusal(bus: &dyn Bus, of: &str) -> SocketJoin {
    let first = SocketJoin {
        alert_check: Some("check".to_owned()),
        ..join("a", of)
    };
    let refused = bus.join(&first).await.unwrap();
    assert_eq!(refused, JoinOutcome::Refused(SessionState::Unknown));
    let sign_in = RecordedSignIn {
        check: "check",
        from: &first.socket.origin,
    };
    bus.seed_signed_in(&first.session, HALF_AN_HOUR, &sign_in)
        .await
        .unwrap();
    first
}

async fn join_of_an_unknown_session_starts_its_check_for_open_alerts(bus: &dyn Bus) {
    let first = signed_in_after_refusal(bus, "s-9").await;
    for join in [first, join("b", "s-9")] {
        let hint = joined(bus, &join).await.hint;
        assert!(hint.seen && hint.no_open_alerts, "{hint:?}");
    }
}

/// Join of a socket whose resume token has its name. Sockets sort by name, oldest first.
fn join(name: &str, of: &str) -> SocketJoin {
    let age = name.bytes().next().unwrap_or_default();
    SocketJoin {
        session: session(of),
        token: TokenTimes::UNKNOWN,
        socket: OpenSocket {
            connection: ConnectionId::new(name).unwrap(),
            node: node("n"),
            session: SessionId::new(of).unwrap(),
            connected_at: Timestamp::from_millis(i64::from(age)),
            origin: origin(),
        },
        max_sockets: 1_000,
        resume_token: Some(ResumeTokenId::new(name).unwrap()),
        alert_check: None,
    }
}

/// Join of a user with three sockets at most.
fn capped(name: &str, of: &str) -> SocketJoin {
    SocketJoin {
        max_sockets: 3,
        ..join(name, of)
    }
}

async fn redeem(bus: &dyn Bus, name: &str, of: &str) -> Option<ResumeLease> {
    let (key, session) = (lease(name).key, SessionId::new(of).unwrap());
    let redeemed = bus
        .redeem_token(&key, &session, Timestamp::from_millis(1))
        .await
        .unwrap();
    redeemed.map(|redeemed| redeemed.lease)
}

fn lease(name: &str) -> ResumeLease {
    ResumeLease {
        key: ResumeTokenKey {
            user: user("u"),
            id: ResumeTokenId::new(name).unwrap(),
        },
        redemption: 0,
    }
}

fn session(name: &str) -> SessionKey {
    SessionKey {
        user: user("u"),
        session: SessionId::new(name).unwrap(),
    }
}

fn origin() -> Origin {
    Origin {
        address: "192.0.2.1".to_owned(),
        device_id: Some("phone".to_owned()),
        device_name: None,
        user_agent: None,
    }
}

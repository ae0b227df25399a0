//! Ends of sessions: with data lost by Redis, clocks apart, and Redis refusing the confirmation.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bus::{SessionKey, SessionRegistry, SessionState, TokenTimes};
use protocol::cluster::job::{JobOutcome, Work};
use protocol::code::ErrorCode;
use protocol::command::CommandKind;
use protocol::id::SessionId;
use protocol::time::Timestamp;
use serde_json::{Value, json};
use testkit::wait;

use crate::client::{Client, assert_success};
use crate::env::TestEnv;

/// Environment with a worker, and clients of one user, each in an open session of its own.
async fn open_sessions<const N: usize>(names: [&str; N]) -> (TestEnv, worker::Running, [Client; N]) {
    let env = TestEnv::scripted();
    let worker = env.worker().await;
    let mut clients = Vec::new();
    for name in names {
        let mut client = env.client("u", name).await;
        let issued_at = env.now();
        assert_eq!(open(&mut client, Some(issued_at), None).await.error, None);
        assert!(is_alive(&env, name).await);
        clients.push(client);
    }
    let Ok(clients) = clients.try_into() else {
        panic!("one client for each name");
    };
    (env, worker, clients)
}

/// Sends the gateway's job for a socket whose session Redis does not have, or whose end was announced.
async fn open(client: &mut Client, issued_at: Option<Timestamp>, announced: Option<u64>) -> JobOutcome {
    let asked = json!({"open_session": {"issued_at": issued_at, "announced": announced, "origin": client.origin}});
    let work: Work = serde_json::from_value(asked).unwrap();
    let job = client.work(work);
    client.submit(&job).await;
    client.outcome(&job).await
}

async fn end(client: &mut Client, which: &str) -> Value {
    client.ask(CommandKind::EndSessions, json!({"sessionId": which})).await
}

async fn state(env: &TestEnv, name: &str) -> SessionState {
    let key = SessionKey {
        user: protocol::id::UserId::new("u").unwrap(),
        session: SessionId::new(name).unwrap(),
    };
    env.bus.check_ttl(&[key]).await.unwrap()[0]
}

async fn is_alive(env: &TestEnv, name: &str) -> bool {
    matches!(state(env, name).await, SessionState::Alive(_))
}

/// Ids of the listed sessions.
async fn listed(client: &mut Client) -> Vec<String> {
    let answer = client.ask(CommandKind::Sessions, json!({})).await;
    assert_success(&answer);
    let sessions = answer["sessions"].as_array().unwrap();
    let mut names: Vec<_> = sessions
        .iter()
        .map(|session| session["sessionId"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn listed_sessions_end_with_the_token_where_that_is_known_and_earlier() {
    let (env, _worker, [mut owner, ..]) = open_sessions(["mine", "one"]).await;
    for minutes in [5, 500] {
        let token_ends = env.now().plus(Duration::from_mins(minutes));
        owner.token_expires_at = Some(token_ends);
        let answer = owner.ask(CommandKind::Sessions, json!({})).await;
        let time = |value: &Value| -> Timestamp { serde_json::from_value(value.clone()).unwrap() };
        for session in answer["sessions"].as_array().unwrap() {
            let (ends, session_ends) = (time(&session["expiresAt"]), time(&session["sessionExpiresAt"]));
            if session["current"] == true {
                assert_eq!(time(&session["tokenExpiresAt"]), token_ends, "{answer}");
                assert_eq!(ends, session_ends.min(token_ends), "{answer}");
            } else {
                assert!(session["tokenExpiresAt"].is_null() && ends == session_ends, "{answer}");
            }
            assert!(session_ends > time(&answer["serverTime"]), "{answer}");
        }
    }
}

/// Longer than the timeout of a session whose deadline no worker has copied.
const UNWATCHED: Duration = Duration::from_hours(2);

#[tokio::test]
async fn sessions_without_copied_deadlines_are_listed_and_ended() {
    let (env, _worker, [mut owner, ..]) = open_sessions(["mine", "one", "two", "three"]).await;
    env.clock.advance(UNWATCHED);
    assert_eq!(listed(&mut owner).await, ["mine", "one", "three", "two"]);
    assert_eq!(
        end(&mut owner, "one").await,
        json!({"success": true, "sessionsEnded": 1})
    );
    assert_eq!(state(&env, "one").await, SessionState::Ended);
    assert_eq!(
        end(&mut owner, "others").await,
        json!({"success": true, "sessionsEnded": 2})
    );
    for name in ["two", "three"] {
        assert_eq!(state(&env, name).await, SessionState::Ended);
    }
    assert_eq!(listed(&mut owner).await, ["mine"]);
    let job = owner.work(Work::EndAllSessions);
    assert_eq!(owner.ask_for(&job).await, json!({"success": true, "sessionsEnded": 1}));
    assert_eq!(state(&env, "mine").await, SessionState::Ended);
}

#[tokio::test]
async fn sessions_lost_by_redis_are_listed_and_ended() {
    let (env, _worker, _) = open_sessions(["mine", "theirs"]).await;
    env.bus.lose_data();
    let mut owner = env.client("u", "mine").await;
    assert_eq!(listed(&mut owner).await, ["mine", "theirs"]);
    assert_eq!(
        end(&mut owner, "others").await,
        json!({"success": true, "sessionsEnded": 1})
    );
    assert_eq!(state(&env, "theirs").await, SessionState::Ended);
}

#[tokio::test]
async fn unlisted_session_is_ended_by_end_of_others() {
    let (env, _worker, _) = open_sessions(["mine", "theirs"]).await;
    let stolen = env.now();
    env.clock.advance(UNWATCHED);
    env.bus.lose_data();
    let mut owner = env.client("u", "mine").await;
    assert_eq!(end(&mut owner, "others").await["success"], true);
    let mut thief = env.client("u", "theirs").await;
    assert_eq!(
        open(&mut thief, Some(stolen), None).await.error,
        Some(ErrorCode::Forbidden)
    );
    env.clock.advance(Duration::from_secs(1));
    assert_eq!(
        open(&mut thief, Some(env.now()), None).await.error,
        Some(ErrorCode::Forbidden),
        "a newer token opened the ended session"
    );
    let mut never_seen = env.client("u", "never seen").await;
    for issued_at in [Some(stolen), None] {
        let outcome = open(&mut never_seen, issued_at, None).await;
        assert_eq!(outcome.error, Some(ErrorCode::Forbidden), "a token from before the end");
    }
    for (client, name) in [(&mut never_seen, "never seen"), (&mut owner, "mine")] {
        assert_eq!(open(client, Some(env.now()), None).await.error, None);
        assert!(is_alive(&env, name).await);
    }
}

/// The thief uses the old token; Redis refuses the end for longer than the owner's job runs.
#[tokio::test]
async fn committed_end_without_redis_confirmation_admits_no_socket() {
    let (env, _worker, [mut owner, mut thief]) = open_sessions(["mine", "theirs"]).await;
    let token = Some(env.now());
    env.bus.refuses_ends.store(true, Ordering::SeqCst);
    for which in ["theirs", "others"] {
        let answer = end(&mut owner, which).await;
        assert_eq!(
            answer["error"], "unavailable",
            "answered before Redis confirmed: {answer}"
        );
        assert!(!is_alive(&env, "theirs").await, "a gateway would admit a socket");
    }
    let SessionState::Ending(announced) = state(&env, "theirs").await else {
        panic!("the end was not announced");
    };
    // The thief's gateway submits these jobs.
    for announced in [Some(announced), None] {
        let outcome = open(&mut thief, token, announced).await;
        assert_ne!(outcome.error, None);
        assert!(!is_alive(&env, "theirs").await);
    }
    env.bus.refuses_ends.store(false, Ordering::SeqCst);
    wait::until_true("a worker to confirm the end", wait::deadline(), async || {
        state(&env, "theirs").await == SessionState::Ended
    })
    .await;
    assert_eq!(open(&mut thief, token, None).await.error, Some(ErrorCode::Forbidden));
    assert!(is_alive(&env, "mine").await);
}

#[tokio::test]
async fn repeated_end_is_answered_only_after_redis_confirmed() {
    let (env, _worker, [mut owner, _]) = open_sessions(["mine", "theirs"]).await;
    env.bus.refuses_ends.store(true, Ordering::SeqCst);
    let asked = json!({"sessionId": "others", "idempotencyKey": "k"});
    for _ in 0..2 {
        let answer = owner.ask(CommandKind::EndSessions, asked.clone()).await;
        assert_eq!(answer["error"], "unavailable", "{answer}");
    }
    env.bus.refuses_ends.store(false, Ordering::SeqCst);
    let answer = owner.ask(CommandKind::EndSessions, asked).await;
    assert_eq!(answer, json!({"success": true, "sessionsEnded": 1}));
    assert_eq!(state(&env, "theirs").await, SessionState::Ended);
}

/// A worker was lost between announcement and commit.
#[tokio::test]
async fn open_after_uncommitted_end_withdraws_the_announcement() {
    let (env, _worker, [mut client]) = open_sessions(["s"]).await;
    let key = SessionKey {
        user: client.user.clone(),
        session: SessionId::new("s").unwrap(),
    };
    // The gateway saw none of the announcements, or the first of two; the worker looks up the other one.
    for announcements in [1, 2] {
        env.bus.announce_end(std::slice::from_ref(&key)).await.unwrap();
        let SessionState::Ending(met) = state(&env, "s").await else {
            panic!("the end was not announced");
        };
        let met = (announcements == 2).then_some(met);
        if met.is_some() {
            env.bus.announce_end(std::slice::from_ref(&key)).await.unwrap();
        }
        assert_eq!(open(&mut client, None, met).await.error, None);
        assert!(is_alive(&env, "s").await);
    }
}

#[tokio::test]
async fn recorded_token_does_not_reopen_the_default_session() {
    let (env, _worker, [mut client]) = open_sessions([SessionId::DEFAULT]).await;
    let key = SessionKey {
        user: client.user.clone(),
        session: SessionId::new(SessionId::DEFAULT).unwrap(),
    };
    // The issuer's clock is ahead, within the leeway.
    let ahead = env.now().plus(Duration::from_secs(45));
    let token = TokenTimes {
        issued_at: Some(ahead),
        expires_at: None,
    };
    env.bus.record_token(&key, token).await.unwrap();
    assert_eq!(end(&mut client, SessionId::DEFAULT).await["sessionsEnded"], 1);
    assert_eq!(
        open(&mut client, Some(ahead), None).await.error,
        Some(ErrorCode::Forbidden)
    );
    let newer = ahead.plus(Duration::from_secs(1));
    assert_eq!(open(&mut client, Some(newer), None).await.error, None);
    assert!(is_alive(&env, SessionId::DEFAULT).await);
}

#[tokio::test]
async fn after_redis_loss_tokens_within_leeway_of_the_end_are_refused() {
    let (env, _worker, _) = open_sessions([SessionId::DEFAULT]).await;
    let ahead = |seconds| Some(env.now().plus(Duration::from_secs(seconds)));
    env.bus.lose_data();
    let mut client = env.client("u", SessionId::DEFAULT).await;
    // Another socket restored the session; the issue time of the lost token is unknown.
    assert_eq!(open(&mut client, ahead(0), None).await.error, None);
    assert_eq!(end(&mut client, SessionId::DEFAULT).await["sessionsEnded"], 1);
    assert_eq!(
        open(&mut client, ahead(45), None).await.error,
        Some(ErrorCode::Forbidden)
    );
    assert_eq!(open(&mut client, ahead(61), None).await.error, None);
}

#[tokio::test(start_paused = true)]
async fn expired_session_is_remembered_until_its_latest_token_has_expired() {
    let (env, _worker, [client]) = open_sessions(["mine"]).await;
    let key = SessionKey {
        user: client.user,
        session: SessionId::new("mine").unwrap(),
    };
    let issued_at = env.now();
    let refreshed = TokenTimes {
        issued_at: None,
        expires_at: Some(issued_at.plus(Duration::from_hours(48))),
    };
    env.bus.record_token(&key, refreshed).await.unwrap();
    let minute = Duration::from_secs(61);
    tokio::time::sleep(minute).await;
    env.bus.lose_data();
    for (hours, is_refused) in [(71, true), (25, false)] {
        env.clock.advance(Duration::from_hours(hours));
        tokio::time::sleep(minute).await;
        let mut client = env.client("u", "mine").await;
        let outcome = open(&mut client, Some(issued_at), None).await;
        assert_eq!(outcome.error.is_some(), is_refused, "after {hours} h: {outcome:?}");
    }
}

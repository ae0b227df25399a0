//! Guesses at the second factor from a stolen session: which requests count as attempts, and how many are left to the owner.

use std::sync::atomic::Ordering;

use protocol::cluster::job::{OpenSession, Work};
use protocol::command::CommandKind;
use serde_json::{Value, json};
use store::{Factor, Security};

use crate::client::{Client, assert_error, assert_success};
use crate::env::TestEnv;
use crate::factor::{FactorUser, disconnect, enrol, verify};

/// Opens the client's session, as its gateway does when a socket joins.
async fn join(client: &mut Client) {
    let opening = OpenSession {
        issued_at: None,
        expires_at: None,
        latest_expiry: None,
        announced: None,
        alert_check: None,
        origin: client.origin.clone(),
    };
    let opening = client.work(Work::OpenSession(opening));
    client.submit(&opening).await;
    assert_eq!(client.outcome(&opening).await.error, None);
}

/// Device that has joined and has an open challenge.
async fn joined(guarded: &FactorUser, session: &str) -> (Client, Value) {
    let (mut client, challenge) = guarded.challenged(session).await;
    join(&mut client).await;
    (client, challenge)
}

async fn factor(guarded: &FactorUser) -> Factor {
    let user = &guarded.client.user;
    guarded.env.store.security(user).await.unwrap().factor.unwrap()
}

const WRONG: &str = "000000";
const WRONG_RECOVERY: &str = "AAAA-AAAA-AAAA-AAAA";

#[tokio::test(start_paused = true)]
async fn foreign_challenges_and_malformed_codes_use_up_no_attempts() {
    let guarded = FactorUser::new().await;
    let (mut owner, challenge) = guarded.challenged("owner").await;
    let (mut thief, of_thief) = guarded.challenged("thief").await;
    let before = factor(&guarded).await;
    for _ in 0..50 {
        for (asked, token, answer) in [
            (&json!("never opened"), WRONG, "challenge_expired"),
            (&json!("never opened"), WRONG_RECOVERY, "challenge_expired"),
            (&challenge, WRONG, "challenge_expired"),
            (&of_thief, "12345", "bad_request"),
            (&of_thief, "", "bad_request"),
            (&of_thief, "AAAA-AAAA-AAAA-AAA1", "bad_request"),
        ] {
            assert_error(&verify(&mut thief, asked, token).await, answer);
        }
    }
    assert_eq!(factor(&guarded).await, before);
    // The code at enrolment used the first of the five attempts.
    for _ in 0..3 {
        assert_error(&verify(&mut owner, &challenge, WRONG).await, "2fa_invalid");
    }
    assert_success(&verify(&mut owner, &challenge, &guarded.code()).await);
}

#[tokio::test(start_paused = true)]
async fn session_gets_three_of_five_attempts_while_another_is_live() {
    let guarded = FactorUser::new().await;
    tokio::time::advance(MINUTE).await;
    let (mut thief, of_thief) = joined(&guarded, "thief").await;
    let (mut owner, challenge) = joined(&guarded, "owner").await;
    for _ in 0..3 {
        assert_error(&verify(&mut thief, &of_thief, WRONG).await, "2fa_invalid");
    }
    for _ in 0..20 {
        let answer = verify(&mut thief, &of_thief, WRONG).await;
        assert_error(&answer, "rate_limited");
        assert!(answer["retryAfter"].as_u64().is_some_and(|wait| wait <= 60), "{answer}");
    }
    assert_error(&verify(&mut owner, &challenge, WRONG).await, "2fa_invalid");
    assert_success(&verify(&mut owner, &challenge, &guarded.code()).await);
}

#[tokio::test(start_paused = true)]
async fn guessed_recovery_codes_leave_two_attempts_an_hour_to_the_owner() {
    let guarded = FactorUser::new().await;
    guarded.env.bus.admits_all_attempts.store(true, Ordering::SeqCst);
    let (mut thief, of_thief) = joined(&guarded, "thief").await;
    let (mut owner, challenge) = joined(&guarded, "owner").await;
    for _ in 0..3 {
        assert_error(&verify(&mut thief, &of_thief, WRONG_RECOVERY).await, "2fa_invalid");
    }
    for _ in 0..20 {
        let answer = verify(&mut thief, &of_thief, WRONG_RECOVERY).await;
        assert_error(&answer, "rate_limited");
        assert_eq!(answer["retryAfter"], 3_600, "{answer}");
    }
    assert_error(&verify(&mut owner, &challenge, WRONG_RECOVERY).await, "2fa_invalid");
    let right = guarded.recovery_codes[0].clone();
    assert_success(&verify(&mut owner, &challenge, &right).await);
}

#[tokio::test(start_paused = true)]
async fn only_live_session_gets_all_five_attempts() {
    let mut guarded = FactorUser::new().await;
    tokio::time::advance(MINUTE).await;
    let (mut client, challenge) = joined(&guarded, "alone").await;
    for _ in 0..5 {
        assert_error(&verify(&mut client, &challenge, WRONG).await, "2fa_invalid");
    }
    assert_error(&verify(&mut client, &challenge, WRONG).await, "rate_limited");
    // Another session of the user shares the five attempts.
    let (mut other, of_other) = joined(&guarded, "t").await;
    assert_error(&verify(&mut other, &of_other, WRONG).await, "rate_limited");
    tokio::time::advance(MINUTE).await;
    guarded.next_step();
    assert_success(&verify(&mut client, &challenge, &guarded.code()).await);
}

#[tokio::test(start_paused = true)]
async fn code_at_enrolment_counts_as_attempt() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let enrolment = enrol(&env, &mut client).await;
    for _ in 0..5 {
        assert_error(
            &verify(&mut client, &enrolment["sessionId"], WRONG).await,
            "2fa_invalid",
        );
    }
    assert_error(
        &verify(&mut client, &enrolment["sessionId"], WRONG).await,
        "rate_limited",
    );
}

#[tokio::test]
async fn code_is_not_checked_if_its_attempt_cannot_be_counted() {
    let guarded = FactorUser::new().await;
    let (mut client, challenge) = guarded.challenged("t").await;
    let before = factor(&guarded).await;
    guarded.env.bus.refuses_attempts.store(true, Ordering::SeqCst);
    for token in [WRONG, WRONG_RECOVERY, &guarded.code()] {
        assert_error(&verify(&mut client, &challenge, token).await, "unavailable");
    }
    assert_eq!(factor(&guarded).await, before);
    guarded.env.bus.refuses_attempts.store(false, Ordering::SeqCst);
    assert_success(&verify(&mut client, &challenge, &guarded.code()).await);
}

/// Number of calls to store and bus about second factors.
fn steps(env: &TestEnv) -> [u64; 2] {
    [&env.store.security_calls, &env.bus.challenge_reads].map(|calls| calls.load(Ordering::SeqCst))
}

/// Neither the answer nor the calls made for it, which determine its time, reveal whether the user has a second factor.
#[tokio::test]
async fn code_without_challenge_takes_the_same_steps_with_and_without_factor() {
    let guarded = FactorUser::new().await;
    let (mut with_factor, right) = (guarded.env.client("u", "t").await, guarded.code());
    let mut without = guarded.env.client("v", "t").await;
    // This user's enrolment is pending in another session.
    let mut pending = guarded.env.client("w", "t").await;
    enrol(&guarded.env, &mut guarded.env.client("w", "s").await).await;
    for token in [WRONG, WRONG_RECOVERY, &right, "no code"] {
        let mut seen = Vec::new();
        for client in [&mut without, &mut with_factor, &mut pending] {
            let before = steps(&guarded.env);
            let answer = verify(client, &json!("challenge"), token).await;
            let after = steps(&guarded.env);
            seen.push((answer, [after[0] - before[0], after[1] - before[1]]));
        }
        assert!(seen.iter().all(|one| *one == seen[0]), "{token}: {seen:?}");
    }
    assert_error(&disconnect(&mut with_factor).await.data.read().unwrap(), "2fa_required");
    let settings = without.ask(CommandKind::GetSettings, json!({})).await;
    assert_eq!(settings["settings"]["twoFactorEnabled"], false);
}

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

//! Guessing at the second factor, from a session that was stolen: what counts as an attempt, and how many are left to the owner.

use std::sync::atomic::Ordering;

use protocol::cluster::job::{OpenSession, Work};
use protocol::command::CommandKind;
use serde_json::{Value, json};
use store::{Factor, Security};

use crate::client::{Client, refused, succeeded};
use crate::factor::{Guarded, disconnect, enrol, verify};
use crate::world::World;

/// Opens the client's session, as its gateway does when a socket joins.
async fn join(client: &mut Client) {
    let opening = OpenSession {
        issued_at: None,
        announced: None,
        origin: client.origin.clone(),
    };
    let opening = client.work(Work::OpenSession(opening));
    client.submit(&opening).await;
    assert_eq!(client.outcome(&opening).await.error, None);
}

/// A device that has joined and is asked for the factor.
async fn joined(guarded: &Guarded, session: &str) -> (Client, Value) {
    let (mut client, challenge) = guarded.challenged(session).await;
    join(&mut client).await;
    (client, challenge)
}

async fn factor(guarded: &Guarded) -> Factor {
    let user = &guarded.client.user;
    guarded.world.store.security(user).await.unwrap().factor.unwrap()
}

const WRONG: &str = "000000";
const WRONG_RECOVERY: &str = "AAAA-AAAA-AAAA-AAAA";

#[tokio::test(start_paused = true)]
async fn what_is_no_attempt_at_an_open_challenge_of_the_session_takes_none_from_the_owner() {
    let guarded = Guarded::new().await;
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
            refused(&verify(&mut thief, asked, token).await, answer);
        }
    }
    assert_eq!(factor(&guarded).await, before);
    // The first code, at enrolment, was the first of the five.
    for _ in 0..3 {
        refused(&verify(&mut owner, &challenge, WRONG).await, "2fa_invalid");
    }
    succeeded(&verify(&mut owner, &challenge, &guarded.code()).await);
}

#[tokio::test(start_paused = true)]
async fn while_another_session_lives_three_of_the_five_attempts_are_a_sessions() {
    let guarded = Guarded::new().await;
    tokio::time::advance(MINUTE).await;
    let (mut thief, of_thief) = joined(&guarded, "thief").await;
    let (mut owner, challenge) = joined(&guarded, "owner").await;
    for _ in 0..3 {
        refused(&verify(&mut thief, &of_thief, WRONG).await, "2fa_invalid");
    }
    for _ in 0..20 {
        let answer = verify(&mut thief, &of_thief, WRONG).await;
        refused(&answer, "rate_limited");
        assert!(answer["retryAfter"].as_u64().is_some_and(|wait| wait <= 60), "{answer}");
    }
    refused(&verify(&mut owner, &challenge, WRONG).await, "2fa_invalid");
    succeeded(&verify(&mut owner, &challenge, &guarded.code()).await);
}

#[tokio::test(start_paused = true)]
async fn recovery_codes_that_a_thief_makes_up_leave_two_an_hour_to_the_owner() {
    let guarded = Guarded::new().await;
    guarded.world.bus.counts_no_attempts.store(true, Ordering::SeqCst);
    let (mut thief, of_thief) = joined(&guarded, "thief").await;
    let (mut owner, challenge) = joined(&guarded, "owner").await;
    for _ in 0..3 {
        refused(&verify(&mut thief, &of_thief, WRONG_RECOVERY).await, "2fa_invalid");
    }
    for _ in 0..20 {
        let answer = verify(&mut thief, &of_thief, WRONG_RECOVERY).await;
        refused(&answer, "rate_limited");
        assert_eq!(answer["retryAfter"], 3_600, "{answer}");
    }
    refused(&verify(&mut owner, &challenge, WRONG_RECOVERY).await, "2fa_invalid");
    let right = guarded.recovery_codes[0].clone();
    succeeded(&verify(&mut owner, &challenge, &right).await);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_alone_has_all_five_attempts() {
    let mut guarded = Guarded::new().await;
    tokio::time::advance(MINUTE).await;
    let (mut client, challenge) = joined(&guarded, "alone").await;
    for _ in 0..5 {
        refused(&verify(&mut client, &challenge, WRONG).await, "2fa_invalid");
    }
    refused(&verify(&mut client, &challenge, WRONG).await, "rate_limited");
    // A session of its own does not change that the user has five.
    let (mut other, of_other) = joined(&guarded, "t").await;
    refused(&verify(&mut other, &of_other, WRONG).await, "rate_limited");
    tokio::time::advance(MINUTE).await;
    guarded.next_step();
    succeeded(&verify(&mut client, &challenge, &guarded.code()).await);
}

#[tokio::test(start_paused = true)]
async fn a_code_at_enrolment_is_an_attempt_too() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let enrolment = enrol(&world, &mut client).await;
    for _ in 0..5 {
        refused(
            &verify(&mut client, &enrolment["sessionId"], WRONG).await,
            "2fa_invalid",
        );
    }
    refused(
        &verify(&mut client, &enrolment["sessionId"], WRONG).await,
        "rate_limited",
    );
}

#[tokio::test]
async fn no_code_is_looked_at_that_could_not_be_counted() {
    let guarded = Guarded::new().await;
    let (mut client, challenge) = guarded.challenged("t").await;
    let before = factor(&guarded).await;
    guarded.world.bus.refuses_attempts.store(true, Ordering::SeqCst);
    for token in [WRONG, WRONG_RECOVERY, &guarded.code()] {
        refused(&verify(&mut client, &challenge, token).await, "unavailable");
    }
    assert_eq!(factor(&guarded).await, before);
    guarded.world.bus.refuses_attempts.store(false, Ordering::SeqCst);
    succeeded(&verify(&mut client, &challenge, &guarded.code()).await);
}

/// How often store and bus were asked about second factors.
fn steps(world: &World) -> [u64; 2] {
    [&world.store.security_calls, &world.bus.challenge_reads].map(|calls| calls.load(Ordering::SeqCst))
}

/// Neither the answer nor what is done for it, which takes the time, tells whether the user has a second factor.
#[tokio::test]
async fn a_code_without_a_challenge_is_answered_by_the_same_steps_with_and_without_a_factor() {
    let guarded = Guarded::new().await;
    let (mut with_factor, right) = (guarded.world.client("u", "t").await, guarded.code());
    let mut without = guarded.world.client("v", "t").await;
    // Its enrolment waits in another session.
    let mut begun = guarded.world.client("w", "t").await;
    enrol(&guarded.world, &mut guarded.world.client("w", "s").await).await;
    for token in [WRONG, WRONG_RECOVERY, &right, "no code"] {
        let mut seen = Vec::new();
        for client in [&mut without, &mut with_factor, &mut begun] {
            let before = steps(&guarded.world);
            let answer = verify(client, &json!("challenge"), token).await;
            let after = steps(&guarded.world);
            seen.push((answer, [after[0] - before[0], after[1] - before[1]]));
        }
        assert!(seen.iter().all(|one| *one == seen[0]), "{token}: {seen:?}");
    }
    refused(&disconnect(&mut with_factor).await.data.read().unwrap(), "2fa_required");
    let settings = without.ask(CommandKind::GetSettings, json!({})).await;
    assert_eq!(settings["settings"]["twoFactorEnabled"], false);
}

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

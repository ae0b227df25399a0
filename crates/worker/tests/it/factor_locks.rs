//! Lock of the second factor by the application, against those who have a code, or gave one before.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lifecycle::OsEntropy;
use protocol::api::FactorLockRequest;
use protocol::cluster::api_request::ApiRequest;
use protocol::cluster::job::Work;
use protocol::command::CommandKind;
use protocol::time::Timestamp;
use serde_json::{Value, json};
use store::Operator;
use worker::unlock_factor;

use crate::api_requests::{application, request};
use crate::callback::authorize_and_return;
use crate::client::{Client, REDIRECT_URI, assert_error, assert_success};
use crate::env::{TestEnv, with_github};
use crate::factor::{FactorUser, code, disconnect, enrol, verify};
use crate::factor_authorizations::connect_of;

/// Has the application lock the factor of its user.
pub(crate) async fn lock(support: &mut Client, until: Option<Timestamp>) -> Value {
    request(support, ApiRequest::LockFactor(FactorLockRequest { until })).await
}

pub(crate) async fn unlock(support: &mut Client) -> Value {
    request(support, ApiRequest::UnlockFactor).await
}

/// State of the factor, as the application reads it.
async fn factor(support: &mut Client) -> Value {
    request(support, ApiRequest::Settings).await["secondFactor"].clone()
}

/// Asserts that a command that needs the factor is refused without a challenge.
pub(crate) async fn assert_locked(client: &mut Client) {
    let outcome = disconnect(client).await;
    assert_error(&outcome.data.read().unwrap(), "2fa_locked");
    assert!(outcome.leading_notice.is_none(), "{outcome:?}");
}

#[tokio::test]
async fn locked_factor_accepts_neither_codes_nor_earlier_verifications_until_the_unlock() {
    let mut owner = FactorUser::unlimited().await;
    let mut support = application(&owner.env).await;
    let (mut device, challenge) = owner.challenged("device").await;
    assert_error(&verify(&mut device, &challenge, "000000").await, "2fa_invalid");
    assert_eq!(owner.client.alert().await["type"], "failed_2fa");

    let locked = lock(&mut support, None).await;
    assert_eq!(
        (
            &locked["method"],
            &locked["isLocked"],
            &locked["wrongCodes"],
            &locked["recoveryCodes"]
        ),
        (&json!("totp"), &json!(true), &json!(1), &json!(10))
    );
    assert!(locked["lockedUntil"].is_null(), "{locked}");
    let alert = owner.client.alert().await;
    assert_eq!(
        (&alert["type"], &alert["message"], &alert["requiresAction"]),
        (
            &json!("settings_changed"),
            &json!("The second factor was locked."),
            &json!(true)
        )
    );
    // Its socket gave the factor half a minute ago.
    assert_locked(&mut owner.client).await;
    let kinds = [
        (
            CommandKind::RequestConfirmation,
            json!({"action": "security:revoke_all"}),
        ),
        (
            CommandKind::UpdateSettings,
            json!({"settings": {"twoFactorEnabled": false}}),
        ),
        (CommandKind::UpdateSettings, json!({"settings": {"sessionTimeout": 5}})),
    ];
    for (kind, data) in kinds {
        assert_error(&owner.client.ask(kind, data).await, "2fa_locked");
    }
    assert_success(&owner.client.ask(CommandKind::GetSettings, json!({})).await);
    for token in ["000000", &owner.code(), &owner.recovery_codes[0]] {
        assert_error(&verify(&mut device, &challenge, token).await, "2fa_locked");
    }
    let state = factor(&mut support).await;
    assert_eq!((&state["wrongCodes"], &state["recoveryCodes"]), (&json!(1), &json!(10)));

    let unlocked = unlock(&mut support).await;
    assert_eq!(
        (&unlocked["isLocked"], &unlocked["wrongCodes"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(owner.client.alert().await["message"], "The second factor was unlocked.");
    assert_success(&verify(&mut device, &challenge, &owner.code()).await);
}

#[tokio::test]
async fn lock_ends_at_its_time_and_keeps_the_count_of_wrong_codes() {
    let owner = FactorUser::unlimited().await;
    let mut support = application(&owner.env).await;
    let (mut device, challenge) = owner.challenged("device").await;
    assert_error(&verify(&mut device, &challenge, "000000").await, "2fa_invalid");
    let until = owner.env.now().plus(Duration::from_secs(60));
    let locked = lock(&mut support, Some(until)).await;
    assert_eq!(locked["lockedUntil"], json!(until));
    owner.env.clock.advance(Duration::from_millis(59_999));
    assert_locked(&mut device).await;
    owner.env.clock.advance(Duration::from_millis(1));
    let state = factor(&mut support).await;
    assert_eq!((&state["isLocked"], &state["wrongCodes"]), (&json!(false), &json!(1)));
    let required = disconnect(&mut device).await.leading_notice.unwrap();
    let challenge = &required.data.read::<Value>().unwrap()["sessionId"];
    assert_success(&verify(&mut device, challenge, &owner.code()).await);
}

#[tokio::test]
async fn operator_ends_a_lock_of_the_application() {
    let owner = FactorUser::unlimited().await;
    let mut support = application(&owner.env).await;
    lock(&mut support, None).await;
    let operator: Operator = "alice".parse().unwrap();
    let roles = owner.env.store.roles();
    unlock_factor(&*roles.security, &owner.client.user, &operator, &OsEntropy)
        .await
        .unwrap();
    assert_eq!(factor(&mut support).await["isLocked"], false);
}

#[tokio::test]
async fn recent_sign_in_ends_sessions_while_the_factor_is_locked() {
    let mut owner = FactorUser::new().await;
    let mut support = application(&owner.env).await;
    lock(&mut support, None).await;
    let others = json!({"sessionId": "others"});
    let old = owner.client.ask(CommandKind::EndSessions, others.clone()).await;
    assert_error(&old, "2fa_locked");
    owner.client.signed_in = Some(owner.env.now());
    assert_success(&owner.client.ask(CommandKind::EndSessions, others).await);
}

#[tokio::test]
async fn authorization_from_before_the_lock_is_not_completed() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let (mut owner, mut support) = (env.client("u", "s").await, application(&env).await);
        let enrolment = enrol(&env, &mut owner).await;
        let first = code(&env, enrolment["secret"].as_str().unwrap());
        assert_success(&verify(&mut owner, &enrolment["sessionId"], &first).await);
        let callback = authorize_and_return(&mut owner, &github, REDIRECT_URI).await;
        lock(&mut support, None).await;
        let late = connect_of(&callback);
        assert_error(&owner.ask(CommandKind::Connect, late).await, "conflict");
        assert_eq!(owner.ask(CommandKind::List, json!({})).await["accounts"], json!([]));
        github.revocations(1).await;
    })
    .await;
}

#[tokio::test]
async fn repeated_lock_is_one_alert_and_a_key_with_another_end_is_a_conflict() {
    let mut owner = FactorUser::new().await;
    let mut support = application(&owner.env).await;
    let until = owner.env.now().plus(Duration::from_secs(600));
    let mut lock = |until| {
        let mut job = support.work(Work::ApiRequest(ApiRequest::LockFactor(FactorLockRequest { until })));
        job.idempotency_key = Some("k".to_owned());
        job
    };
    let (first, again, other) = (lock(Some(until)), lock(Some(until)), lock(None));
    let answer = support.ask_for(&first).await;
    assert_success(&answer);
    assert_eq!(support.ask_for(&again).await, answer);
    assert_error(&support.ask_for(&other).await, "conflict");
    assert_eq!(owner.client.alert().await["message"], "The second factor was locked.");
    // A further lock of the same end is recorded and raises no alert.
    owner.env.clock.advance(Duration::from_secs(1));
    assert_eq!(
        request(
            &mut support,
            ApiRequest::LockFactor(FactorLockRequest { until: Some(until) })
        )
        .await,
        answer
    );
    unlock(&mut support).await;
    assert_eq!(owner.client.alert().await["message"], "The second factor was unlocked.");
    let rows = owner.env.store.audit().audit_rows("u", 0, i64::MAX, 100).await.unwrap();
    let locks = rows.iter().filter(|row| row.action.starts_with("factor_"));
    let locks: Vec<_> = locks
        .skip_while(|row| row.action != "factor_locked")
        .map(|row| (row.action.as_str(), row.session.as_str()))
        .collect();
    let by_support = |action| (action, "internal API: support");
    assert_eq!(
        locks,
        ["factor_locked", "factor_locked", "factor_unlocked"].map(by_support)
    );
}

#[tokio::test]
async fn unlock_raises_an_alert_if_it_ends_a_delay_after_wrong_codes() {
    let mut owner = FactorUser::unlimited().await;
    let mut support = application(&owner.env).await;
    // There is nothing to end yet.
    unlock(&mut support).await;
    let (mut device, challenge) = owner.challenged("device").await;
    for _ in 0..10 {
        assert_error(&verify(&mut device, &challenge, "000000").await, "2fa_invalid");
        assert_eq!(owner.client.alert().await["type"], "failed_2fa");
    }
    assert_error(&verify(&mut device, &challenge, &owner.code()).await, "rate_limited");
    unlock(&mut support).await;
    assert_eq!(owner.client.alert().await["message"], "The second factor was unlocked.");
    assert_success(&verify(&mut device, &challenge, &owner.code()).await);
}

#[tokio::test]
async fn command_whose_factor_is_locked_after_its_check_changes_no_settings() {
    let mut owner = FactorUser::new().await;
    owner.env.store.locks_before_decisions.store(true, Ordering::SeqCst);
    for settings in [json!({"sessionTimeout": 5}), json!({"twoFactorEnabled": false})] {
        let data = json!({ "settings": settings });
        assert_error(&owner.client.ask(CommandKind::UpdateSettings, data).await, "2fa_locked");
    }
}

#[tokio::test]
async fn lock_without_a_factor_or_with_an_end_out_of_range_is_refused() {
    let owner = FactorUser::new().await;
    let mut support = application(&owner.env).await;
    let year = Duration::from_hours(366 * 24);
    for until in [owner.env.now(), owner.env.now().plus(year + Duration::from_millis(1))] {
        assert!(assert_error(&lock(&mut support, Some(until)).await, "bad_request").starts_with("until: "));
    }
    assert_eq!(factor(&mut support).await["isLocked"], false);
    assert_eq!(
        lock(&mut support, Some(owner.env.now().plus(year))).await["isLocked"],
        true
    );

    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut support = application(&env).await;
    assert_error(&lock(&mut support, None).await, "conflict");
    assert_error(&unlock(&mut support).await, "conflict");
    assert!(factor(&mut support).await.is_null());
}

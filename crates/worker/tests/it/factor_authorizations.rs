//! Authorizations that started before the second factor was enabled: none is completed after it.

use protocol::cluster::callback::{AuthorizationResponse, Callback};
use protocol::command::CommandKind;
use serde_json::{Value, json};

use crate::callback::{
    HOSTED_REDIRECT_URI, authorize_and_return, confirm, confirm_link, host_callback, pending_link, send_callback,
};
use crate::client::{Client, REDIRECT_URI, assert_error, assert_success, connect, with_field};
use crate::env::{TestEnv, with_github};
use crate::factor::{code, enrol, verify};

/// Enables the factor.
async fn enable_factor(env: &TestEnv, owner: &mut Client) {
    let enrolment = enrol(env, owner).await;
    let first = code(env, enrolment["secret"].as_str().unwrap());
    assert_success(&verify(owner, &enrolment["sessionId"], &first).await);
}

/// Payload of the `account:connect` that follows this redirect.
pub(crate) fn connect_of(callback: &Callback) -> Value {
    let AuthorizationResponse::Code(code) = &callback.response else {
        panic!("the redirect has no code");
    };
    with_field(connect(code.expose()), "state", callback.state.expose())
}

async fn accounts(client: &mut Client) -> Value {
    client.ask(CommandKind::List, json!({})).await["accounts"].clone()
}

#[tokio::test]
async fn connect_authorized_before_factor_was_enabled_reports_conflict_and_revokes_grant() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let (mut thief, mut owner) = (env.client("u", "thief").await, env.client("u", "owner").await);
        let callback = authorize_and_return(&mut thief, &github, REDIRECT_URI).await;
        enable_factor(&env, &mut owner).await;
        let late = connect_of(&callback);
        assert_error(&thief.ask(CommandKind::Connect, late).await, "conflict");
        assert_eq!(accounts(&mut owner).await, json!([]));
        github.revocations(1).await;
        assert!(github.logins_with_tokens().is_empty());

        // A connect that is authorized after the verification is linked.
        let callback = authorize_and_return(&mut owner, &github, REDIRECT_URI).await;
        assert_success(&owner.ask(CommandKind::Connect, connect_of(&callback)).await);
    })
    .await;
}

#[tokio::test]
async fn callback_and_pending_link_from_before_factor_was_enabled_report_conflict() {
    with_github(async |mut env, github| {
        host_callback(&mut env);
        let _worker = env.worker().await;
        let (mut thief, mut owner) = (env.client("u", "thief").await, env.client("u", "owner").await);
        let callback = authorize_and_return(&mut thief, &github, HOSTED_REDIRECT_URI).await;
        let waits = pending_link(&mut thief, &github).await;
        enable_factor(&env, &mut owner).await;
        let late: Value = send_callback(&mut thief, &callback).await.data.read().unwrap();
        assert_error(&late, "conflict");
        assert_error(&confirm(&mut thief, confirm_link(&waits)).await, "conflict");
        assert_eq!(accounts(&mut owner).await, json!([]));
        github.revocations(2).await;
        assert!(github.logins_with_tokens().is_empty());
    })
    .await;
}

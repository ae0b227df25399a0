//! Revocation of grants at their platforms after an unlink.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::command::CommandKind;
use serde_json::{Value, json};
use simulator::{DEFAULT_LOGIN, Fault, Handle, Kind, Platform as At, Revocation, Rotation, Route};
use testkit::wait;
use tokio::task::JoinSet;
use worker::Running;

use crate::callback::{host_callback, pending_link};
use crate::client::{Client, DEADLINE, assert_error, assert_success};
use crate::env::{TestEnv, status, with_github};
use crate::scripted_platform::ScriptedPlatform;
use crate::simulated_platform::{code, linked, platform, simulator};

/// Client with the account `ada` linked at a simulated platform.
struct LinkedUser {
    env: TestEnv,
    handle: Handle,
    client: Client,
    at: At,
    _worker: Running,
    _serving: JoinSet<()>,
}

impl LinkedUser {
    /// Links the account; tokens of GitHub expire.
    async fn linked(at: At) -> Self {
        let (handle, serving) = simulator().await;
        handle.expiring_github_tokens();
        let mut env = TestEnv::new(vec![platform(handle.url(), at)]);
        env.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let worker = env.worker().await;
        let client = linked(&env, at, "ada").await;
        assert!(has_grant(&handle, "ada"));
        Self {
            env,
            handle,
            client,
            at,
            _worker: worker,
            _serving: serving,
        }
    }

    async fn disconnect(&mut self) -> Value {
        let account = json!({ "accountType": self.at });
        self.client.ask(CommandKind::Disconnect, account).await
    }

    async fn wait_for_count(&self, outcome: &str, count: u64) {
        let outcome = format!("outcome=\"{outcome}\"");
        let metric = "postern_worker_revocations_total";
        self.env.wait_for_count(metric, &[outcome.as_str()], count).await;
    }

    async fn wait_for_revocation(&self) {
        wait_for_revocation(&self.handle, "ada").await;
    }

    fn revocations(&self) -> Vec<Revocation> {
        self.handle.snapshot().ledger.revocations
    }

    /// Rotations of the refresh tokens that the platform received.
    fn rotations(&self) -> Vec<Rotation> {
        let refreshes = self.handle.snapshot().ledger.refreshes;
        refreshes.into_iter().map(|refresh| refresh.rotation).collect()
    }

    fn fault(&self, kind: Kind) {
        self.handle.fault(Fault::once(self.at, Route::Revoke, kind));
    }
}

fn has_grant(handle: &Handle, login: &str) -> bool {
    handle.snapshot().grants.iter().any(|grant| grant.login == login)
}

async fn wait_for_revocation(handle: &Handle, login: &str) {
    wait::until_true("the grant to end", DEADLINE, async || !has_grant(handle, login)).await;
}

const BEYOND_ANY_LIFETIME: Duration = Duration::from_hours(9);

#[tokio::test]
async fn github_grant_with_refresh_token_is_revoked_by_unlink() {
    let mut linked_user = LinkedUser::linked(At::Github).await;
    assert_success(&linked_user.disconnect().await);
    linked_user.wait_for_revocation().await;
    linked_user.wait_for_count("done", 1).await;
    assert!(linked_user.rotations().is_empty());
}

#[tokio::test]
async fn github_grant_with_expired_access_token_is_revoked() {
    let mut linked_user = LinkedUser::linked(At::Github).await;
    assert_eq!(linked_user.handle.expire(At::Github, "ada"), 1);
    assert_success(&linked_user.disconnect().await);
    linked_user.wait_for_revocation().await;
    linked_user.wait_for_count("done", 1).await;
    assert_eq!(linked_user.rotations(), [Rotation::Rotated]);
}

#[tokio::test]
async fn tokens_refreshed_for_revocation_survive_a_failed_attempt() {
    let mut linked_user = LinkedUser::linked(At::Github).await;
    for _ in 0..2 {
        linked_user.fault(status(503));
    }
    assert_success(&linked_user.disconnect().await);
    linked_user.wait_for_count("retried", 1).await;
    linked_user.env.clock.advance(BEYOND_ANY_LIFETIME);
    linked_user.wait_for_count("retried", 2).await;
    assert_eq!(linked_user.rotations(), [Rotation::Rotated]);
    linked_user.env.clock.advance(Duration::from_hours(1));
    linked_user.wait_for_revocation().await;
    linked_user.wait_for_count("done", 1).await;
    assert_eq!(
        linked_user.rotations(),
        [Rotation::Rotated],
        "a refresh token was sent twice"
    );
}

#[tokio::test]
async fn github_grant_is_revoked_though_refreshed_tokens_are_not_stored() {
    let mut linked_user = LinkedUser::linked(At::Github).await;
    linked_user.handle.expire(At::Github, "ada");
    linked_user.env.store.refused_progress.store(1, Ordering::SeqCst);
    assert_success(&linked_user.disconnect().await);
    linked_user.wait_for_revocation().await;
}

#[tokio::test]
async fn revoke_all_revokes_the_grant() {
    let mut linked_user = LinkedUser::linked(At::Github).await;
    let confirmation = linked_user.client.confirmation().await;
    assert_success(&linked_user.client.revoke_all(&confirmation).await);
    linked_user.wait_for_revocation().await;
}

#[tokio::test]
async fn grant_of_refused_second_account_is_revoked() {
    let mut linked_user = LinkedUser::linked(At::Github).await;
    let second = linked_user
        .client
        .ask(CommandKind::Connect, code(At::Github, "bob"))
        .await;
    assert_error(&second, "already_connected");
    wait_for_revocation(&linked_user.handle, "bob").await;
    assert!(has_grant(&linked_user.handle, "ada"));
}

#[tokio::test]
async fn grant_of_unconfirmed_link_is_revoked() {
    with_github(async |mut env, github| {
        host_callback(&mut env);
        github.handle.expiring_github_tokens();
        let _worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        pending_link(&mut client, &github).await;
        assert!(has_grant(&github.handle, DEFAULT_LOGIN));
        env.clock.advance(Duration::from_mins(6));
        wait_for_revocation(&github.handle, DEFAULT_LOGIN).await;
    })
    .await;
}

#[tokio::test]
async fn unlink_revokes_both_tokens_of_an_x_grant() {
    let mut linked_user = LinkedUser::linked(At::XTwitter).await;
    assert_success(&linked_user.disconnect().await);
    linked_user.wait_for_revocation().await;
    linked_user.wait_for_count("done", 1).await;
    assert_eq!(linked_user.revocations().len(), 2);
}

#[tokio::test]
async fn retried_x_revocation_continues_with_the_second_token() {
    let mut linked_user = LinkedUser::linked(At::XTwitter).await;
    linked_user.fault(Kind::Latency { milliseconds: 0 });
    linked_user.fault(status(503));
    assert_success(&linked_user.disconnect().await);
    linked_user.wait_for_count("retried", 1).await;
    assert!(has_grant(&linked_user.handle, "ada"), "the access token is still valid");
    linked_user.env.clock.advance(Duration::from_mins(1));
    linked_user.wait_for_revocation().await;
    linked_user.wait_for_count("done", 1).await;
    let sent: Vec<_> = linked_user
        .revocations()
        .into_iter()
        .map(|sent| sent.access_token)
        .collect();
    let [refresh, access] = <[String; 2]>::try_from(sent).unwrap();
    assert_ne!(refresh, access, "a token was revoked twice");
}

#[tokio::test]
async fn relinked_x_account_has_its_old_tokens_revoked() {
    let mut linked_user = LinkedUser::linked(At::XTwitter).await;
    let old = linked_user.handle.snapshot().tokens;
    let again = linked_user
        .client
        .ask(CommandKind::Connect, code(At::XTwitter, "ada"))
        .await;
    assert_success(&again);
    linked_user.wait_for_count("done", 1).await;
    let left = linked_user.handle.snapshot().tokens;
    assert!(
        matches!(&left[..], [only] if only.access_token != old[0].access_token && only.refresh_token.is_some()),
        "{left:?}"
    );
    assert_success(&linked_user.disconnect().await);
    linked_user.wait_for_revocation().await;
}

#[tokio::test]
async fn relinked_github_account_keeps_its_grant() {
    let mut linked_user = LinkedUser::linked(At::Github).await;
    let old = linked_user.handle.snapshot().tokens;
    let again = linked_user
        .client
        .ask(CommandKind::Connect, code(At::Github, "ada"))
        .await;
    assert_success(&again);
    linked_user.wait_for_count("done", 1).await;
    let left = linked_user.handle.snapshot().tokens;
    assert!(
        matches!(&left[..], [only] if only.access_token != old[0].access_token),
        "{left:?}"
    );
    let sync = linked_user
        .client
        .ask(CommandKind::Sync, json!({ "accountType": At::Github }))
        .await;
    assert_success(&sync);
}

#[tokio::test(start_paused = true)]
async fn tokens_issued_again_by_relink_are_not_revoked() {
    let scripted = Arc::new(ScriptedPlatform::github());
    let env = TestEnv::new(vec![Arc::<ScriptedPlatform>::clone(&scripted)]);
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect("one").await);
    assert_success(&client.connect("other").await);
    env.wait_for_count("postern_worker_revocations_total", &["outcome=\"done\""], 1)
        .await;
    assert_eq!(scripted.revoked.load(Ordering::SeqCst), 0);
    assert_success(&client.for_github(CommandKind::Disconnect).await);
    env.wait_for_count("postern_worker_revocations_total", &["outcome=\"done\""], 2)
        .await;
    assert_eq!(scripted.revoked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn discord_grant_is_revoked_with_its_last_link() {
    let (handle, _serving) = simulator().await;
    let mut env = TestEnv::new(vec![platform(handle.url(), At::Discord)]);
    env.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
    let _worker = env.worker().await;
    let mut clients = [env.client("u", "s").await, env.client("v", "s").await];
    for client in &mut clients {
        assert_success(&client.ask(CommandKind::Connect, code(At::Discord, "ada")).await);
    }
    let account = json!({ "accountType": At::Discord });
    let [first, last] = &mut clients;
    assert_success(&first.ask(CommandKind::Disconnect, account.clone()).await);
    env.wait_for_count("postern_worker_revocations_total", &["outcome=\"done\""], 1)
        .await;
    assert!(has_grant(&handle, "ada") && handle.snapshot().ledger.revocations.is_empty());
    assert_success(&last.ask(CommandKind::Disconnect, account).await);
    wait_for_revocation(&handle, "ada").await;
}

#[tokio::test]
async fn unknown_token_is_counted_and_not_retried() {
    for at in [At::Github, At::XTwitter] {
        let mut linked_user = LinkedUser::linked(at).await;
        linked_user.handle.deauthorize(at, "ada");
        assert_success(&linked_user.disconnect().await);
        linked_user.wait_for_count("unknown_token", 1).await;
        linked_user.env.clock.advance(BEYOND_ANY_LIFETIME);
        let asked = linked_user.revocations().len();
        linked_user.env.wait_for_lease_query().await;
        assert_eq!(
            linked_user.revocations().len(),
            asked,
            "{at:?}: the revocation was retried"
        );
    }
}

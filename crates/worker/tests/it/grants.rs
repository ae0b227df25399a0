//! Grants at their platforms: what has ended here lives on nowhere.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::command::CommandKind;
use serde_json::{Value, json};
use simulator::{DEFAULT_LOGIN, Fault, Handle, Kind, Platform as At, Revocation, Rotation, Route};
use testkit::wait;
use tokio::task::JoinSet;
use worker::Running;

use crate::callback::{host, parked};
use crate::client::{Client, DEADLINE, refused, succeeded};
use crate::scripted::Scripted;
use crate::simulated::{code, linked, platform, simulator};
use crate::world::{World, status, with_github};

/// A client who has linked `ada` at a platform of a simulator.
struct Stage {
    world: World,
    handle: Handle,
    client: Client,
    at: At,
    _worker: Running,
    _serving: JoinSet<()>,
}

impl Stage {
    /// At GitHub with tokens that expire.
    async fn linked(at: At) -> Self {
        let (handle, serving) = simulator().await;
        handle.expiring_github_tokens();
        let mut world = World::new(vec![platform(handle.url(), at)]);
        world.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
        let worker = world.worker().await;
        let client = linked(&world, at, "ada").await;
        assert!(lives(&handle, "ada"));
        Self {
            world,
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

    async fn counted(&self, outcome: &str, count: u64) {
        let outcome = format!("outcome=\"{outcome}\"");
        let metric = "postern_worker_revocations_total";
        self.world.counted(metric, &[outcome.as_str()], count).await;
    }

    async fn gone(&self) {
        gone(&self.handle, "ada").await;
    }

    fn revocations(&self) -> Vec<Revocation> {
        self.handle.snapshot().ledger.revocations
    }

    /// How the refresh tokens were taken that came to the platform.
    fn rotations(&self) -> Vec<Rotation> {
        let refreshes = self.handle.snapshot().ledger.refreshes;
        refreshes.into_iter().map(|refresh| refresh.rotation).collect()
    }

    fn fault(&self, kind: Kind) {
        self.handle.fault(Fault::once(self.at, Route::Revoke, kind));
    }
}

fn lives(handle: &Handle, login: &str) -> bool {
    handle.snapshot().grants.iter().any(|grant| grant.login == login)
}

async fn gone(handle: &Handle, login: &str) {
    wait::until_true("the grant to end", DEADLINE, async || !lives(handle, login)).await;
}

const BEYOND_ANY_LIFETIME: Duration = Duration::from_hours(9);

#[tokio::test]
async fn a_github_grant_with_a_refresh_token_ends_with_the_unlink() {
    let mut stage = Stage::linked(At::Github).await;
    succeeded(&stage.disconnect().await);
    stage.gone().await;
    stage.counted("done", 1).await;
    assert!(stage.rotations().is_empty());
}

#[tokio::test]
async fn a_github_grant_ends_whose_access_token_has_expired() {
    let mut stage = Stage::linked(At::Github).await;
    assert_eq!(stage.handle.expire(At::Github, "ada"), 1);
    succeeded(&stage.disconnect().await);
    stage.gone().await;
    stage.counted("done", 1).await;
    assert_eq!(stage.rotations(), [Rotation::Rotated]);
}

#[tokio::test]
async fn renewed_tokens_of_a_revocation_outlive_a_failed_try() {
    let mut stage = Stage::linked(At::Github).await;
    for _ in 0..2 {
        stage.fault(status(503));
    }
    succeeded(&stage.disconnect().await);
    stage.counted("retried", 1).await;
    stage.world.clock.advance(BEYOND_ANY_LIFETIME);
    stage.counted("retried", 2).await;
    assert_eq!(stage.rotations(), [Rotation::Rotated]);
    stage.world.clock.advance(Duration::from_hours(1));
    stage.gone().await;
    stage.counted("done", 1).await;
    assert_eq!(
        stage.rotations(),
        [Rotation::Rotated],
        "no refresh token was sent twice"
    );
}

#[tokio::test]
async fn a_github_grant_ends_though_its_renewed_tokens_cannot_be_stored() {
    let mut stage = Stage::linked(At::Github).await;
    stage.handle.expire(At::Github, "ada");
    stage.world.store.refused_progress.store(1, Ordering::SeqCst);
    succeeded(&stage.disconnect().await);
    stage.gone().await;
}

#[tokio::test]
async fn all_grants_end_with_all_access() {
    let mut stage = Stage::linked(At::Github).await;
    let confirmation = stage.client.confirmation().await;
    succeeded(&stage.client.revoke_all(&confirmation).await);
    stage.gone().await;
}

#[tokio::test]
async fn the_grant_of_another_account_than_the_linked_one_ends() {
    let mut stage = Stage::linked(At::Github).await;
    let second = stage.client.ask(CommandKind::Connect, code(At::Github, "bob")).await;
    refused(&second, "already_connected");
    gone(&stage.handle, "bob").await;
    assert!(lives(&stage.handle, "ada"));
}

#[tokio::test]
async fn the_grant_of_a_parked_link_that_nobody_confirms_ends() {
    with_github(async |mut world, github| {
        host(&mut world);
        github.handle.expiring_github_tokens();
        let _worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        parked(&mut client, &github).await;
        assert!(lives(&github.handle, DEFAULT_LOGIN));
        world.clock.advance(Duration::from_mins(6));
        gone(&github.handle, DEFAULT_LOGIN).await;
    })
    .await;
}

#[tokio::test]
async fn both_tokens_of_an_x_grant_end_with_the_unlink() {
    let mut stage = Stage::linked(At::XTwitter).await;
    succeeded(&stage.disconnect().await);
    stage.gone().await;
    stage.counted("done", 1).await;
    assert_eq!(stage.revocations().len(), 2);
}

#[tokio::test]
async fn the_second_token_of_an_x_grant_is_given_back_by_whoever_goes_on() {
    let mut stage = Stage::linked(At::XTwitter).await;
    stage.fault(Kind::Latency { milliseconds: 0 });
    stage.fault(status(503));
    succeeded(&stage.disconnect().await);
    stage.counted("retried", 1).await;
    assert!(lives(&stage.handle, "ada"), "the access token is good");
    stage.world.clock.advance(Duration::from_mins(1));
    stage.gone().await;
    stage.counted("done", 1).await;
    let sent: Vec<_> = stage.revocations().into_iter().map(|sent| sent.access_token).collect();
    let [refresh, access] = <[String; 2]>::try_from(sent).unwrap();
    assert_ne!(refresh, access, "no token was given back twice");
}

#[tokio::test]
async fn an_x_account_linked_again_leaves_none_of_its_old_tokens_behind() {
    let mut stage = Stage::linked(At::XTwitter).await;
    let old = stage.handle.snapshot().tokens;
    let again = stage.client.ask(CommandKind::Connect, code(At::XTwitter, "ada")).await;
    succeeded(&again);
    stage.counted("done", 1).await;
    let left = stage.handle.snapshot().tokens;
    assert!(
        matches!(&left[..], [only] if only.access_token != old[0].access_token && only.refresh_token.is_some()),
        "{left:?}"
    );
    succeeded(&stage.disconnect().await);
    stage.gone().await;
}

#[tokio::test]
async fn a_github_account_linked_again_keeps_its_grant() {
    let mut stage = Stage::linked(At::Github).await;
    let old = stage.handle.snapshot().tokens;
    let again = stage.client.ask(CommandKind::Connect, code(At::Github, "ada")).await;
    succeeded(&again);
    stage.counted("done", 1).await;
    let left = stage.handle.snapshot().tokens;
    assert!(
        matches!(&left[..], [only] if only.access_token != old[0].access_token),
        "{left:?}"
    );
    let sync = stage
        .client
        .ask(CommandKind::Sync, json!({ "accountType": At::Github }))
        .await;
    succeeded(&sync);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_a_platform_issues_once_more_are_not_given_back() {
    let scripted = Arc::new(Scripted::github());
    let world = World::new(vec![Arc::<Scripted>::clone(&scripted)]);
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    succeeded(&client.connect("one").await);
    succeeded(&client.connect("other").await);
    world
        .counted("postern_worker_revocations_total", &["outcome=\"done\""], 1)
        .await;
    assert_eq!(scripted.revoked.load(Ordering::SeqCst), 0);
    succeeded(&client.for_github(CommandKind::Disconnect).await);
    world
        .counted("postern_worker_revocations_total", &["outcome=\"done\""], 2)
        .await;
    assert_eq!(scripted.revoked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_discord_grant_ends_with_the_last_link_and_not_before() {
    let (handle, _serving) = simulator().await;
    let mut world = World::new(vec![platform(handle.url(), At::Discord)]);
    world.settings.dangerous_repeatable_codes = Some("test_code_".to_owned());
    let _worker = world.worker().await;
    let mut clients = [world.client("u", "s").await, world.client("v", "s").await];
    for client in &mut clients {
        succeeded(&client.ask(CommandKind::Connect, code(At::Discord, "ada")).await);
    }
    let account = json!({ "accountType": At::Discord });
    let [first, last] = &mut clients;
    succeeded(&first.ask(CommandKind::Disconnect, account.clone()).await);
    world
        .counted("postern_worker_revocations_total", &["outcome=\"done\""], 1)
        .await;
    assert!(lives(&handle, "ada") && handle.snapshot().ledger.revocations.is_empty());
    succeeded(&last.ask(CommandKind::Disconnect, account).await);
    gone(&handle, "ada").await;
}

#[tokio::test]
async fn a_token_that_its_platform_does_not_know_is_an_outcome_of_its_own() {
    for at in [At::Github, At::XTwitter] {
        let mut stage = Stage::linked(at).await;
        stage.handle.deauthorize(at, "ada");
        succeeded(&stage.disconnect().await);
        stage.counted("unknown_token", 1).await;
        stage.world.clock.advance(BEYOND_ANY_LIFETIME);
        let asked = stage.revocations().len();
        stage.world.next_look().await;
        assert_eq!(stage.revocations().len(), asked, "{at:?}: it is not tried again");
    }
}

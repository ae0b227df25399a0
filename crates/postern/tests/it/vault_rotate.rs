//! `postern vault rotate`: key rotation in a running cluster, after which the old key can be removed.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use testkit::cluster::Cluster;
use testkit::node::Output;
use testkit::process::Launch;
use testkit::scratch::Scratch;
use testkit::wait;

use crate::factor;
use crate::rotation::has_reloaded;
use crate::stage::{POSTERN, Platforms, client, connect};

const OLD: &str = "old:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
const OTHER_OLD: &str = "old:MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=";
const NEW: &str = "new:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

#[tokio::test]
async fn a_key_is_rotated_under_load_and_the_old_one_thrown_away() {
    let both = format!("{NEW},{OLD}");
    let platforms = Platforms::start().await;
    let builder = platforms.linked_to(Cluster::builder(POSTERN));
    let mut cluster = builder.worker_env("POSTERN_VAULT_KEYS", OLD).start().await;
    cluster.canary(secret(OLD));
    cluster.canary(secret(NEW));
    for user in 0..6 {
        link(&cluster, user).await;
    }

    // Both keys everywhere, the new one first; then the key rotation, while accounts are linked.
    cluster.start_worker_with(&[("POSTERN_VAULT_KEYS", &both)]).await;
    cluster.worker(0).terminate();
    cluster.worker(0).wait(wait::deadline()).await;
    let load = async {
        for user in 6..12 {
            link(&cluster, user).await;
        }
    };
    let (rotated, ()) = tokio::join!(rotate(&cluster, &both), load);
    assert_eq!(rotated.status, 0, "{rotated:?}");
    let retired = rotated.stdout.lines().last().unwrap();
    assert!(
        retired.starts_with("may be retired") && retired.ends_with(": old"),
        "{retired}"
    );
    assert!(
        rotated.stdout.contains("accounts.access_token: 6 re-encrypted"),
        "{}",
        rotated.stdout
    );

    let again = rotate(&cluster, &both).await;
    assert_eq!(again.status, 0, "{again:?}");
    assert!(
        again.stdout.contains("accounts.access_token: 0 re-encrypted"),
        "{}",
        again.stdout
    );

    // Everything still decrypts without the old key.
    cluster.start_worker_with(&[("POSTERN_VAULT_KEYS", NEW)]).await;
    cluster.worker(1).terminate();
    cluster.worker(1).wait(wait::deadline()).await;
    for user in 0..12 {
        assert!(syncs(&cluster, user).await, "user {user}");
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn changed_file_of_the_keys_needs_no_restart_and_cannot_leave_out_a_key_in_use() {
    const VARIABLE: &str = "POSTERN_VAULT_KEYS";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let write = |keys: &str| {
        std::fs::write(folder.path().join("next"), keys).unwrap();
        std::fs::rename(folder.path().join("next"), &path).unwrap();
    };
    write(OLD);
    let platforms = Platforms::start().await;
    let builder = platforms
        .linked_to(Cluster::builder(POSTERN))
        .without(VARIABLE)
        .worker_env("POSTERN_VAULT_KEYS_FILE", path.display());
    let cluster = builder.start().await;
    cluster.canary(secret(OLD));
    cluster.canary(secret(NEW));
    link(&cluster, 0).await;

    let both = format!("{NEW},{OLD}");
    write(&both);
    has_reloaded(cluster.worker(0), VARIABLE, 1).await;
    link(&cluster, 1).await;
    for (lacking, id) in [(NEW, "old"), (OLD, "new")] {
        write(lacking);
        wait::until_true("the rejection", wait::deadline(), async || {
            let named = format!("key {id} is missing, and accounts.access_token is encrypted with it");
            cluster.worker(0).logs().contains(&named)
        })
        .await;
        assert!(syncs(&cluster, 0).await && syncs(&cluster, 1).await, "without {id}");
    }

    assert_eq!(rotate(&cluster, &both).await.status, 0);
    write(NEW);
    has_reloaded(cluster.worker(0), VARIABLE, 2).await;
    for user in 0..2 {
        assert!(syncs(&cluster, user).await, "user {user}");
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn text_that_does_not_decrypt_is_named_without_content_and_unchanged() {
    let platforms = Platforms::start().await;
    let builder = platforms.linked_to(Cluster::builder(POSTERN));
    let cluster = builder.worker_env("POSTERN_VAULT_KEYS", OLD).start().await;
    link(&cluster, 0).await;
    for keys in [format!("{NEW},{OTHER_OLD}"), NEW.to_owned()] {
        let refused = rotate(&cluster, &keys).await;
        assert_eq!(refused.status, 1, "{refused:?}");
        let named = "accounts.access_token of user GEN-000, github, encrypted with old: ";
        assert!(refused.stdout.contains(named), "{}", refused.stdout);
        let retired = refused.stdout.lines().last().unwrap();
        assert!(retired.contains("nothing"), "{retired}");
        assert!(
            !format!("{refused:?}").contains("gho_"),
            "a token of GitHub's was printed"
        );
    }
    assert!(syncs(&cluster, 0).await);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_second_factor_outlives_the_key_it_was_set_up_under() {
    let platforms = Platforms::start().await;
    let builder = platforms.linked_to(Cluster::builder(POSTERN));
    let mut cluster = builder.worker_env("POSTERN_VAULT_KEYS", OLD).start().await;
    let owner = client(&cluster, 0, factor::USER).await;
    let (secret, recovery) = factor::enrol(&owner).await;

    let rotated = rotate(&cluster, &format!("{NEW},{OLD}")).await;
    assert_eq!(rotated.status, 0, "{rotated:?}");
    for column in ["security.factor_secret", "security.recovery_key"] {
        let line = format!("{column}: 1 re-encrypted");
        assert!(rotated.stdout.contains(&line), "{}", rotated.stdout);
    }

    cluster.worker(0).terminate();
    cluster.worker(0).wait(wait::deadline()).await;
    cluster.start_worker_with(&[("POSTERN_VAULT_KEYS", NEW)]).await;
    for token in [factor::code(&secret, 0), recovery[3].clone()] {
        let device = client(&cluster, 1, factor::USER).await;
        let asked = factor::challenge(&device).await;
        let verified = factor::verify(&device, &asked, &token).await;
        assert_eq!(verified["success"], true, "{verified}");
    }
}

fn name(user: usize) -> String {
    format!("GEN-{user:03}")
}

fn secret(key: &str) -> &str {
    key.split_once(':').unwrap().1
}

async fn link(cluster: &Cluster, user: usize) {
    let client = client(cluster, user % 2, &name(user)).await;
    client
        .emit("account:connect", connect(&name(user), &format!("test_code_{user}")))
        .await;
    let answer = client.next_event("account:connect_response").await.data;
    assert_eq!(answer.get("success"), Some(&json!(true)), "{answer}");
}

/// True if the account's token decrypts: a sync needs it.
async fn syncs(cluster: &Cluster, user: usize) -> bool {
    let client = client(cluster, 0, &name(user)).await;
    let account = json!({ "userId": name(user), "accountType": "github" });
    client.emit("account:sync", account).await;
    let complete = client.next_event("account:sync_complete").await.data;
    complete.get("lastSynced").is_some()
}

/// Runs the command with the cluster's database.
async fn rotate(cluster: &Cluster, keys: &str) -> Output {
    let mut command = Command::new(POSTERN);
    command
        .args(["vault", "rotate"])
        .env("POSTERN_DATABASE_URL", cluster.schema().url())
        .env("POSTERN_VAULT_KEYS", keys);
    let launch = Launch::new("rotate", &Arc::new(Scratch::new("rotate")), command);
    let process = launch.without_environment().start();
    let status = process.wait(wait::deadline()).await;
    Output {
        status,
        stdout: process.stdout(),
        stderr: process.stderr(),
    }
}

//! The previous release beside this one, on one Redis and one schema.
//!
//! The tests of this module print that they were skipped where the previous release cannot be built: without git, or without its commit.

mod previous;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::chaos::SeededRng;
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::wait;

use self::previous::previous_release;
use crate::chaos::deployment::{Deployment, ProxiedServer};
use crate::chaos::seed;
use crate::chaos::stage::Stage;
use crate::command_line::postern;
use crate::stage::{POSTERN, Platforms, by_hand, client, connect};

const KEYS: &str = "two-releases:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const USER: &str = "GEN-001";

/// Role that is upgraded first.
#[derive(Clone, Copy, Debug)]
enum Upgraded {
    Gateways,
    Workers,
}

#[tokio::test]
async fn under_random_faults_two_releases_lose_no_event_and_deliver_none_twice() {
    let Some(previous) = previous_release().await else {
        return;
    };
    Box::pin(upgrade(&previous, Upgraded::Gateways)).await;
    if by_hand("POSTERN_RELEASES_SECONDS").is_some() {
        Box::pin(upgrade(&previous, Upgraded::Workers)).await;
    }
}

/// Upgrades a cluster by one role, and by hand by both, and rolls it back. Each step is one that an operator takes, with the schema of that
/// step.
async fn upgrade(previous: &Path, first: Upgraded) {
    let by_hand = by_hand("POSTERN_RELEASES_SECONDS").map(Duration::from_secs);
    let name = match first {
        Upgraded::Gateways => "old workers, new gateways",
        Upgraded::Workers => "old gateways, new workers",
    };
    let redis = Deployment::Server(Box::new(ProxiedServer::start().await));
    let mut stage = Stage::start_with(previous, name, SeededRng::new(seed()), redis).await;
    stage.publish_some().await;
    if let Some(lasts) = by_hand {
        stage = stage.run_with_faults(lasts).await;
    }
    stage.migrate_with(POSTERN).await;
    stage.publish_some().await;
    let replace = async |stage: &mut Stage, role, binary: &Path| match role {
        Upgraded::Gateways => stage.replace_gateways_with(binary).await,
        Upgraded::Workers => stage.replace_workers_with(binary).await,
    };
    replace(&mut stage, first, Path::new(POSTERN)).await;
    stage = match by_hand {
        Some(lasts) => stage.run_with_faults(lasts).await,
        None => {
            let stage = stage.run_with_each_fault_of_nodes().await;
            stage.run_with_each_fault_of_redis().await
        }
    };
    if let Some(lasts) = by_hand {
        for (role, binary) in [
            (Upgraded::Gateways, Path::new(POSTERN)),
            (Upgraded::Workers, Path::new(POSTERN)),
            (first, previous),
        ] {
            replace(&mut stage, role, binary).await;
            stage = stage.run_with_faults(lasts).await;
        }
    }
    stage.publish_some().await;
    stage.check().await;
}

/// Workers and gateways of both releases in turn, as in an upgrade and a rollback: accounts, tokens, answers, cursors, settings, sessions and
/// the audit log that one has written are those that the other continues.
#[tokio::test]
async fn what_one_release_has_stored_the_other_continues() {
    let Some(previous) = previous_release().await else {
        return;
    };
    let (new, old) = (Path::new(POSTERN), previous.as_path());
    let platforms = Platforms::start().await;
    let builder = Cluster::builder(old).gateways(1).worker_env("POSTERN_VAULT_KEYS", KEYS);
    let mut cluster = platforms.linked_to(builder).start().await;
    let caller = client(&cluster, 0, USER).await;
    let mut command = connect(USER, "test_code_two_releases");
    command["idempotencyKey"] = json!("k-1");
    let linked = succeeds(&caller, "account:connect", command.clone()).await;
    drop(caller);
    cluster.migrate_with(new).await;

    let steps = [(old, old), (new, old), (new, new), (old, new), (old, old)];
    for ((gateway, worker), timeout) in steps.into_iter().zip(61_u64..) {
        replace_both(&mut cluster, gateway, worker).await;
        let caller = client(&cluster, 0, USER).await;
        let repeated = succeeds(&caller, "account:connect", command.clone()).await;
        assert_eq!(repeated, linked, "the answer was stored by the first worker");
        let listed = succeeds(&caller, "account:list", json!({})).await;
        assert_eq!(listed["accounts"][0]["accountType"], "github");
        succeeds(
            &caller,
            "account:sync",
            json!({ "userId": USER, "accountType": "github" }),
        )
        .await;
        let before = succeeds(&caller, "security:get_settings", json!({})).await;
        if timeout > 61 {
            assert_eq!(before["settings"]["sessionTimeout"], timeout - 1);
        }
        let change = json!({ "userId": USER, "settings": { "sessionTimeout": timeout } });
        succeeds(&caller, "security:update_settings", change).await;
        let sessions = succeeds(&caller, "security:sessions", json!({})).await;
        assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1), "{sessions}");
        let extended = succeeds(&caller, "security:extend_session", json!({})).await;
        for ending in [&sessions["sessions"][0], &extended] {
            assert!(ending["expiresAt"].is_string(), "{ending}");
            // A job of the previous gateway has no end of the token, and a previous worker names none.
            let names_both = ending["tokenExpiresAt"].is_string() && ending["sessionExpiresAt"].is_string();
            assert!(names_both || gateway == old || worker == old, "{ending}");
        }
    }
    assert_eq!(platforms.exchanges("test_code_two_releases"), 1);
    verify_audit_log(&cluster).await;
    platforms.watch_tokens(&cluster);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Runs a command and returns its answer, which must be a success.
async fn succeeds(caller: &SocketIo, command: &str, data: Value) -> Value {
    let answer = caller.emit_with_ack(command, data).await;
    assert_eq!(answer["success"], true, "{command}: {answer}");
    answer
}

/// Replaces the gateway and the worker by those of two binaries.
async fn replace_both(cluster: &mut Cluster, gateway: &Path, worker: &Path) {
    cluster.set_gateway_binary(gateway);
    cluster.set_worker_binary(worker);
    for node in [cluster.gateway(0), cluster.worker(0)] {
        node.terminate();
        assert_eq!(node.wait(wait::deadline()).await, 0);
    }
    cluster.restart_worker(0).await;
    cluster.restart_gateway(0).await;
}

/// Asserts that the chain of the audit log, of rows of both releases, is as it was written.
async fn verify_audit_log(cluster: &Cluster) {
    let url = cluster.schema().url();
    let verified = postern(&["audit", "verify", "--database-url", &url, "--vault-keys", KEYS]).await;
    assert_eq!(verified.status, 0, "{}{}", verified.stdout, verified.stderr);
}

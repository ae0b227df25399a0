//! Single-use refresh tokens, while one response in a hundred is lost and workers are killed: no token is sent more often than
//! allowed, no stale token is stored, and every lost link raises an alert.
//!
//! `POSTERN_REFRESHES` sets their number; faults and pauses are drawn from a seed, which `POSTERN_CHAOS_SEED` repeats.

mod owner;
mod record;

use std::sync::Arc;
use std::time::Duration;

use simulator::{Fault, Kind, Platform, Route};
use testkit::chaos::SeededRng;
use testkit::cluster::Cluster;
use testkit::wait;
use tokio::task::JoinSet;

use self::owner::{Owner, login};
use self::record::{NOTIFIED_WITHIN, Record, now};
use crate::discord::linked_to;
use crate::stage::{POSTERN, Platforms, by_hand, client};

#[tokio::test]
async fn killed_workers_send_no_refresh_token_twice_without_need_and_every_lost_link_raises_an_alert() {
    let seed = by_hand("POSTERN_CHAOS_SEED").unwrap_or(20_261_124);
    let wanted = usize::try_from(by_hand("POSTERN_REFRESHES").unwrap_or(1_000)).unwrap();
    let mut rng = SeededRng::new(seed);
    println!("refreshes: {rng:?}");
    let platforms = Arc::new(Platforms::seeded(seed).await);
    let cluster = Cluster::builder(POSTERN)
        .workers(WORKERS)
        .gateway_env("POSTERN_CONNECT_RATE", "off");
    let mut cluster = linked_to(&platforms, cluster).start().await;
    // So short that each sync, on command or scheduled, needs new tokens first.
    platforms.handle.lifetime(Platform::Discord, Duration::from_secs(5));
    let record = Record::default();
    let mut owners = JoinSet::new();
    for index in 0..USERS {
        let user = format!("GEN-{index:03}");
        let owner = Owner {
            client: client(&cluster, index % 2, &user).await,
            login: login(index),
            user,
            platforms: Arc::clone(&platforms),
            record: record.clone(),
            rng: rng.fork(),
        };
        owner.link().await;
        owners.spawn(owner.watch());
    }

    let drops = Fault::sometimes(Platform::Discord, Route::Token, Kind::DropResponse, 10);
    platforms.handle.fault(drops);
    let mut killed = 0;
    while record.read(&platforms).refreshed < wanted {
        for _ in 0..=rng.below(5) {
            make_due(&cluster).await;
            rng.pause(Duration::from_millis(100)..Duration::from_millis(700)).await;
        }
        let worker = rng.below(WORKERS);
        cluster.worker(worker).kill().await;
        cluster.restart_worker(worker).await;
        killed += 1;
        assert!(owners.try_join_next().is_none(), "an owner has given up");
    }
    platforms.handle.clear_faults();

    // Every lost link has an alert, is linked anew, and can be refreshed once more.
    let since = now();
    wait::until_true("all links to be refreshed once more", LONG, async || {
        make_due(&cluster).await;
        rng.pause(Duration::from_millis(300)..Duration::from_millis(600)).await;
        let findings = record.read(&platforms);
        let good = findings.refreshed_since(since);
        (0..USERS).all(|index| good.contains(login(index).as_str()))
    })
    .await;
    owners.shutdown().await;
    let findings = record.read(&platforms);
    println!("refreshes: {killed} workers killed; {findings}");
    assert_eq!(findings.violations, Vec::<String>::new());
    assert!(findings.slowest() < 10 * NOTIFIED_WITHIN, "{findings}");
    platforms.watch_tokens(&cluster);
    // Each line is searched for each token.
    for spent in platforms.handle.snapshot().ledger.refreshes.iter().rev().take(100) {
        cluster.canary(&spent.refresh_token);
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Makes all accounts due that are not being synced.
async fn make_due(cluster: &Cluster) {
    let due = "UPDATE accounts SET next_sync_at = now() WHERE (user_id, account_type) IN (SELECT user_id, account_type \
               FROM accounts WHERE next_sync_at > now() FOR UPDATE SKIP LOCKED)";
    cluster.schema().sql(due).await;
}

const WORKERS: usize = 3;
const USERS: usize = 60;
const LONG: Duration = Duration::from_secs(120);

//! Workers are replaced one after the other under a load of commands and syncs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use simulator::{Fault, Kind, NewNotification, Platform, Route};
use testkit::client::SocketIo;
use testkit::cluster::{Cluster, Member};
use testkit::wait;
use tokio::task::JoinSet;

use crate::stage::{POSTERN, Platforms, client, connect};

const WORKERS: usize = 3;
/// Users who link an account in each round, and as many who sync theirs.
const USERS: usize = 6;

#[tokio::test]
async fn workers_terminated_one_by_one_fail_no_command_and_run_no_job_twice() {
    let mut scene = Box::pin(Scene::start()).await;
    let mut finished = 0;
    for worker in 0..WORKERS {
        let round = scene
            .round(worker, async |member: &Member| {
                member.terminate();
                wait::until_true("the worker to drain", wait::deadline(), async || {
                    member.logs().contains("stop signal received, draining")
                })
                .await;
            })
            .await;
        for answer in round.connects.iter().chain(&round.syncs) {
            assert_eq!(answer["success"], true, "{answer}");
        }
        assert!(round.blocked >= 2 * USERS, "the platform has not answered yet");
        finished += round.running;
        assert_eq!(scene.cluster.worker(worker).wait(wait::deadline()).await, 0);
        let log = scene.cluster.worker(worker).logs();
        assert!(log.contains("nothing cut"), "{log}");
        scene.cluster.restart_worker(worker).await;
    }
    assert!(finished > 0, "no worker had a job to finish");
    for (job, runs) in scene.runs_of_jobs() {
        assert_eq!(runs, 1, "job {job}");
    }
    scene.finish(USERS * (1 + WORKERS)).await;
}

#[tokio::test]
async fn killed_worker_leaves_an_answer_to_each_command_and_nothing_is_done_twice() {
    let mut scene = Box::pin(Scene::start()).await;
    let round = scene.round(0, Member::kill).await;
    // The code of a killed connect is spent: it is not sent again.
    for answer in &round.connects {
        assert!(
            answer["success"] == true || answer["error"] == "oauth_failed",
            "{answer}"
        );
    }
    for answer in &round.syncs {
        assert_eq!(answer["success"], true, "{answer}");
    }
    scene.cluster.restart_worker(0).await;
    let linked = round.connects.iter().filter(|answer| answer["success"] == true).count();
    scene.finish(USERS + linked).await;
}

/// Cluster with three workers, users with a linked account, and a client that lists its accounts all the time.
struct Scene {
    platforms: Platforms,
    cluster: Cluster,
    /// Clients whose accounts are synced, by their number.
    syncing: Vec<SocketIo>,
    /// Number of rounds.
    rounds: usize,
    has_ended: Arc<AtomicBool>,
    load: JoinSet<usize>,
}

/// Answers to the commands that were in flight when a worker was stopped.
struct Round {
    connects: Vec<Value>,
    syncs: Vec<Value>,
    /// Jobs that the worker was running when it was stopped.
    running: u64,
    /// Requests that still waited for the platform after further commands had been answered.
    blocked: usize,
}

impl Scene {
    async fn start() -> Self {
        let platforms = Platforms::start().await;
        let cluster = platforms
            .linked_to(Cluster::builder(POSTERN))
            .workers(WORKERS)
            .gateway_env("POSTERN_COMMAND_RATE", "off")
            .gateway_env("POSTERN_EVENT_RATE", "1000/1000")
            .gateway_env("POSTERN_BATCH_INTERVAL", "0s")
            .worker_env("POSTERN_LOG", "info,worker=debug")
            .start()
            .await;
        let mut syncing = Vec::new();
        for number in 0..USERS {
            let client = client(&cluster, number % 2, &format!("S-{number}")).await;
            let code = format!("test_code_s{number}");
            let linked = client
                .emit_with_ack("account:connect", connect(&format!("S-{number}"), &code))
                .await;
            assert_eq!(linked["success"], true, "{linked}");
            let synced = sync((number, &client)).await;
            assert_eq!(synced["success"], true, "{synced}");
            syncing.push(client);
        }
        let has_ended = Arc::new(AtomicBool::new(false));
        let mut load = JoinSet::new();
        load.spawn(list_until(Arc::clone(&has_ended), client(&cluster, 1, "LOAD").await));
        Self {
            platforms,
            cluster,
            syncing,
            rounds: 0,
            has_ended,
            load,
        }
    }

    /// Stops a worker while connects and syncs of all users wait for the platform. Until it answers, further commands are answered: none
    /// waits for the worker that stops.
    async fn round(&mut self, worker: usize, stop: impl AsyncFnOnce(&Member)) -> Round {
        self.rounds += 1;
        let round = self.rounds;
        let github = &self.platforms.handle;
        let mut linking = Vec::new();
        for number in 0..USERS {
            linking.push(client(&self.cluster, number % 2, &format!("C-{round}-{number}")).await);
            github.notify(NewNotification {
                login: format!("s{number}"),
                title: format!("round {round}"),
                ..NewNotification::default()
            });
        }
        for route in [Route::Token, Route::Notifications] {
            github.fault(Fault::forever(Platform::Github, route, Kind::AwaitRelease));
        }
        let connects = join_all(linking.iter().enumerate().map(|(number, client)| {
            let command = connect(&format!("C-{round}-{number}"), &code(round, number));
            client.emit_with_ack("account:connect", command)
        }));
        let syncs = join_all(self.syncing.iter().enumerate().map(sync));
        let stopped = async {
            wait::until_true("all commands to wait for the platform", wait::deadline(), async || {
                github.snapshot().blocked.len() >= 2 * USERS
            })
            .await;
            let running = running_jobs(self.cluster.worker(worker)).await;
            stop(self.cluster.worker(worker)).await;
            for client in linking.iter().take(2).chain(self.syncing.iter().take(2)) {
                let list = client.emit_with_ack("account:list", json!({})).await;
                assert_eq!(list["success"], true, "{list}");
            }
            let blocked = github.snapshot().blocked.len();
            github.clear_faults();
            github.release();
            (running, blocked)
        };
        let (connects, syncs, (running, blocked)) = tokio::join!(connects, syncs, stopped);
        Round {
            connects,
            syncs,
            running,
            blocked,
        }
    }

    /// Number of runs of each job, by the logs of all workers.
    fn runs_of_jobs(&self) -> BTreeMap<String, usize> {
        let mut runs = BTreeMap::new();
        for line in self.cluster.logs().lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            let spans = line["spans"].as_array().map_or(&[][..], Vec::as_slice);
            if line["message"] == "job done"
                && let Some(span) = spans.iter().find(|span| span["name"] == "job")
            {
                *runs.entry(span["job"].to_string()).or_default() += 1;
            }
        }
        assert!(runs.len() > WORKERS * USERS, "{runs:?}");
        runs
    }

    /// Asserts that the load never failed, each code was exchanged once, each notification delivered once, and each link audited once.
    async fn finish(mut self, linked: usize) {
        self.has_ended.store(true, Ordering::SeqCst);
        let listed = self.load.join_next().await.unwrap().unwrap();
        assert!(listed > WORKERS, "{listed} lists");
        for round in 1..=self.rounds {
            for number in 0..USERS {
                assert_eq!(self.platforms.exchanges(&code(round, number)), 1, "{round} {number}");
            }
        }
        for (number, client) in self.syncing.iter().enumerate() {
            // Whatever the last sync published was received before the answer to another one.
            assert_eq!(sync((number, client)).await["data"]["notifications"], json!(0));
            let events = client.unread();
            let received = events.iter().filter(|event| event.name == "notification:incoming");
            let mut contents: Vec<_> = received.map(|event| event.data["content"].to_string()).collect();
            contents.sort();
            let expected: Vec<_> = (1..=self.rounds).map(|round| format!("\"round {round}\"")).collect();
            assert_eq!(contents, expected);
        }
        let rows = "SELECT count(*) FROM audit WHERE action = 'account_linked' AND result = 'ok'";
        assert_eq!(self.cluster.schema().sql(rows).await, [linked.to_string()]);
        self.platforms.watch_tokens(&self.cluster);
        assert_eq!(self.cluster.finish().await, Vec::<String>::new());
    }
}

/// Lists accounts, one command after the other, until the test has ended; returns the number of commands. Each must succeed.
async fn list_until(has_ended: Arc<AtomicBool>, client: SocketIo) -> usize {
    let mut listed = 0;
    while !has_ended.load(Ordering::SeqCst) {
        let list = client.emit_with_ack("account:list", json!({})).await;
        assert_eq!(list["success"], true, "after {listed}: {list}");
        listed += 1;
    }
    listed
}

/// Number of jobs that a worker runs, by its metrics.
async fn running_jobs(worker: &Member) -> u64 {
    let metrics = worker.metrics().await;
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("postern_worker_jobs_running{"));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Syncs the account of a user by its number.
async fn sync((number, client): (usize, &SocketIo)) -> Value {
    let account = json!({ "userId": format!("S-{number}"), "accountType": "github" });
    client.emit_with_ack("account:sync", account).await
}

fn code(round: usize, number: usize) -> String {
    format!("test_code_c{round}x{number}")
}

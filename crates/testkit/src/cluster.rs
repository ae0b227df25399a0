//! Cluster of the `postern` binary: gateways and workers as real processes.

mod builder;
mod member;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

pub use self::builder::Builder;
pub use self::member::Member;

use self::builder::Secrets;
use self::member::{Launcher, Role};
use crate::canary::Canaries;
use crate::client::Endpoint;
use crate::fail::{OrFail as _, fail};
use crate::otlp::OtlpReceiver;
use crate::postgres::Schema;
use crate::redis;
use crate::tls::Authority;
use crate::token::Signer;
use crate::wait;

/// Running cluster. Its processes end with this value.
#[derive(Debug)]
pub struct Cluster {
    gateways: Vec<Member>,
    workers: Vec<Member>,
    launcher: Launcher,
    authority: Authority,
    secrets: Secrets,
    stores: Stores,
    canaries: Canaries,
}

/// Servers with the cluster's state, reached without a proxy.
#[derive(Debug)]
struct Stores {
    redis_addrs: Vec<SocketAddr>,
    redis_prefix: String,
    schema: Schema,
}

impl Cluster {
    /// Builder for this `postern` binary: `env!("CARGO_BIN_EXE_postern")` in the tests of its crate.
    pub fn builder(binary: impl AsRef<Path>) -> Builder {
        Builder::new(binary.as_ref())
    }

    /// Gateway by its index of start.
    pub fn gateway(&self, index: usize) -> &Member {
        self.gateways.get(index).or_fail(&format!("find gateway {index}"))
    }

    /// Worker by its index of start.
    pub fn worker(&self, index: usize) -> &Member {
        self.workers.get(index).or_fail(&format!("find worker {index}"))
    }

    /// Endpoint of a gateway. Secrets that clients receive from it count as canaries.
    pub fn endpoint(&self, index: usize) -> Endpoint {
        Endpoint::new(self.gateway(index).addr(), self.authority.client()).watched_by(&self.canaries)
    }

    /// Starts one more gateway and waits until it is ready.
    pub async fn start_gateway(&mut self) -> &Member {
        self.start_gateway_with(&[]).await
    }

    /// Starts one more gateway with variables of its own, and waits until it is ready.
    pub async fn start_gateway_with(&mut self, env: &[(&str, &str)]) -> &Member {
        let name = format!("gateway-{}", self.gateways.len());
        let member = self.launcher.start(Role::Gateway, &name, env).await;
        self.gateways.push(member);
        self.gateway(self.gateways.len() - 1)
    }

    /// Starts one more gateway with variables of its own, and does not wait for it.
    pub fn begin_gateway_with(&mut self, env: &[(&str, &str)]) -> &Member {
        let name = format!("gateway-{}", self.gateways.len());
        self.gateways.push(self.launcher.begin(Role::Gateway, &name, env));
        self.gateway(self.gateways.len() - 1)
    }

    /// Starts one more worker with variables of its own, and does not wait for it.
    pub fn begin_worker_with(&mut self, env: &[(&str, &str)]) -> &Member {
        let name = format!("worker-{}", self.workers.len());
        self.workers.push(self.launcher.begin(Role::Worker, &name, env));
        self.worker(self.workers.len() - 1)
    }

    /// Starts one more worker and waits until it is ready.
    pub async fn start_worker(&mut self) -> &Member {
        self.start_worker_with(&[]).await
    }

    /// Starts one more worker with variables of its own, and waits until it is ready.
    pub async fn start_worker_with(&mut self, env: &[(&str, &str)]) -> &Member {
        let name = format!("worker-{}", self.workers.len());
        let member = self.launcher.start(Role::Worker, &name, env).await;
        self.workers.push(member);
        self.worker(self.workers.len() - 1)
    }

    /// Starts a gateway as a replacement of one that has ended, and waits until it is ready. It has other ports.
    pub async fn restart_gateway(&mut self, index: usize) {
        let member = self.launcher.restart(Role::Gateway, index).await;
        *self.gateways.get_mut(index).or_fail(&format!("find gateway {index}")) = member;
    }

    /// Starts a gateway on the addresses of one that has ended, and waits until it is ready.
    pub async fn replace_gateway(&mut self, index: usize) {
        let member = self.gateways.remove(index);
        let member = self.launcher.replace(Role::Gateway, index, member).await;
        self.gateways.insert(index, member);
    }

    /// Starts a worker as a replacement of one that has ended, and waits until it is ready.
    pub async fn restart_worker(&mut self, index: usize) {
        let member = self.launcher.restart(Role::Worker, index).await;
        *self.workers.get_mut(index).or_fail(&format!("find worker {index}")) = member;
    }

    /// Runs gateways that start from now on with this binary, of another release.
    pub fn set_gateway_binary(&mut self, binary: impl AsRef<Path>) {
        self.launcher.set_binary(Role::Gateway, binary.as_ref().to_owned());
    }

    /// Runs workers that start from now on with this binary, of another release.
    pub fn set_worker_binary(&mut self, binary: impl AsRef<Path>) {
        self.launcher.set_binary(Role::Worker, binary.as_ref().to_owned());
    }

    /// Migrates the schema with this binary, of another release.
    pub async fn migrate_with(&self, binary: impl AsRef<Path>) {
        builder::migrate(&self.launcher, binary.as_ref(), &self.stores.schema).await;
    }

    /// Valid token of `user`, of the default session, for an hour. It counts as a canary.
    pub fn token(&self, user: &str) -> String {
        let token = self.signer().token(user);
        self.canary(&token);
        token
    }

    /// Token with any claims, signed as the gateways expect. It counts as a canary.
    pub fn token_with(&self, claims: &Value) -> String {
        let token = self.signer().sign(claims);
        self.canary(&token);
        token
    }

    /// Signer that the gateways trust.
    pub fn signer(&self) -> &Signer {
        &self.secrets.signer
    }

    /// Bearer token of the internal API.
    pub fn internal_token(&self) -> &str {
        &self.secrets.internal_token
    }

    /// Vault keys of the workers, unless a test chose others.
    pub fn vault_keys(&self) -> String {
        self.secrets.vault_keys()
    }

    /// Authority of the gateways' certificate; `issue_files("gateway")` renews that in place.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Schema of the cluster.
    pub fn schema(&self) -> &Schema {
        &self.stores.schema
    }

    /// Prefix of the cluster's keys in Redis.
    pub fn redis_prefix(&self) -> &str {
        &self.stores.redis_prefix
    }

    /// Names a secret of the test, of at least 16 characters, that must not be found anywhere at the end.
    pub fn canary(&self, secret: &str) {
        self.canaries.add(secret);
    }

    /// Output of all processes, including those that have ended.
    pub fn logs(&self) -> String {
        self.launcher.logs()
    }

    /// Waits until the gateways receive expiry notifications, stops all nodes, and returns every line of logs, metrics, Redis
    /// and Postgres that contains a canary, a secret of the cluster, a token of its users or a secret sent to them, and every
    /// key of Redis without a TTL except the job lanes. The result should be empty.
    ///
    /// Redis and Postgres must be running and not paused.
    pub async fn finish(self) -> Vec<String> {
        self.finish_with(String::new).await
    }

    /// Same as [`Cluster::finish`], with everything that the nodes have exported to this receiver until their ends.
    pub async fn finish_exporting_to(self, receiver: &OtlpReceiver) -> Vec<String> {
        self.finish_with(|| receiver.received().text()).await
    }

    /// Same as [`Cluster::finish`], with this text.
    pub async fn finish_with_text(self, text: String) -> Vec<String> {
        self.finish_with(|| text).await
    }

    async fn finish_with(self, exported: impl FnOnce() -> String) -> Vec<String> {
        self.expiries_arrive().await;
        let mut canaries = self.canaries.all();
        canaries.extend(self.secrets.texts().map(str::to_owned));
        let is_leak = |line: &&str| canaries.iter().any(|canary| line.contains(canary.as_str()));

        let mut found = String::new();
        for member in self.members() {
            found += &member.metrics().await;
        }
        found += &self
            .settled_redis(|dump| !dump.lines().any(|line| is_leak(&line)))
            .await;
        found += &self.stores.schema.dump().await;
        let mut findings = self.keys_without_ttl().await;
        self.stop().await;
        found += &self.logs();
        found += &exported();
        findings.extend(found.lines().filter(is_leak).map(str::to_owned));
        findings
    }

    /// Keys of the cluster that Redis would keep for ever.
    async fn keys_without_ttl(&self) -> Vec<String> {
        let prefix = format!("{}:", self.stores.redis_prefix);
        let lanes = format!("{prefix}{{jobs:");
        let mut keys = Vec::new();
        for primary in self.redis_primaries().await {
            keys.extend(redis::keys_without_ttl(primary, &prefix).await);
        }
        keys.retain(|key| !key.starts_with(&lanes));
        keys.iter().map(|key| format!("{key} has no TTL")).collect()
    }

    /// Waits until each gateway reports expiry notifications, unless the test has turned them off in Redis.
    async fn expiries_arrive(&self) {
        for primary in self.redis_primaries().await {
            if !redis::announces_expiries(primary).await {
                return;
            }
        }
        for gateway in self.gateways.iter().filter(|gateway| gateway.exit_status().is_none()) {
            wait::until_true("expiries to arrive at each gateway", wait::deadline(), async || {
                gateway.metrics().await.lines().any(|line| line == EXPIRIES_ARRIVE)
            })
            .await;
        }
    }

    /// Keys of the cluster in Redis: a job or a reply is deleted shortly after it was received.
    async fn settled_redis(&self, is_clean: impl Fn(&str) -> bool) -> String {
        let prefix = format!("{}:", self.stores.redis_prefix);
        let dump = async || {
            let mut dump = String::new();
            for primary in self.redis_primaries().await {
                dump += &redis::dump(primary, &prefix).await;
            }
            dump
        };
        let clean = wait::until("answers to be dropped", wait::deadline(), async || {
            Some(dump().await).filter(|dump| is_clean(dump))
        });
        match tokio::time::timeout(SETTLED, clean).await {
            Ok(clean) => clean,
            Err(_) => dump().await,
        }
    }

    /// Addresses of the Redis servers that are running primaries now.
    async fn redis_primaries(&self) -> Vec<SocketAddr> {
        let primaries = redis::primaries(&self.stores.redis_addrs).await;
        if primaries.is_empty() {
            fail("search Redis", "no primary responds");
        }
        primaries
    }

    fn new(launcher: Launcher, authority: Authority, secrets: Secrets, stores: Stores) -> Self {
        Self {
            gateways: Vec::new(),
            workers: Vec::new(),
            launcher,
            authority,
            secrets,
            stores,
            canaries: Canaries::default(),
        }
    }

    /// Starts the first nodes, those of one role at the same time, and waits until all are ready: a gateway finds its lanes served.
    async fn start_nodes(&mut self, workers: usize, gateways: usize) {
        let launcher = &self.launcher;
        let start = async |role: Role, index: usize| {
            let name = format!("{}-{index}", role.subcommand());
            launcher.start(role, &name, &[]).await
        };
        let workers = join_all((0..workers).map(|index| start(Role::Worker, index))).await;
        let gateways = join_all((0..gateways).map(|index| start(Role::Gateway, index))).await;
        (self.workers, self.gateways) = (workers, gateways);
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.gateways.iter().chain(&self.workers)
    }

    /// Drains all nodes at once.
    async fn stop(&self) {
        for member in self.members() {
            member.resume();
            member.terminate();
        }
        for member in self.members() {
            member.wait(wait::deadline()).await;
        }
    }
}

/// Metric of a gateway that receives expiry notifications.
const EXPIRIES_ARRIVE: &str = "postern_bus_expiries_arrive 1";

/// Time that received jobs and replies may stay in Redis.
const SETTLED: Duration = Duration::from_secs(10);

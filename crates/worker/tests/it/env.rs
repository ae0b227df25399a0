//! Test environment that the workers of one test share: bus, store, vault, clock, platforms.

use std::sync::Arc;

use lifecycle::{Clock, Entropy, ManualClock, OsEntropy, Readiness, SystemClock};
use platforms::{BotInbox, Platform};
use protocol::account::AccountType;
use protocol::app_webhook::AppWebhookType;
use protocol::id::WorkerId;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use simulator::{Extent, Fault, Handle, Kind, Platform::Github as AtGithub, Route, Simulator};
use store::vault::{Vault, VaultKeys};
use store::{MemoryStore, PlatformCapacity, RetentionTimes};
use telemetry::metrics::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;
use worker::{
    AppWebhookClient, ConnectState, JobConcurrency, MessageSenders, Parts, RedirectPolicy, Running, SessionTimes,
    Settings, Worker,
};

use crate::client::{Client, DEADLINE};
use crate::faulty_bus::FaultyBus;
use crate::faulty_store::FaultyStore;
use crate::rotating_platform::RotatingPlatform;
use crate::scripted_platform::ScriptedPlatform;
use crate::simulated_platform::platform;

/// Bus, store, vault, clock, platforms and settings of one test.
pub(crate) struct TestEnv {
    pub(crate) bus: Arc<FaultyBus>,
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) settings: Settings,
    metrics: Metrics,
    vault: Arc<Vault>,
    platforms: Vec<Arc<dyn Platform>>,
    pub(crate) inboxes: Vec<Arc<dyn BotInbox>>,
    pub(crate) message_senders: MessageSenders,
    pub(crate) app_webhooks: Option<AppWebhookClient>,
}

impl TestEnv {
    pub(crate) fn new(platforms: Vec<Arc<dyn Platform>>) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let keys = VaultKeys::parse(&Secret::new(format!("test:{}=", "A".repeat(43)))).unwrap();
        Self {
            bus: Arc::new(FaultyBus::new()),
            store: Arc::new(FaultyStore::new(
                MemoryStore::new(Arc::<ManualClock>::clone(&clock), keys.audit_keys())
                    .queueing_app_webhooks(&AppWebhookType::ALL),
            )),
            clock,
            settings: Settings {
                concurrency: JobConcurrency::default(),
                redirects: RedirectPolicy::standard(None),
                connect_state: ConnectState::Optional,
                sessions: SessionTimes::default(),
                retention: RetentionTimes::default(),
                dangerous_repeatable_codes: None,
            },
            metrics: Metrics::new("test"),
            vault: Arc::new(Vault::new(keys, Arc::new(OsEntropy))),
            platforms,
            inboxes: Vec::new(),
            message_senders: MessageSenders::default(),
            app_webhooks: None,
        }
    }

    /// The same environment with metrics of their own, as for a worker on another node.
    pub(crate) fn on_another_node(&self) -> Self {
        Self {
            bus: Arc::clone(&self.bus),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            settings: self.settings.clone(),
            metrics: Metrics::new("another"),
            vault: Arc::clone(&self.vault),
            platforms: self.platforms.clone(),
            inboxes: self.inboxes.clone(),
            message_senders: self.message_senders.clone(),
            app_webhooks: self.app_webhooks.clone(),
        }
    }

    /// Time of day.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now().into()
    }

    /// Environment with a scripted platform as GitHub.
    pub(crate) fn scripted() -> Self {
        Self::new(vec![Arc::new(ScriptedPlatform::github())])
    }

    /// Environment with a platform that rotates refresh tokens, as GitHub.
    pub(crate) fn rotating(platform: Arc<RotatingPlatform>) -> Self {
        Self::new(vec![platform])
    }

    pub(crate) fn offer_discord(&mut self) {
        self.platforms
            .push(Arc::new(ScriptedPlatform::of(AccountType::Discord)));
    }

    /// Worker that is not started.
    pub(crate) fn build(&self, readiness: Readiness) -> Worker {
        let entropy: &dyn Entropy = &OsEntropy;
        let parts = Parts {
            id: WorkerId::new(entropy.token()).unwrap(),
            bus: self.bus.roles(),
            store: self.store.roles(),
            vault: Arc::clone(&self.vault),
            platforms: self.platforms.clone(),
            hooks: Vec::new(),
            inboxes: self.inboxes.clone(),
            message_senders: self.message_senders.clone(),
            app_webhooks: self.app_webhooks.clone(),
            clock: Arc::<ManualClock>::clone(&self.clock),
            entropy: Arc::new(OsEntropy),
        };
        Worker::build(self.settings.clone(), parts, readiness, &self.metrics.meter())
    }

    /// Started worker that is ready.
    pub(crate) async fn worker(&self) -> Running {
        let readiness = Readiness::new();
        let worker = self.build(readiness.clone());
        assert_eq!(
            readiness.waiting_for(),
            ["sign-in lane", "interactive lane", "platform lane", "webhook lane"]
        );
        let running = worker.spawn();
        tokio::time::timeout(DEADLINE, readiness.ready()).await.unwrap();
        running
    }

    /// Metrics of the worker, in the text format of Prometheus.
    pub(crate) fn scrape(&self) -> String {
        self.metrics.render().unwrap()
    }

    /// Waits until a metric with these labels has this value.
    pub(crate) async fn wait_for_count(&self, metric: &str, labels: &[&str], count: u64) {
        let has_count = async || {
            let figures = self.scrape();
            let lines = figures.lines().filter(|line| line.starts_with(metric));
            let mut lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
            lines.any(|line| line.ends_with(&format!(" {count}")))
        };
        testkit::wait::until_true(metric, DEADLINE, has_count).await;
    }

    /// Waits for a query of due revocations that begins after this call.
    pub(crate) async fn wait_for_lease_query(&self) {
        let queries = self.store.leases();
        testkit::wait::until_true("another query of due revocations", DEADLINE, async || {
            self.store.leases() > queries + 1
        })
        .await;
    }

    pub(crate) async fn client(&self, user: &str, session: &str) -> Client {
        Client::new(Arc::clone(&self.bus), Arc::clone(&self.store), user, session).await
    }
}

/// Simulated GitHub.
pub(crate) struct SimulatedGithub {
    pub(crate) handle: Handle,
}

/// Runs `test` in an environment with a simulated GitHub over HTTP.
pub(crate) async fn with_github(test: impl AsyncFnOnce(TestEnv, SimulatedGithub)) {
    let simulator = Simulator::bind(([127, 0, 0, 1], 0).into(), 7).await.unwrap();
    let env = TestEnv::new(vec![platform(simulator.url(), AtGithub)]);
    let github = SimulatedGithub {
        handle: simulator.handle(),
    };
    tokio::select! {
        () = simulator.serve(std::future::pending()) => {}
        outcome = tokio::time::timeout(2 * DEADLINE, test(env, github)) => outcome.unwrap(),
    }
}

/// Environment whose platform cannot be reached.
pub(crate) async fn without_github() -> TestEnv {
    let unserved = Simulator::bind(([127, 0, 0, 1], 0).into(), 7).await.unwrap();
    TestEnv::new(vec![platform(unserved.url(), AtGithub)])
}

impl SimulatedGithub {
    /// Number of exchanges of this code.
    pub(crate) fn exchanges(&self, code: &str) -> u64 {
        self.handle.snapshot().ledger.exchanges(AtGithub, code)
    }

    /// Logins of the live tokens, oldest first.
    pub(crate) fn logins_with_tokens(&self) -> Vec<String> {
        let tokens = self.handle.snapshot().tokens;
        tokens.into_iter().map(|token| token.login).collect()
    }

    /// Revocations that the platform received: extent and login.
    pub(crate) fn revoked_grants(&self) -> Vec<(Extent, Option<String>)> {
        let revocations = self.handle.snapshot().ledger.revocations;
        revocations.into_iter().map(|it| (it.extent, it.login)).collect()
    }

    /// Waits until the platform has received this number of revocations.
    pub(crate) async fn revocations(&self, count: usize) -> Vec<(Extent, Option<String>)> {
        let enough = async || Some(self.revoked_grants()).filter(|revoked| revoked.len() >= count);
        testkit::wait::until("the revocation", DEADLINE, enough).await
    }

    pub(crate) fn fault(&self, route: Route, kind: Kind) {
        self.handle.fault(Fault::once(AtGithub, route, kind));
    }

    pub(crate) fn fault_forever(&self, route: Route, kind: Kind) {
        self.handle.fault(Fault::forever(AtGithub, route, kind));
    }

    pub(crate) fn requests(&self, route: Route) -> u64 {
        self.handle.snapshot().ledger.requests(AtGithub, route)
    }

    /// Waits until the simulator blocks a request.
    pub(crate) async fn wait_for_blocked_request(&self) {
        let is_blocked = async || !self.handle.snapshot().blocked.is_empty();
        testkit::wait::until_true("a blocked request", DEADLINE, is_blocked).await;
    }

    pub(crate) fn release(&self) {
        self.handle.release();
    }

    pub(crate) fn notify(&self, login: &str, title: &str) {
        self.handle.notify(simulator::NewNotification {
            login: login.to_owned(),
            title: title.to_owned(),
            ..simulator::NewNotification::default()
        });
    }

    pub(crate) fn deauthorize(&self, login: &str) {
        self.handle.deauthorize(AtGithub, login);
    }

    /// Opens an authorization URL in the browser of octocat, who consents, and returns the query of the redirect.
    pub(crate) async fn visit(&self, url: &str) -> Vec<(String, String)> {
        let url = Url::parse(url).unwrap();
        let address = (url.host_str().unwrap(), url.port().unwrap());
        let mut socket = TcpStream::connect(address).await.unwrap();
        let target = format!("{}?{}&login=octocat", url.path(), url.query().unwrap());
        let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        socket.read_to_string(&mut response).await.unwrap();
        let location = response
            .lines()
            .find_map(|line| line.strip_prefix("location: "))
            .unwrap();
        Url::parse(location).unwrap().query_pairs().into_owned().collect()
    }
}

/// Capacity for this number of revocations of each platform.
pub(crate) fn capacity_for(permits: usize) -> [PlatformCapacity; 4] {
    AccountType::ALL.map(|platform| PlatformCapacity { platform, permits })
}

/// Response with this status and no body.
pub(crate) fn status(status: u16) -> Kind {
    Kind::Status {
        status,
        headers: [].into(),
        body: String::new(),
    }
}

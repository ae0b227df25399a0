//! Gateway under test with its bus, certificate and tokens, all in this process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request as ApiRequest;
use bus::{Bus, Events, MemoryBus, RedisBus, RedisRuntime, RedisSettings};
use gateway::{
    Gateway, GatewayDrainReport, InternalApi, InternalApiSettings, InternalCallers, Running, Settings, TlsSettings,
    TokenKey,
};
use lifecycle::{Dependencies, Entropy, OsEntropy, Readiness, Reloadable, SystemClock, Tasks};
use protocol::account::{AccountStatus, AccountType};
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::DeliveryClass;
use protocol::id::{EventId, UserId};
use protocol::json::Json;
use protocol::secret::Secret;
use rustls::ClientConfig;
use telemetry::metrics::Metrics;
use testkit::client::Wire;
use testkit::client::http::Request;
use testkit::tls::Authority;
use testkit::token::Signer;
use testkit::{Endpoint, Redis, wait};

use crate::faulty_bus::FaultyBus;
use crate::loopback_gateway::{self, SERVER, hs256};

/// Returns settings of an internal API with a single token.
pub(crate) fn internal_api(token: &str) -> InternalApiSettings {
    InternalApiSettings {
        callers: Reloadable::new(InternalCallers::default().with_single_token(&Secret::new(token))),
        tls: None,
    }
}

/// Returns a router over an internal API, for requests without a connection.
fn router(api: InternalApi) -> Router {
    Router::new().fallback(move |request: ApiRequest| async move { api.respond(None, request).await })
}

/// Running gateway. It stops when this value is dropped.
pub(crate) struct TestGateway {
    pub(crate) endpoint: Endpoint,
    pub(crate) signer: Signer,
    pub(crate) bus: Arc<FaultyBus>,
    pub(crate) authority: Authority,
    pub(crate) readiness: Readiness,
    pub(crate) internal: Router,
    pub(crate) tasks: Tasks,
    tls: TlsSettings,
    metrics: Metrics,
    running: Running,
}

impl TestGateway {
    /// Starts a gateway with the default settings.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a gateway with changed settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (signer, key) = hs256();
        Self::trusting(signer, key, change).await
    }

    /// Starts a gateway with the default settings on a Redis, under a prefix of its own.
    pub(crate) async fn on(redis: &Redis) -> Self {
        let metrics = Metrics::new("test");
        let settings = RedisSettings {
            prefix: redis.prefix().parse().unwrap(),
            ..RedisSettings::new(redis.url().parse().unwrap())
        };
        let runtime = RedisRuntime {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            tasks: Tasks::new(),
            meter: metrics.meter(),
            dependencies: Dependencies::new(Arc::new(SystemClock)),
        };
        let bus = RedisBus::connect(&settings, &runtime).await;
        Self::build(hs256(), Arc::new(bus.unwrap()), metrics, |_| {}).await
    }

    /// Starts a gateway that accepts the tokens of this signer.
    pub(crate) async fn trusting(signer: Signer, key: TokenKey, change: impl FnOnce(&mut Settings)) -> Self {
        let bus = Arc::new(MemoryBus::new(Arc::new(OsEntropy)));
        Self::build((signer, key), bus, Metrics::new("test"), change).await
    }

    async fn build(
        (signer, key): (Signer, TokenKey),
        bus: Arc<dyn Bus>,
        metrics: Metrics,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let authority = Authority::new();
        let tls = loopback_gateway::certificate(&authority);
        let mut settings = loopback_gateway::settings(tls.clone(), key);
        settings.drain_delay = Duration::ZERO;
        change(&mut settings);

        let faulty_bus = Arc::new(FaultyBus::new(bus));
        let runtime = loopback_gateway::runtime(&metrics);
        // Boxed: the future has 8 KiB, which that of every test would include.
        let gateway = Box::pin(Gateway::build(settings, faulty_bus.roles(), runtime))
            .await
            .unwrap();
        let endpoint = Endpoint::new(gateway.local_addr(), authority.client());
        let (readiness, internal) = (
            gateway.readiness(),
            gateway.internal_api().map(router).unwrap_or_default(),
        );
        let running = Box::pin(loopback_gateway::spawn(gateway)).await;
        Self {
            endpoint,
            signer,
            bus: faulty_bus,
            authority,
            readiness,
            internal,
            tasks: Tasks::new(),
            tls,
            metrics,
            running,
        }
    }

    /// Returns a valid token of a user.
    pub(crate) fn token(&self, user: &str) -> String {
        self.signer.token(user)
    }

    /// Opens an authenticated native socket of a user at frame level.
    pub(crate) async fn wire(&self, user: &str) -> Wire {
        self.wire_with(user, self.authority.client()).await
    }

    /// Opens an authenticated native socket at frame level with this TLS configuration.
    pub(crate) async fn wire_with(&self, user: &str, tls: Arc<ClientConfig>) -> Wire {
        let mut wire = self.endpoint.with_tls(tls).open().await.unwrap();
        let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
        wire.upgrade(&request.bearer(&self.token(user))).await.unwrap();
        let ready = wire.next_frame().await.unwrap().payload;
        assert!(ready.starts_with(br#"{"event":"ready""#), "{ready:?}");
        wire
    }

    /// Publishes an event to a user, as another node would.
    pub(crate) async fn publish(&self, user: &str, account_type: AccountType) {
        self.publish_status(user, account_type, AccountStatus::Connected).await;
    }

    async fn publish_status(&self, user: &str, account_type: AccountType, status: AccountStatus) {
        let user = UserId::new(user).unwrap();
        let event = loopback_gateway::status_changed(&user, account_type, status);
        self.bus.publish(&user, &event).await.unwrap();
    }

    /// Publishes a numbered alert of about this many bytes to a user, as another node would.
    pub(crate) async fn publish_alert(&self, user: &str, number: usize, bytes: usize) {
        let envelope = Envelope {
            v: Envelope::VERSION,
            id: EventId::new((&OsEntropy as &dyn Entropy).token()).unwrap(),
            audience: Audience::User,
            class: DeliveryClass::Critical,
            event: "security:alert".to_owned(),
            data: Json::of(&serde_json::json!({ "number": number, "padding": "x".repeat(bytes) })),
            traceparent: None,
            published_at: None,
        };
        self.bus.publish(&UserId::new(user).unwrap(), &envelope).await.unwrap();
    }

    /// Publishes a `syncing` status of an account to a user, as another node would.
    pub(crate) async fn publish_syncing(&self, user: &str, account_type: AccountType) {
        self.publish_status(user, account_type, AccountStatus::Syncing).await;
    }

    /// Returns all metrics, as they are scraped.
    pub(crate) fn scrape(&self) -> String {
        self.metrics.render().unwrap()
    }

    /// Returns the value of a metric with exactly these labels, or 0 if it does not exist.
    pub(crate) fn metric(&self, line: &str) -> f64 {
        let rendered = self.scrape();
        let value = rendered
            .lines()
            .find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or(0.0)
    }

    /// Waits until a metric has a value.
    pub(crate) async fn metric_is(&self, line: &str, value: f64) {
        let what = format!("{line} to be {value}; it is {}", self.metric(line));
        wait::until_true(&what, wait::deadline(), async || {
            (self.metric(line) - value).abs() < 0.5
        })
        .await;
    }

    /// Returns the paths of the certificate and the key of the server.
    pub(crate) fn files(&self) -> (PathBuf, PathBuf) {
        (self.tls.certificate.clone(), self.tls.key.clone())
    }

    /// Renews the server's certificate files in place.
    pub(crate) fn renew_certificate(&self) {
        self.authority.issue_files(SERVER);
    }

    /// Replaces the server's certificate by an expired one.
    pub(crate) fn let_certificate_expire(&self) {
        self.authority.issue_expired_files(SERVER);
    }

    /// Kills the gateway; the bus remains.
    pub(crate) async fn kill(self) -> Arc<FaultyBus> {
        self.running.kill().await;
        self.bus
    }

    /// Drains the gateway.
    pub(crate) async fn drain(self, within: Duration) -> GatewayDrainReport {
        self.running.drain(within).await
    }
}

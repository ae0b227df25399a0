//! Gateway on a thread whose allocations are counted.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, MemoryBus, SessionKey, SessionSeed, TokenTimes};
use gateway::{BusRoles, Gateway, Settings};
use lifecycle::OsEntropy;
use protocol::account::{AccountStatus, AccountType};
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;
use serde_json::json;
use telemetry::metrics::Metrics;
use testkit::tls::Authority;
use testkit::token::{Signer, claims};
use testkit::{Endpoint, wait};
use tokio::sync::{mpsc, oneshot};

use crate::loopback_gateway;

/// Running gateway with one user and session. It stops when this value is dropped.
pub(crate) struct CountedGateway {
    bus: Arc<dyn Bus>,
    endpoint: Endpoint,
    signer: Signer,
    _authority: Authority,
    parts: mpsc::Sender<Part>,
}

/// Part of the gateway's run.
struct Part {
    /// Notified when the count has started.
    started: oneshot::Sender<()>,
    /// End of the part.
    until: oneshot::Receiver<()>,
    /// Recipient of the number of allocations.
    counted: oneshot::Sender<u64>,
}

impl CountedGateway {
    /// Starts a gateway with the default settings on an in-memory bus that knows the session.
    pub(crate) async fn start() -> Self {
        let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new(Arc::new(OsEntropy)));
        let key = SessionKey {
            user: UserId::new(USER).unwrap(),
            session: SessionId::new(SESSION).unwrap(),
        };
        bus.seed(&key, SEED).await.unwrap();
        let (authority, (signer, key)) = (Authority::new(), loopback_gateway::hs256());
        let settings = loopback_gateway::settings(loopback_gateway::certificate(&authority), key);
        let (bound, address) = oneshot::channel();
        let (parts, next_part) = mpsc::channel(1);
        let roles = BusRoles::from(Arc::clone(&bus));
        // The closure ends with the sender of its parts.
        drop(tokio::task::spawn_blocking(|| run(settings, roles, bound, next_part)));
        Self {
            bus,
            endpoint: Endpoint::new(address.await.unwrap(), authority.client()),
            signer,
            _authority: authority,
            parts,
        }
    }

    /// Endpoint of the gateway.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Valid token of the user.
    pub(crate) fn token(&self) -> String {
        let mut claims = claims(USER, wait::deadline() * 100);
        claims["sid"] = json!(SESSION);
        self.signer.sign(&claims)
    }

    /// Publishes an event to the user, as another node would.
    pub(crate) async fn publish(&self) {
        let user = UserId::new(USER).unwrap();
        let event = loopback_gateway::status_changed(&user, AccountType::Github, AccountStatus::Connected);
        self.bus.publish(&user, &event).await.unwrap();
    }

    /// Number of allocations of the gateway during some work of others.
    pub(crate) async fn allocations(&self, work: impl Future<Output = ()>) -> u64 {
        let (started, start) = oneshot::channel();
        let (end, until) = oneshot::channel();
        let (counted, count) = oneshot::channel();
        let part = Part {
            started,
            until,
            counted,
        };
        assert!(self.parts.send(part).await.is_ok(), "the gateway has ended");
        start.await.unwrap();
        work.await;
        end.send(()).unwrap();
        count.await.unwrap()
    }
}

/// Runs a gateway on this thread until its parts end.
fn run(
    settings: Settings,
    roles: BusRoles,
    bound: oneshot::Sender<std::net::SocketAddr>,
    mut parts: mpsc::Receiver<Part>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let metrics = Metrics::new("test");
    let _running = runtime.block_on(async {
        let runtime = loopback_gateway::runtime(&metrics);
        let gateway = Gateway::build(settings, roles, runtime).await.unwrap();
        let address = gateway.local_addr();
        let running = loopback_gateway::spawn(gateway).await;
        bound.send(address).unwrap();
        running
    });
    while let Some(part) = runtime.block_on(parts.recv()) {
        let allocated = allocation_counter::measure(|| {
            part.started.send(()).unwrap();
            runtime.block_on(part.until).unwrap();
        });
        part.counted.send(allocated.count_total).unwrap();
    }
}

const USER: &str = "u";
const SESSION: &str = "s";
const LONG: Duration = Duration::from_secs(3_600);
const SEED: SessionSeed = SessionSeed {
    left: LONG,
    timeout: LONG,
    lead: Duration::from_secs(600),
    opened_at: Timestamp::from_millis(1_000),
    tokens: TokenTimes::UNKNOWN,
    announced: None,
};

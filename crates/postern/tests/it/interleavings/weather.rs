//! The cluster: the owner's gateway has a fast connection to Redis, those of the other gateways and of the workers are slow alternately.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::chaos::SeededRng;
use testkit::client::Endpoint;
use testkit::client::http::{Request, Response, plain};
use testkit::cluster::Cluster;
use testkit::token::claims;
use testkit::{Proxy, Redis};
use tokio::task::JoinSet;

use crate::stage::{POSTERN, Platforms};

/// Parts shared by all scenes.
pub(super) struct Stage {
    pub(super) cluster: Cluster,
    pub(super) platforms: Platforms,
    _redis: Redis,
    links: Arc<Vec<Proxy>>,
    weather: JoinSet<()>,
}

impl Stage {
    pub(super) async fn start(mut rng: SeededRng) -> Self {
        let redis = Redis::start().await;
        let platforms = Platforms::seeded(7).await;
        let builder = platforms.linked_to(Cluster::builder(POSTERN));
        let mut cluster = builder
            .redis(&redis)
            .gateway_env("POSTERN_CONNECT_RATE", "off")
            .gateways(1)
            .workers(0)
            .start()
            .await;
        let mut links = Vec::new();
        for _ in 0..GATEWAYS + WORKERS {
            links.push(Proxy::start(redis.addr()).await);
        }
        for (index, link) in links.iter().enumerate() {
            let url = format!("redis://{}", link.addr());
            let env = [("POSTERN_REDIS_URL", url.as_str())];
            if index < GATEWAYS {
                cluster.start_gateway_with(&env).await;
            } else {
                cluster.start_worker_with(&env).await;
            }
        }
        let links = Arc::new(links);
        let mut weather = JoinSet::new();
        for index in 0..links.len() {
            let (links, mut rng) = (Arc::clone(&links), rng.fork());
            weather.spawn(async move {
                loop {
                    links[index].delay(delay(&mut rng));
                    rng.pause(Duration::from_millis(100)..Duration::from_millis(700)).await;
                }
            });
        }
        Self {
            cluster,
            platforms,
            _redis: redis,
            links,
            weather,
        }
    }

    /// Endpoint of a gateway of the thieves.
    pub(super) fn slow_endpoint(&self, rng: &mut SeededRng) -> Endpoint {
        self.cluster.endpoint(1 + rng.below(GATEWAYS))
    }

    /// A token of this user's session.
    pub(super) fn token(&self, user: &str, session: &str) -> String {
        let mut claims: Value = claims(user, Duration::from_secs(3600));
        claims["sid"] = json!(session);
        self.cluster.token_with(&claims)
    }

    /// Calls the internal API of the owner's gateway.
    pub(super) async fn internal(&self, request: Request) -> Response {
        let request = request.bearer(self.cluster.internal_token());
        plain(self.cluster.gateway(0).internal_addr(), &request).await.unwrap()
    }

    /// Removes all delays and checks logs and rows.
    pub(super) async fn finish(mut self) {
        self.weather.shutdown().await;
        self.links.iter().for_each(|link| link.delay(Duration::ZERO));
        assert_eq!(self.cluster.finish().await, Vec::<String>::new());
    }
}

/// Random delay; zero half of the time.
fn delay(rng: &mut SeededRng) -> Duration {
    match rng.below(10) {
        0..5 => Duration::ZERO,
        5..8 => rng.between(Duration::ZERO..Duration::from_millis(300)),
        _ => rng.between(Duration::ZERO..Duration::from_secs(2)),
    }
}

const GATEWAYS: usize = 2;
const WORKERS: usize = 2;

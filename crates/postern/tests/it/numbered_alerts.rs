//! Publishers of numbered alerts: a server for each user that raises one alert after the other, each until it is accepted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use testkit::chaos::SeededRng;
use testkit::client::http::{Request, plain};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Internal API of an attempt; `None` while there is none.
pub(crate) type Route = dyn Fn(&mut SeededRng) -> Option<SocketAddr> + Send + Sync;

/// Running publishers, one for each user. They end with this value.
pub(crate) struct NumberedAlerts {
    shared: Shared,
    publishers: JoinSet<(String, u64)>,
}

/// Part of all publishers.
#[derive(Clone)]
struct Shared {
    token: String,
    route: Arc<Route>,
    pause: Range<Duration>,
    enough: Arc<AtomicBool>,
    published: Arc<Mutex<BTreeMap<String, u64>>>,
    refusals: Arc<Mutex<Vec<String>>>,
}

impl NumberedAlerts {
    /// No publisher yet. Each will pause between its alerts for a duration in `pause`.
    pub(crate) fn new(token: &str, route: Arc<Route>, pause: Range<Duration>) -> Self {
        let shared = Shared {
            token: token.to_owned(),
            route,
            pause,
            enough: Arc::default(),
            published: Arc::default(),
            refusals: Arc::default(),
        };
        Self {
            shared,
            publishers: JoinSet::new(),
        }
    }

    /// Publishes alerts 1, 2, 3 and so on to a user.
    pub(crate) fn publish_to(&mut self, user: String, rng: SeededRng) {
        let shared = self.shared.clone();
        self.publishers.spawn(Publisher { user, rng, shared }.run());
    }

    /// Last accepted number of each user.
    pub(crate) fn published(&self) -> BTreeMap<String, u64> {
        self.shared.published.lock().unwrap().clone()
    }

    /// Reasons of attempts that were not accepted.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.shared.refusals.lock().unwrap().clone()
    }

    /// Publishes one more alert to each user; returns the last numbers.
    pub(crate) async fn stop(&mut self, within: Duration) -> BTreeMap<String, u64> {
        self.shared.enough.store(true, Ordering::SeqCst);
        let mut last = BTreeMap::new();
        let ended = async {
            while let Some(ended) = self.publishers.join_next().await {
                let (user, number) = ended.unwrap();
                last.insert(user, number);
            }
        };
        timeout(within, ended)
            .await
            .expect("each publisher is accepted at last");
        last
    }
}

struct Publisher {
    user: String,
    rng: SeededRng,
    shared: Shared,
}

impl Publisher {
    async fn run(mut self) -> (String, u64) {
        let mut number = 0;
        loop {
            number += 1;
            let is_last = self.shared.enough.load(Ordering::SeqCst);
            self.publish(number).await;
            self.shared.published.lock().unwrap().insert(self.user.clone(), number);
            if is_last {
                return (self.user, number);
            }
            self.rng.pause(self.shared.pause.clone()).await;
        }
    }

    /// Publishes one alert, until it is accepted.
    async fn publish(&mut self, number: u64) {
        let user = &self.user;
        let alert = json!({
            "event": "security:alert",
            "idempotencyKey": format!("{user}-{number}"),
            "data": {"severity": "low", "type": "suspicious_login", "message": number.to_string(),
                "requiresAction": false},
        });
        let request = Request::post(&format!("/v1/users/{user}/events"), &alert).bearer(&self.shared.token);
        loop {
            let refusal = match (self.shared.route)(&mut self.rng) {
                Some(addr) => match timeout(PATIENCE, plain(addr, &request)).await {
                    Ok(Ok(response)) if response.status == 202 => return,
                    Ok(Ok(response)) => format!("status {}: {}", response.status, response.text()),
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => format!("no answer within {PATIENCE:?}"),
                },
                None => "no server".to_owned(),
            };
            self.shared.refusals.lock().unwrap().push(refusal);
            self.rng
                .pause(Duration::from_millis(100)..Duration::from_millis(500))
                .await;
        }
    }
}

/// Timeout of a call of the internal API.
const PATIENCE: Duration = Duration::from_secs(15);

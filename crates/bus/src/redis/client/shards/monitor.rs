//! Monitor of the connections to all servers: follows the slot map, and runs the health monitor of each connection.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep};

use super::{Route, Shards};
use crate::redis::client::node::NodeClient;
use crate::redis::settings::Endpoint;

/// Monitor of the connections to all servers.
pub(in crate::redis::client) struct ShardMonitor {
    shards: Arc<Shards>,
    kept: Vec<Endpoint>,
    /// Each resolves with its server once the map no longer has it.
    keeping: FuturesUnordered<BoxFuture<'static, Endpoint>>,
}

impl ShardMonitor {
    pub(in crate::redis::client) fn new(shards: Arc<Shards>) -> Self {
        Self {
            shards,
            kept: Vec::new(),
            keeping: FuturesUnordered::new(),
        }
    }

    /// Follows the slot map for ever.
    pub(in crate::redis::client) async fn run(mut self) {
        let mut map = self.shards.context.connector.slots().watch();
        loop {
            let current = map.borrow_and_update().clone();
            self.shards.adopt(&current);
            for server in current.servers() {
                if !self.kept.contains(server) {
                    self.kept.push(server.clone());
                    self.keeping
                        .push(keep(Arc::clone(&self.shards), server.clone()).boxed());
                }
            }
            tokio::select! {
                changed = map.changed() => {
                    if changed.is_err() {
                        // The channel is closed, which the connector prevents.
                        return;
                    }
                }
                // A map that has the server again is adopted at once.
                Some(left) = self.keeping.next() => self.kept.retain(|server| *server != left),
            }
        }
    }
}

/// Connects to a server, and monitors the connection until the map no longer has the server, which it returns.
async fn keep(shards: Arc<Shards>, server: Endpoint) -> Endpoint {
    let slots = shards.context.connector.slots().clone();
    let kept = async {
        let node = match shards.server(&server) {
            Route::Node(node) => node,
            Route::Opening | Route::Unreachable(_) | Route::Unowned => connect(&shards, &server).await,
        };
        node.monitor().await;
    };
    tokio::select! {
        // First, as the report of a server that has left would stay.
        biased;
        () = slots.forgets(&server) => {}
        () = kept => {}
    }
    server
}

/// Connects, however often that fails. Until it succeeds no command is sent.
async fn connect(shards: &Shards, server: &Endpoint) -> NodeClient {
    let (begin, context) = (Instant::now(), &shards.context);
    loop {
        // Boxed: fred's futures are several KiB.
        match Box::pin(NodeClient::connect(context.clone(), server.clone())).await {
            Ok(node) => {
                shards.opened(&node);
                context.metrics.reconnected(context.purpose.name());
                return node;
            }
            Err(error) => {
                let class = error.outage().unwrap_or("refused");
                context.reports.failed(server, class, begin.elapsed(), &error);
            }
        }
        sleep(PAUSE).await;
    }
}

/// Pause after a failed attempt.
const PAUSE: Duration = Duration::from_millis(100);

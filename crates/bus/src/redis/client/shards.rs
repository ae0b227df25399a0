//! Connections to all servers of one bus: one to each that owns slots, opened and closed as the slot map changes.

mod monitor;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures_util::future::try_join_all;
use tokio::time::Instant;

pub(super) use self::monitor::ShardMonitor;

use super::COMMAND_TIMEOUT;
use super::connect_error::ConnectError;
use super::node::{NodeClient, NodeContext};
use super::slots::SlotMap;
use crate::redis::settings::Endpoint;

/// Connections to all servers, and which of them a slot belongs to.
pub(super) struct Shards {
    context: NodeContext,
    routes: RwLock<Routes>,
}

/// Connections by the map that they were opened for.
struct Routes {
    map: Arc<SlotMap>,
    nodes: Vec<(Endpoint, Link)>,
}

/// Connection to one server.
#[derive(Clone)]
enum Link {
    /// The server is not connected yet, since this time.
    Opening(Instant),
    Open(NodeClient),
}

/// Server for a command.
pub(super) enum Route {
    /// Connection to it.
    Node(NodeClient),
    /// The server is known for a moment, and not connected yet.
    Opening,
    /// The server cannot be connected to.
    Unreachable(Endpoint),
    /// No server is known.
    Unowned,
}

impl Shards {
    /// Connects to all servers that own slots.
    pub(super) async fn connect(context: NodeContext) -> Result<Self, ConnectError> {
        let map = context.connector.slots().current();
        let connects = map.primaries().iter().map(|server| {
            // Boxed: fred's futures are several KiB.
            Box::pin(NodeClient::connect(context.clone(), server.clone()))
        });
        let nodes = try_join_all(connects).await?;
        let nodes = nodes.into_iter().map(|node| (node.server().clone(), Link::Open(node)));
        let nodes = nodes.collect();
        let routes = RwLock::new(Routes { map, nodes });
        Ok(Self { context, routes })
    }

    /// Surroundings of all connections.
    pub(super) fn context(&self) -> &NodeContext {
        &self.context
    }

    /// Owner of a slot.
    pub(super) fn owner(&self, slot: u16) -> Route {
        let routes = self.routes();
        match routes.map.owner(slot) {
            Some(server) => routes.to(server),
            None => Route::Unowned,
        }
    }

    /// Server of the map, by its address.
    pub(super) fn server(&self, server: &Endpoint) -> Route {
        self.routes().to(server)
    }

    /// Connection to the owner of a slot, if there is one.
    pub(super) fn node_of(&self, slot: u16) -> Option<NodeClient> {
        match self.owner(slot) {
            Route::Node(node) => Some(node),
            Route::Opening | Route::Unreachable(_) | Route::Unowned => None,
        }
    }

    /// Connections to the servers that own slots.
    pub(super) fn primaries(&self) -> Vec<NodeClient> {
        let routes = self.routes();
        let nodes = routes
            .map
            .primaries()
            .iter()
            .filter_map(|server| match routes.to(server) {
                Route::Node(node) => Some(node),
                Route::Opening | Route::Unreachable(_) | Route::Unowned => None,
            });
        nodes.collect()
    }

    /// Reports whether a server that owns slots answers, in time: its users are served. Those of another one fail by themselves.
    pub(super) fn is_live(&self) -> bool {
        let routes = self.routes();
        let mut primaries = routes.map.primaries().iter();
        primaries.any(|server| matches!(routes.to(server), Route::Node(node) if node.is_live()))
    }

    /// Takes over a map: closes the connections to servers that are not in it.
    fn adopt(&self, map: &Arc<SlotMap>) {
        let mut routes = self.routes_mut();
        let link = |server: &Endpoint| {
            let known = routes.nodes.iter().find(|(known, _)| known == server);
            let link = known.map_or_else(|| Link::Opening(Instant::now()), |(_, link)| link.clone());
            (server.clone(), link)
        };
        let nodes = map.servers().map(link).collect();
        let map = Arc::clone(map);
        *routes = Routes { map, nodes };
        let nodes = &routes.nodes;
        let is_known = |server: &Endpoint| nodes.iter().any(|(known, _)| known == server);
        self.context.reports.retain(is_known);
    }

    /// Takes over a connection to a server of the map.
    fn opened(&self, node: &NodeClient) {
        let mut routes = self.routes_mut();
        let mut nodes = routes.nodes.iter_mut();
        if let Some((_, link)) = nodes.find(|(server, _)| server == node.server()) {
            *link = Link::Open(node.clone());
        }
    }

    fn routes(&self) -> RwLockReadGuard<'_, Routes> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes_mut(&self) -> RwLockWriteGuard<'_, Routes> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Routes {
    fn to(&self, server: &Endpoint) -> Route {
        let link = self.nodes.iter().find(|(known, _)| known == server);
        match link {
            Some((_, Link::Open(node))) => Route::Node(node.clone()),
            Some((_, Link::Opening(since))) if since.elapsed() < COMMAND_TIMEOUT => Route::Opening,
            Some((server, Link::Opening(_))) => Route::Unreachable(server.clone()),
            None => Route::Unowned,
        }
    }
}

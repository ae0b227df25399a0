//! `postern gateway`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use gateway::Gateway;
use nix::sys::resource::{Resource, getrlimit};

use super::{InternalListener, NodeRuntime, StartError};
use crate::config::GatewayNode;

/// Runs a gateway until it stops.
///
/// # Errors
/// [`StartError`].
pub(crate) async fn gateway(mut node: GatewayNode) -> Result<ExitCode, StartError> {
    let runtime = NodeRuntime::new("gateway");
    let meter = runtime.metrics.meter();
    let bus: Arc<dyn Bus> = Arc::new(runtime.redis(&node.redis, &meter).await?);
    node.gateway.max_connections = max_connections();
    let drain_within = node.gateway.drain_window + COMMANDS_IN_FLIGHT;
    let (clock, entropy) = (Arc::clone(&runtime.clock), Arc::clone(&runtime.entropy));
    let gateway = Gateway::build(node.gateway, bus, clock, entropy, &meter).await?;
    let internal = InternalListener::bind(node.internal_listen).await?;
    tracing::info!(listen = %gateway.local_addr(), internal = %internal.address(), "gateway started");

    let router = telemetry::health::router(gateway.readiness(), runtime.metrics.clone()).merge(gateway.internal_api());
    internal.serve(router, &runtime.tasks);
    let running = gateway.spawn();
    let reason = runtime.until_stopped(running.failure()).await?;
    reason.log();
    let report = running.drain(drain_within).await;
    Ok(runtime.finish(reason, &report).await)
}

/// Bound of the connections that leaves file descriptors for everything else, such as a reconnect to Redis.
fn max_connections() -> usize {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _hard)) => usize::try_from(soft)
            .unwrap_or(usize::MAX)
            .saturating_sub(RESERVED_DESCRIPTORS)
            .max(1),
        Err(error) => {
            tracing::warn!(%error, "file descriptor limit unknown, connections are not bounded by it");
            usize::MAX
        }
    }
}

/// File descriptors for Redis, the internal port, the log and reloaded files.
const RESERVED_DESCRIPTORS: usize = 128;
/// Drain time beyond the drain delay and the drain window, as commands in flight are answered first.
const COMMANDS_IN_FLIGHT: Duration = Duration::from_secs(10);

//! `postern gateway`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use gateway::Gateway;
use nix::sys::resource::{Resource, getrlimit};

use super::{Ground, Internal, StartError};
use crate::config::GatewayNode;

/// Runs a gateway until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub(crate) async fn gateway(mut node: GatewayNode) -> Result<ExitCode, StartError> {
    let ground = Ground::new("gateway");
    let meter = ground.metrics.meter();
    let bus = Arc::new(ground.redis(&node.redis, &meter).await?);
    node.gateway.max_connections = max_connections();
    let drain_within = node.gateway.drain_window + ANSWERING;
    let (clock, entropy) = (Arc::clone(&ground.clock), Arc::clone(&ground.entropy));
    let gateway = Gateway::build(node.gateway, bus, clock, entropy, &meter).await?;
    let internal = Internal::bind(node.internal_listen).await?;
    tracing::info!(listen = %gateway.local_addr(), internal = %internal.address(), "gateway started");

    let router = telemetry::health::router(gateway.readiness(), ground.metrics.clone()).merge(gateway.internal_api());
    internal.serve(router, &ground.tasks);
    let running = gateway.spawn();
    let ending = ground.until_stopped(running.failure()).await?;
    ending.log();
    let report = running.drain(drain_within).await;
    Ok(ground.leave(ending, &report).await)
}

/// Connections that leave file descriptors for everything else: a Redis that is reconnected to must not find them taken.
fn max_connections() -> usize {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _hard)) => usize::try_from(soft)
            .unwrap_or(usize::MAX)
            .saturating_sub(RESERVED)
            .max(1),
        Err(error) => {
            tracing::warn!(%error, "file descriptor limit unknown, connections are not bounded by it");
            usize::MAX
        }
    }
}

/// File descriptors for Redis, the internal port, the log and files that are read again.
const RESERVED: usize = 128;
/// What a drain may take beyond its window: commands under way are answered first.
const ANSWERING: Duration = Duration::from_secs(10);

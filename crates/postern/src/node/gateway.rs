//! `postern gateway`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use gateway::Gateway;

use super::{Ground, Internal, StartError};
use crate::config::GatewayNode;

/// Runs a gateway until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub(crate) async fn gateway(node: GatewayNode) -> Result<ExitCode, StartError> {
    let ground = Ground::new("gateway");
    let meter = ground.metrics.meter();
    let bus = Arc::new(ground.redis(&node.redis, &meter).await?);
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

/// What a drain may take beyond its window: commands under way are answered first.
const ANSWERING: Duration = Duration::from_secs(10);

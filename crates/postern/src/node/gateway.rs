//! `postern gateway`.

use std::future::ready;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, RedisSettings};
use gateway::{BuildError, BusRoles, Gateway, PreparedGateway, TokenKeys};
use nix::sys::resource::{Resource, getrlimit};
use telemetry::export::Exports;
use tracing::Instrument;

use super::internal_api::{serve_internal_api, watch_callers};
use super::memory_limit::MemoryLimit;
use super::reload::Reloads;
use super::wait::reach;
use super::{HttpListener, ListenerKind, NodeRuntime, StartError, StopSignals};
use crate::config::{GatewayNode, TokenKeyFile};

/// Runs a gateway until it stops. Until Redis is there, it is live, not ready, and accepts no clients.
///
/// # Errors
/// [`StartError`].
pub(crate) async fn gateway(node: GatewayNode, exports: &Exports) -> Result<ExitCode, StartError> {
    let runtime = NodeRuntime::new("gateway", exports);
    let mut signals = StopSignals::install()?;
    let span = runtime.identity.span();
    Box::pin(run(node, runtime, &mut signals)).instrument(span).await
}

async fn run(mut node: GatewayNode, runtime: NodeRuntime, signals: &mut StopSignals) -> Result<ExitCode, StartError> {
    let mut reloads = runtime.reloads(&node.redis, node.redis_files);
    watch_token_keys(&mut reloads, node.token_file, &node.gateway.tokens.keys);
    watch_callers(&mut reloads, node.internal_api.tokens_file.take());
    reloads.observe(&runtime.metrics.meter());
    node.gateway.node = Some(runtime.identity.gateway());
    node.gateway.max_connections = max_connections();
    if let Some(limit) = MemoryLimit::of_process() {
        let gateway = &mut node.gateway;
        gateway.max_sockets = Some(gateway.max_sockets.map_or_else(|| limit.max_sockets(), Ok)?);
        gateway.pending_connections = gateway.pending_connections.min(limit.pending_connections());
    }
    let max_sockets = node.gateway.max_sockets.map(NonZeroUsize::get);
    let drain_within = node.gateway.drain_window + COMMANDS_IN_FLIGHT;
    let prepared = Gateway::prepare(node.gateway, runtime.for_gateway()).await?;
    let reached = runtime.readiness.latch("redis");
    let health = HttpListener::bind(ListenerKind::Health, node.health_listen).await?;
    tracing::info!(health = %health.address(), "gateway starts");
    runtime.serve_health(health);

    let connect = connect(prepared, &node.redis, &runtime);
    let Some(gateway) = runtime.unless_stopped(signals, Box::pin(connect)).await? else {
        return Ok(runtime.finish_start().await);
    };
    serve_internal_api(&gateway, node.internal_api, &runtime).await?;
    reached.release();
    tracing::info!(listen = %gateway.local_addr(), max_sockets, "gateway started");
    let running = gateway.spawn();
    let reason = runtime.until_stopped(signals, running.failure()).await;
    reason.log();
    let report = running.drain(drain_within).await;
    Ok(runtime.finish(reason, &report).await)
}

/// Builds the gateway once Redis is there.
async fn connect(
    prepared: PreparedGateway,
    redis: &RedisSettings,
    runtime: &NodeRuntime,
) -> Result<Gateway, StartError> {
    let bus: Arc<dyn Bus> = Arc::new(runtime.reach_redis(redis).await?);
    let bus = BusRoles::from(bus);
    // Redis may go away again before the subscriptions are open.
    let subscriptions = reach(&*runtime.entropy, async || prepared.subscribe(&bus).await).await;
    Ok(prepared.build(bus, subscriptions.map_err(BuildError::Bus)?)?)
}

/// Replaces the keys that verify tokens when their file changes.
fn watch_token_keys(reloads: &mut Reloads, file: Option<TokenKeyFile>, keys: &TokenKeys) {
    if let (Some(TokenKeyFile { watch, parse }), TokenKeys::Fixed(keys)) = (file, keys) {
        let keys = keys.clone();
        reloads.watch(Some(watch), move |text| ready(parse(&text).map(|new| keys.set(new))));
    }
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

/// File descriptors for Redis, the health and internal ports, the log and reloaded files.
const RESERVED_DESCRIPTORS: usize = 128;
/// Drain time beyond the drain delay and the drain window, as commands in flight are answered first.
const COMMANDS_IN_FLIGHT: Duration = Duration::from_secs(10);

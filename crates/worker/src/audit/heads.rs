//! Heads of the audit chains, logged once an hour: a copy of the log kept elsewhere shows when a chain was truncated. Partitions that are
//! missing are reported with them.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{OutageReporter, PeriodicLoop};
use protocol::json::Json;
use store::{Audit, StoreError};
use tokio_util::sync::CancellationToken;

use crate::outage::report_failure;

/// Logs the changed heads until the node drains; the first time at once, for those that an earlier worker did not log.
pub(crate) async fn log_heads(audit: Arc<dyn Audit>, drain: CancellationToken) {
    let outage = OutageReporter::new("log the heads of the audit log");
    let mut ticks = PeriodicLoop::new(PERIOD, drain);
    while ticks.next().await {
        match check(&*audit).await {
            Ok(()) => outage.succeeded(),
            Err(error) => report_failure(&outage, &error),
        }
    }
}

/// Logs the changed heads, and warns of partitions that end soon: rows of later months would be kept together.
async fn check(audit: &dyn Audit) -> Result<(), StoreError> {
    log_moved(audit).await?;
    if let Some(left) = audit.audit_partitions_left().await?
        && left < LEAST_LEFT
    {
        let days = left.as_secs() / (24 * 60 * 60);
        tracing::warn!(days, "partitions of the audit log end soon, run postern migrate");
    }
    Ok(())
}

/// Logs each changed head at least once: two workers may log the same one.
async fn log_moved(audit: &dyn Audit) -> Result<(), StoreError> {
    let mut last: Option<String> = None;
    loop {
        let heads = audit.unlogged_heads(last.as_deref(), HEADS_IN_A_LINE).await?;
        let Some(end) = heads.last() else { return Ok(()) };
        last = Some(end.user.clone());
        tracing::info!(heads = Json::of(&heads).as_str(), "audit heads");
        audit.mark_heads_logged(&heads).await?;
    }
}

const PERIOD: Duration = Duration::from_secs(60 * 60);

/// Time before the end of the last partition from which on workers warn.
const LEAST_LEFT: Duration = Duration::from_hours(31 * 24);

/// Heads per line: with the longest ids a line stays below 16 KiB, where container runtimes split it.
const HEADS_IN_A_LINE: usize = 50;

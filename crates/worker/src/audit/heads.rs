//! Once an hour, the heads of the audit log go to the node's log: whoever keeps that elsewhere can tell when a chain is cut.

use std::sync::Arc;
use std::time::Duration;

use protocol::json::Json;
use store::{Audit, StoreError};
use tokio_util::sync::CancellationToken;

use crate::outage::Outage;
use crate::pace::Pace;

/// Logs the heads that have moved, until the node drains; the first time at once, for those that a worker before left behind.
pub(crate) async fn log_heads(audit: Arc<dyn Audit>, drain: CancellationToken) {
    let outage = Outage::of("log the heads of the audit log");
    let mut pace = Pace::new(PERIOD, drain);
    while pace.next().await {
        match log_moved(&*audit).await {
            Ok(()) => outage.over(),
            Err(error) => outage.met(&error),
        }
    }
}

/// Each head once, at least: two workers may log the same one.
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

/// With the longest ids a line stays below 16 KiB, where container runtimes split it.
const HEADS_IN_A_LINE: usize = 50;

//! Drain of a gateway in three phases: it accepts while balancers still send clients, closes its sockets over the drain window, and
//! ends the rest.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::DrainReport;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Running;
use crate::connection::HandoverCounts;
use crate::http::internal::ApiDrain;

/// Durations of a drain, and the parts of a gateway that it controls or counts.
#[derive(Debug)]
pub(super) struct Drain {
    /// Time for which the gateway is unready and still accepts.
    pub(super) delay: Duration,
    /// Time over which the closes of the sockets are spread.
    pub(super) window: Duration,
    pub(super) api: ApiDrain,
    pub(super) handover: Arc<HandoverCounts>,
}

/// Result of a gateway's drain. Prints as a sentence: `412 sockets handed to other gateways (pending commands answered on 3, unanswered on
/// 0), nothing cut`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayDrainReport {
    /// Number of sockets whose clients were asked to reconnect, to another gateway.
    pub sockets: u64,
    /// Number of those whose pending commands were all answered before the close.
    pub answered: u64,
    /// Number of those with commands that were not answered.
    pub unanswered: u64,
    /// Tasks that were cut.
    pub tasks: DrainReport,
}

impl GatewayDrainReport {
    /// Reports whether every task finished by itself.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.tasks.is_clean()
    }
}

impl fmt::Display for GatewayDrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sockets,
            answered,
            unanswered,
            tasks,
        } = self;
        write!(
            f,
            "{sockets} sockets handed to other gateways (pending commands answered on {answered}, unanswered on {unanswered}), {tasks}"
        )
    }
}

impl Running {
    /// Becomes unready and accepts clients for the drain delay. Then closes the port, answers pending requests, closes the sockets over
    /// the drain window, and ends. Tasks that run for longer than `within` after the delay are cut and reported; `within` should be
    /// longer than the window.
    ///
    /// Responses of the internal API ask to close the connection from the start. Its new requests are refused once the sockets are
    /// closed, or the window has passed.
    pub async fn drain(self, within: Duration) -> GatewayDrainReport {
        let Self {
            readiness,
            tasks,
            drain,
        } = &self;
        readiness.drain();
        drain.api.close_connections();
        // Not even a tick of the timer passes without a delay.
        if !drain.delay.is_zero() {
            tokio::select! {
                () = sleep(drain.delay) => {}
                // A gateway without one of its parts serves no more clients.
                _ = self.failure() => {}
            }
        }
        let deadline = Instant::now() + within;
        let mut connections = pin!(tasks.connections.drain(within));
        let early = timeout(drain.window, connections.as_mut()).await.ok();
        let refused = timeout_at(deadline, drain.api.refuse());
        let mut cut = match early {
            Some(report) => {
                drop(refused.await);
                report
            }
            None => tokio::join!(connections, refused).0,
        };
        for (task, count) in tasks.core.drain(CORE_WITHIN).await.cut {
            *cut.cut.entry(task).or_default() += count;
        }
        GatewayDrainReport {
            sockets: drain.handover.sockets(),
            answered: drain.handover.answered(),
            unanswered: drain.handover.unanswered(),
            tasks: cut,
        }
    }
}

/// Drain deadline of the core, which has nothing to finish once connections and requests have ended.
const CORE_WITHIN: Duration = Duration::from_secs(1);

//! `POST /demo/api/kill`: the end of a gateway without a drain, as a crash or SIGKILL ends it.

use hyper::StatusCode;
use protocol::code::ErrorCode;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Demo;
use super::refusal::Refusal;

/// Body of the request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KillBody {
    /// Index of the gateway.
    gateway: usize,
}

/// Gateway that is about to be killed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Killed {
    gateway: usize,
    /// Seconds until the next one starts.
    restarts_in: u64,
}

/// Request to the owner of the gateways to kill one of them.
#[derive(Debug)]
pub(in crate::dev) struct KillRequest {
    /// Index of the gateway.
    pub(in crate::dev) gateway: usize,
    accepted: oneshot::Sender<bool>,
}

impl KillRequest {
    /// Confirms that the gateway will be killed.
    pub(in crate::dev) fn accept(self) {
        self.decide(true);
    }

    /// Refuses to kill the gateway.
    pub(in crate::dev) fn refuse(self) {
        self.decide(false);
    }

    fn decide(self, accepted: bool) {
        if self.accepted.send(accepted).is_err() {
            tracing::debug!("caller of the kill has disconnected");
        }
    }
}

impl Demo {
    /// Asks for the kill of a gateway, and responds before it happens.
    pub(super) async fn kill(&self, body: &KillBody) -> Result<Killed, Refusal> {
        let gateways = self.cluster.borrow().gateways.len();
        if body.gateway >= gateways {
            return Err(Refusal::bad_request("gateway: 0 or 1 was expected"));
        }
        let (accepted, answer) = oneshot::channel();
        let request = KillRequest {
            gateway: body.gateway,
            accepted,
        };
        // A full queue has a kill in it already.
        let is_accepted = self.kills.try_send(request).is_ok() && answer.await.unwrap_or(false);
        if is_accepted {
            Ok(Killed {
                gateway: body.gateway,
                restarts_in: self.away.as_secs(),
            })
        } else {
            Err(Refusal::new(
                StatusCode::CONFLICT,
                ErrorCode::Conflict,
                "A gateway was killed already; wait until both run.",
            ))
        }
    }
}

//! Liveness of the bus, and its clock.

use protocol::time::Timestamp;

/// Liveness check for readiness and for new upgrades.
pub trait Liveness: Send + Sync {
    /// Reports whether the server, or one of a cluster, replied recently and its clock agrees with ours within 5 s. Sends nothing.
    fn is_live(&self) -> bool;

    /// Time on the server's clock, which [`published_at`](protocol::cluster::envelope::Envelope::published_at) states, as of its
    /// last reply. Sends nothing, waits for nothing.
    fn server_time(&self) -> Timestamp;
}

//! Bounds and TTLs that both implementations share.

use std::time::Duration;

use protocol::cluster::job::Reply;

/// Bound of a user's event log, in events.
pub(crate) const MAX_LOG_EVENTS: usize = 256;
/// Bound of a user's event log, in bytes; the oldest events are dropped above it. Larger than the queue of a socket, so that a
/// socket that was closed for its full queue can catch up.
pub(crate) const MAX_LOG_BYTES: usize = 2 * 1024 * 1024;
/// TTL of an event log after its last event.
pub(crate) const LOG_TTL: Duration = Duration::from_secs(60 * 60);
/// Time above [`LOG_TTL`] for which Redis keeps a log, so that its TTL is renewed only once in that time, and not with every event.
pub(crate) const LOG_TTL_SLACK: Duration = Duration::from_secs(15 * 60);
/// Bound of a user's published event ids, kept against duplicates.
pub(crate) const MAX_EVENT_IDS: usize = 512;
/// TTL of a user's offset after its last use.
pub(crate) const OFFSET_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// TTL of a resume token after its last renewal. Gateways renew every 30 s, so that a client has two minutes to resume.
pub(crate) const RESUME_TOKEN_TTL: Duration = Duration::from_secs(150);

/// Bound of a user's resume tokens: twice that of the sockets, for clients that are reconnecting, and at least 128.
pub(crate) fn max_resume_tokens(max_sockets: usize) -> usize {
    max_sockets.saturating_mul(2).max(128)
}
/// Number of a user's resume tokens down to which they are evicted above their bound. An eighth below it, so that an eviction, which
/// reads all of them, is rare.
pub(crate) fn kept_resume_tokens(bound: usize) -> usize {
    bound - bound / 8
}

/// Bound of a lane in jobs, claimed ones included.
pub(crate) const MAX_LANE_JOBS: usize = 10_000;
/// Bound of a lane in bytes.
pub(crate) const MAX_LANE_BYTES: usize = 64 * 1024 * 1024;
/// Time without a claim after which a lane is not served.
pub(crate) const UNSERVED_AFTER: Duration = Duration::from_secs(5);
/// TTL of a worker's claim on a job; then another worker reclaims it.
pub(crate) const CLAIM_TTL: Duration = Duration::from_secs(3);
/// Deliveries of a job before it becomes a dead letter.
pub(crate) const MAX_DELIVERIES: u32 = 2;
/// TTL of a stored reply. A reply with secrets is not stored, so that no copy of Redis contains it.
pub(crate) fn reply_ttl(reply: &Reply) -> Duration {
    if reply.outcome.secret {
        Duration::ZERO
    } else {
        Duration::from_secs(60)
    }
}
/// Capacity of a node's reply queue; a reply that does not fit is read by [`crate::Jobs::stored_replies`].
pub(crate) const REPLY_QUEUE: usize = 4096;

/// TTL of a hint: devices in use are checked again well within the 90 days for which the store keeps them.
pub(crate) const HINT_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// TTL of a running check for open alerts.
pub(crate) const ALERT_CHECK_TTL: Duration = Duration::from_secs(60);
/// Bound of a user's marked devices and networks; the set is cleared above it.
pub(crate) const MAX_ORIGIN_MARKS: usize = 256;

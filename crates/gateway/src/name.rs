//! New names: of nodes, connections, jobs, traces and events. Nobody can guess one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lifecycle::Entropy;
use protocol::cluster::trace::Traceparent;
use protocol::id::{ConnectionId, EventId, InvalidId, JobId, NodeId, ResumeTokenId, SessionId, UserId};

/// A name for a gateway that starts.
pub(crate) fn node(entropy: &dyn Entropy) -> NodeId {
    known_good(NodeId::new(entropy.token()))
}

/// A name for a socket.
pub(crate) fn connection(entropy: &dyn Entropy) -> ConnectionId {
    known_good(ConnectionId::new(entropy.token()))
}

/// Creates the id of a resume token.
pub(crate) fn resume_token(entropy: &dyn Entropy) -> ResumeTokenId {
    known_good(ResumeTokenId::new(entropy.token()))
}

/// A name for a command that becomes a job.
pub(crate) fn job(entropy: &dyn Entropy) -> JobId {
    known_good(JobId::new(entropy.token()))
}

/// A new trace, for what a client asks or the node itself begins.
pub(crate) fn trace(entropy: &dyn Entropy) -> Traceparent {
    Traceparent::begin(u128::from_le_bytes(entropy.bytes()), entropy.u64())
}

/// The session of what the application's own servers ask, which is none of a user's.
pub(crate) fn internal_api() -> SessionId {
    known_good(SessionId::new("internal API"))
}

/// Whom a webhook's job is done for, in which session and on which socket: for nobody, in none, on none.
pub(crate) fn webhook() -> (UserId, SessionId, ConnectionId) {
    let nobody = "webhook";
    (
        known_good(UserId::new(nobody)),
        known_good(SessionId::new(nobody)),
        known_good(ConnectionId::new(nobody)),
    )
}

/// A name for an event.
pub(crate) fn event(entropy: &dyn Entropy) -> EventId {
    known_good(EventId::new(entropy.token()))
}

/// The name that follows from this digest.
pub(crate) fn event_of(digest: &[u8]) -> EventId {
    known_good(EventId::new(URL_SAFE_NO_PAD.encode(digest)))
}

#[expect(
    clippy::expect_used,
    reason = "base64 of 16 to 32 bytes is 22 to 43 printable ASCII characters, as are our own words"
)]
fn known_good<T>(id: Result<T, InvalidId>) -> T {
    id.expect("a name of ours is an id")
}

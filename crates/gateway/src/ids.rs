//! New ids of nodes, connections, jobs, traces and events, which cannot be guessed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lifecycle::Entropy;
use protocol::id::{ConnectionId, EventId, InvalidId, JobId, NodeId, ResumeTokenId, SessionId, UserId};
use protocol::trace::TraceParent;

/// Creates the id of a gateway.
pub(crate) fn node(entropy: &dyn Entropy) -> NodeId {
    valid_id(NodeId::new(entropy.token()))
}

/// Creates the id of a socket.
pub(crate) fn connection(entropy: &dyn Entropy) -> ConnectionId {
    valid_id(ConnectionId::new(entropy.token()))
}

/// Creates the id of a resume token.
pub(crate) fn resume_token(entropy: &dyn Entropy) -> ResumeTokenId {
    valid_id(ResumeTokenId::new(entropy.token()))
}

/// Creates the id of a job.
pub(crate) fn job(entropy: &dyn Entropy) -> JobId {
    valid_id(JobId::new(entropy.token()))
}

/// Creates a trace, for a request of a client or of the node itself.
pub(crate) fn trace(entropy: &dyn Entropy) -> TraceParent {
    TraceParent::begin(u128::from_le_bytes(entropy.bytes()), entropy.u64())
}

/// Session id of requests of the internal API, which belong to no session of the user. It has the name of the caller, if it has one.
pub(crate) fn internal_api(caller: Option<&str>) -> SessionId {
    valid_id(match caller {
        // Names have at most 64 printable ASCII characters.
        Some(name) => SessionId::new(format!("internal API: {name}")),
        None => SessionId::new("internal API"),
    })
}

/// Ids of a webhook's job, which belongs to no user, session or socket.
pub(crate) fn webhook() -> (UserId, SessionId, ConnectionId) {
    let placeholder = "webhook";
    (
        valid_id(UserId::new(placeholder)),
        valid_id(SessionId::new(placeholder)),
        valid_id(ConnectionId::new(placeholder)),
    )
}

/// Creates the id of an event.
pub(crate) fn event(entropy: &dyn Entropy) -> EventId {
    valid_id(EventId::new(entropy.token()))
}

/// Returns the event id of this digest.
pub(crate) fn event_of(digest: &[u8]) -> EventId {
    valid_id(EventId::new(URL_SAFE_NO_PAD.encode(digest)))
}

#[expect(
    clippy::expect_used,
    reason = "base64 of 16 to 32 bytes is 22 to 43 printable ASCII characters, as are the texts above"
)]
fn valid_id<T>(id: Result<T, InvalidId>) -> T {
    id.expect("generated ids are valid")
}

//! Identity of a node: its id, and the span by which every log line has it.

use lifecycle::Entropy;
use protocol::id::{NodeId, WorkerId};
use tracing::Span;

/// Id of a node and the span in which it runs.
#[derive(Debug, Clone)]
pub(crate) struct NodeIdentity {
    id: String,
    span: Span,
}

impl NodeIdentity {
    /// Draws the id of a node.
    pub(crate) fn draw(entropy: &dyn Entropy) -> String {
        entropy.token()
    }

    /// Node with this role and a drawn id.
    pub(crate) fn new(role: &'static str, id: String) -> Self {
        let span = telemetry::logs::node_span(role, &id);
        Self { id, span }
    }

    /// Id in logs and metrics.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Id of a gateway in the bus: that of presence and of the internal API.
    #[expect(clippy::expect_used, reason = "a token has 22 printable ASCII characters")]
    pub(crate) fn gateway(&self) -> NodeId {
        NodeId::new(self.id.clone()).expect("a token is an id")
    }

    /// Id of a worker in the bus.
    #[expect(clippy::expect_used, reason = "a token has 22 printable ASCII characters")]
    pub(crate) fn worker(&self) -> WorkerId {
        WorkerId::new(self.id.clone()).expect("a token is an id")
    }

    /// Span in which the node is built and runs: its tasks inherit it.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }
}

//! Whether the bus can be relied on just now.

/// What readiness and the refusal of new upgrades ask.
pub trait Liveness: Send + Sync {
    /// Whether the server answered lately and its clock agrees with ours within 5 s. It costs nothing to ask.
    fn is_live(&self) -> bool;
}

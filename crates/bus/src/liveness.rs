//! Liveness of the bus.

/// Liveness check for readiness and for new upgrades.
pub trait Liveness: Send + Sync {
    /// Reports whether the server replied recently and its clock agrees with ours within 5 s. Sends nothing.
    fn is_live(&self) -> bool;
}

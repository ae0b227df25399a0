//! What an operator sees of a node: its logs, its metrics, and whether it lives and is ready.
//!
//! It must not know what a node does. Each crate keeps its own instruments in its `metrics.rs`, built from the
//! `Meter` it is given; this crate only hands out that meter and renders what was measured. Nothing here is static,
//! so two nodes in one process keep their figures apart; only the log is shared, as standard error is.

pub mod health;
pub mod logs;
pub mod metrics;

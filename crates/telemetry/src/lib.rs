//! Observability of a node: logs, metrics, spans, liveness, readiness and the state of its dependencies.
//!
//! This crate must not know what a node does. Each crate keeps its own instruments in its `metrics.rs`, built from the `Meter`
//! that it is given; this crate only provides that meter, renders its metrics and exports them. Nothing here is static, so two nodes
//! in one process keep their metrics apart; they share only the log, as they share standard error, and the exporters.

mod dependencies;
pub mod export;
pub mod health;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod trace;

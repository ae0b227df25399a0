//! Health routes and metrics as an orchestrator and a Prometheus server request them.
#![expect(clippy::unwrap_used, reason = "a test helper that fails has found something")]

mod health;
mod metrics;
mod process;

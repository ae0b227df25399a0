//! The health routes as an orchestrator and a Prometheus server meet them.
#![expect(clippy::unwrap_used, reason = "a test helper that fails has found something")]

mod health;
mod metrics;

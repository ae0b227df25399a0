//! The worker's part in the audit log beside its transactions: refusals that gateways counted, and heads for the node's log.

mod heads;
mod refusals;

pub(crate) use heads::log_heads;
pub(crate) use refusals::Refusals;

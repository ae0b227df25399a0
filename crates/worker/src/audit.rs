//! Audit log beside the transactions of commands: refusals that gateways counted, and chain heads for the node's log.

mod heads;
mod refusals;

pub(crate) use heads::log_heads;
pub(crate) use refusals::Refusals;

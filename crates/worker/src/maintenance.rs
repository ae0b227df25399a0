//! Periodic work for no user in particular: deletes expired rows, and reports whether the bus is ready.

mod bus_readiness;
mod prune;

pub(crate) use bus_readiness::watch_bus;
pub(crate) use prune::prune;

//! Periodic work for no user in particular: deletes expired rows.

mod prune;

pub(crate) use prune::prune;

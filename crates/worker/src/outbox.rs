//! Outbox relay: publishes committed events to the bus.
//!
//! A job relays its user's events at once ([`relay`]), a group of alerts those that it has just committed; a sweep finds the events that a crash or an outage left unsent ([`sweep`]);
//! recent events are published again when the bus has lost its event logs ([`event_log_loss`]).

mod event_log_loss;
mod relay;
mod sweep;

pub(crate) use event_log_loss::watch_memory;
pub(crate) use relay::{CommittedEvent, OutboxRelay};
pub(crate) use sweep::Sweep;

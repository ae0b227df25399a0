//! Outbox relay: publishes committed events to the bus.
//!
//! A job relays its user's events at once ([`relay`]), a group of alerts those that it has just committed ([`committed`]); a
//! sweep finds the events that a crash or an outage left unsent ([`sweep`]). The bus publishes nothing newer of a user whose
//! event log it has lost before the user's recent events were published again: by the next relay of the user, by a job of a
//! gateway, or by the watch over the bus ([`event_log_loss`]).

mod committed;
mod event_log_loss;
mod publisher;
mod relay;
mod sweep;

pub(crate) use committed::CommittedEvent;
pub(crate) use event_log_loss::EventLogWatch;
pub(crate) use relay::OutboxRelay;
pub(crate) use sweep::Sweep;

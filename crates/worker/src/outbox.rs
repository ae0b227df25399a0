//! Committed events on their way to the bus.
//!
//! Whoever commits relays its user's events at once ([`relay`]); a sweep finds what a crash or an outage left behind ([`sweep`]);
//! and when the bus has lost its memory, what it was told lately is told again ([`event_log_loss`]).

mod event_log_loss;
mod relay;
mod sweep;

pub(crate) use event_log_loss::watch_memory;
pub(crate) use relay::Relay;
pub(crate) use sweep::Sweep;

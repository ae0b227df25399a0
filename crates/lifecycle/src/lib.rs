//! How a node lives: its tasks have an owner and an end, its readiness names what it waits for, and time and
//! randomness are handed to it.
//!
//! Bus, store, gateway, worker and the composition in `postern` build on this crate. It must not know any of them,
//! nor what a node is for: it depends on nothing of ours.
//!
//! Read [`Tasks`] first, then [`Readiness`]; [`Backoff`], [`Clock`] and [`Entropy`] stand alone.

mod backoff;
mod clock;
mod entropy;
mod readiness;
mod tasks;

pub use backoff::Backoff;
pub use clock::{Clock, ManualClock, SystemClock};
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use readiness::{Condition, Latch, Readiness};
pub use tasks::{DrainReport, Tasks};

//! Condition of a server as its clients see it through a proxy.

use std::time::Duration;

use super::Proxy;

/// Condition of a server behind a [`Proxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Server that answers.
    Healthy,
    /// Server whose round trips take so much longer.
    Slow(Duration),
    /// Server that resets every connection, open or new.
    Dead,
    /// Server that accepts connections and sends nothing.
    Hung,
}

impl Proxy {
    /// Puts the server into this condition, whatever it was in before.
    pub fn set_condition(&self, condition: Condition) {
        let delay = match condition {
            Condition::Slow(delay) => delay / 2,
            Condition::Healthy | Condition::Dead | Condition::Hung => Duration::ZERO,
        };
        let is_hung = condition == Condition::Hung;
        let is_dead = condition == Condition::Dead;
        self.link.change(|state| {
            state.delay = delay;
            state.frozen = is_hung;
            state.refuses = is_dead;
            state.cuts += u64::from(is_dead);
        });
    }
}

//! Readiness of a node for work, and the names of what it waits for.

use std::future;

use tokio::sync::watch;

/// State behind `/readyz`: ready when every latch is released, every condition is met, and the node is not draining.
///
/// Clones share one state. Gates are created once each, while the node is built.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    state: watch::Sender<State>,
}

impl Readiness {
    /// Readiness without gates, and therefore ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a gate that keeps the node unready until it is released for good: for the steps of a start.
    #[must_use = "a dropped latch keeps the node unready for ever"]
    pub fn latch(&self, name: &'static str) -> Latch {
        Latch {
            gate: self.gate(name, Kind::Latch),
        }
    }

    /// Creates a gate that keeps the node unready while it is not met: for something that may be lost again, such as a
    /// connection.
    #[must_use = "a dropped condition keeps the node unready for ever"]
    pub fn condition(&self, name: &'static str) -> Condition {
        Condition {
            gate: self.gate(name, Kind::Condition),
        }
    }

    /// Makes the node unready for good, because it is about to stop.
    pub fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    /// Reports whether the node may receive work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state.borrow().is_ready()
    }

    /// Resolves when the node is ready, never if it does not become so.
    pub async fn ready(&self) {
        let mut state = self.state.subscribe();
        if state.wait_for(State::is_ready).await.is_err() {
            // The channel is closed, which `self.state` prevents.
            future::pending::<()>().await;
        }
    }

    /// Names of what keeps the node unready, in the sequence of their creation; `draining` is last.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<&'static str> {
        let state = self.state.borrow();
        let closed = state.gates.iter().filter(|gate| !gate.open).map(|gate| gate.name);
        closed.chain(state.draining.then_some("draining")).collect()
    }

    /// State of each gate, in the sequence of their creation.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let state = self.state.borrow();
        let parts = state.gates.iter().map(|gate| Part {
            name: gate.name,
            is_ready: gate.open,
            is_step_of_the_start: gate.kind == Kind::Latch,
        });
        parts.collect()
    }

    /// Reports whether the node is about to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state.borrow().draining
    }

    fn gate(&self, name: &'static str, kind: Kind) -> GateHandle {
        let mut index = 0;
        self.state.send_modify(|state| {
            index = state.gates.len();
            state.gates.push(Gate {
                name,
                kind,
                open: false,
            });
        });
        GateHandle {
            state: self.state.clone(),
            index,
        }
    }
}

/// State of a gate at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Name of the gate.
    pub name: &'static str,
    /// True if the latch is released or the condition met.
    pub is_ready: bool,
    /// True for a latch, which tells nothing about the time after the start.
    pub is_step_of_the_start: bool,
}

/// Step of the start that is not done yet.
///
/// Only [`Latch::release`] counts it as done: if a panic drops the latch, the node stays unready.
#[derive(Debug)]
pub struct Latch {
    gate: GateHandle,
}

impl Latch {
    /// Marks the step as done.
    pub fn release(self) {
        self.gate.set(true);
    }
}

/// Condition of a ready node that may change. It is not met at first, nor after its owner has dropped it.
#[derive(Debug)]
pub struct Condition {
    gate: GateHandle,
}

impl Condition {
    /// Sets whether the condition is met.
    pub fn set(&self, is_met: bool) {
        self.gate.set(is_met);
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        self.gate.set(false);
    }
}

#[derive(Debug, Default)]
struct State {
    gates: Vec<Gate>,
    draining: bool,
}

impl State {
    fn is_ready(&self) -> bool {
        !self.draining && self.gates.iter().all(|gate| gate.open)
    }
}

#[derive(Debug)]
struct Gate {
    name: &'static str,
    kind: Kind,
    open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Latch,
    Condition,
}

/// Gate in the shared state.
#[derive(Debug)]
struct GateHandle {
    state: watch::Sender<State>,
    index: usize,
}

impl GateHandle {
    fn set(&self, open: bool) {
        self.state.send_modify(|state| {
            if let Some(gate) = state.gates.get_mut(self.index) {
                gate.open = open;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn node_is_ready_once_every_latch_is_released_and_every_condition_is_met() {
        let readiness = Readiness::new();
        let certificate = readiness.latch("certificate");
        let redis = readiness.condition("redis");
        assert_eq!(readiness.waiting_for(), ["certificate", "redis"]);

        certificate.release();
        assert_eq!(readiness.waiting_for(), ["redis"]);
        assert!(!readiness.is_ready());

        redis.set(true);
        assert!(readiness.is_ready());

        redis.set(false);
        assert_eq!(readiness.waiting_for(), ["redis"]);
    }

    #[test]
    fn parts_keep_their_sequence_whatever_their_state() {
        let readiness = Readiness::new();
        let redis = readiness.latch("redis");
        let listener = readiness.condition("listener");
        let parts = |readiness: &Readiness| {
            let parts = readiness.parts().into_iter();
            parts
                .map(|part| (part.name, part.is_ready, part.is_step_of_the_start))
                .collect::<Vec<_>>()
        };
        assert_eq!(parts(&readiness), [("redis", false, true), ("listener", false, false)]);
        listener.set(true);
        assert_eq!(parts(&readiness), [("redis", false, true), ("listener", true, false)]);
        redis.release();
        listener.set(false);
        assert_eq!(parts(&readiness), [("redis", true, true), ("listener", false, false)]);
    }

    #[test]
    fn latch_dropped_by_a_panic_keeps_the_node_unready() {
        let readiness = Readiness::new();
        let latch = readiness.latch("listener");
        let start = catch_unwind(AssertUnwindSafe(move || {
            let _latch = latch;
            panic!("the port is taken");
        }));
        assert!(start.is_err());
        assert_eq!(readiness.waiting_for(), ["listener"]);
    }

    #[test]
    fn dropped_condition_is_not_met() {
        let readiness = Readiness::new();
        let redis = readiness.condition("redis");
        redis.set(true);
        drop(redis);
        assert_eq!(readiness.waiting_for(), ["redis"]);
    }

    #[test]
    fn draining_node_stays_unready() {
        let readiness = Readiness::new();
        let redis = readiness.condition("redis");
        readiness.drain();
        redis.set(true);
        assert!(!readiness.is_ready());
        assert_eq!(readiness.waiting_for(), ["draining"]);
    }

    #[tokio::test(start_paused = true)]
    async fn ready_resolves_when_the_node_becomes_ready() {
        let readiness = Readiness::new();
        let latch = readiness.latch("listener");
        assert!(timeout(Duration::from_secs(60), readiness.ready()).await.is_err());

        latch.release();
        assert!(timeout(Duration::from_secs(60), readiness.ready()).await.is_ok());
    }
}

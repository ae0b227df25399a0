//! Whether a node may be given work, and if not, what it waits for.

use std::future;

use tokio::sync::watch;

/// What `/readyz` asks: ready when every latch is released, every condition holds, and the node is not draining.
///
/// Clones share one state. Gates are made while the node is built, once each.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    state: watch::Sender<State>,
}

impl Readiness {
    /// Ready, as nothing is waited for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the node unready until it is released, once and for good: for the steps of a start.
    #[must_use = "a dropped latch keeps the node unready for ever"]
    pub fn latch(&self, name: &'static str) -> Latch {
        Latch { gate: self.gate(name) }
    }

    /// Keeps the node unready while it does not hold: for something that comes and goes, such as a connection.
    #[must_use = "a dropped condition keeps the node unready for ever"]
    pub fn condition(&self, name: &'static str) -> Condition {
        Condition { gate: self.gate(name) }
    }

    /// Makes the node unready for good: it is about to stop.
    pub fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    /// Whether the node may be given work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state.borrow().is_ready()
    }

    /// Resolves when the node is ready, never if it does not become so.
    pub async fn ready(&self) {
        let mut state = self.state.subscribe();
        if state.wait_for(State::is_ready).await.is_err() {
            // Closed, which `self.state` prevents.
            future::pending::<()>().await;
        }
    }

    /// The names of what keeps the node unready, in the order of their making; `draining` is last.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<&'static str> {
        let state = self.state.borrow();
        let closed = state.gates.iter().filter(|gate| !gate.open).map(|gate| gate.name);
        closed.chain(state.draining.then_some("draining")).collect()
    }

    fn gate(&self, name: &'static str) -> GateHandle {
        let mut index = 0;
        self.state.send_modify(|state| {
            index = state.gates.len();
            state.gates.push(Gate { name, open: false });
        });
        GateHandle {
            state: self.state.clone(),
            index,
        }
    }
}

/// A step of the start that has yet to be done.
///
/// Only [`Latch::release`] counts it as done: if a panic drops it, the node stays unready.
#[derive(Debug)]
pub struct Latch {
    gate: GateHandle,
}

impl Latch {
    /// The step is done.
    pub fn release(self) {
        self.gate.set(true);
    }
}

/// Something the node needs that may come and go. It does not hold at first, nor when its owner has dropped it.
#[derive(Debug)]
pub struct Condition {
    gate: GateHandle,
}

impl Condition {
    /// Says whether it holds now.
    pub fn set(&self, holds: bool) {
        self.gate.set(holds);
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
    open: bool,
}

/// The place of one gate in the shared state.
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
    fn a_node_is_ready_once_every_latch_is_released_and_every_condition_holds() {
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
    fn a_latch_dropped_by_a_panic_keeps_the_node_unready() {
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
    fn a_condition_nobody_watches_any_more_does_not_hold() {
        let readiness = Readiness::new();
        let redis = readiness.condition("redis");
        redis.set(true);
        drop(redis);
        assert_eq!(readiness.waiting_for(), ["redis"]);
    }

    #[test]
    fn a_draining_node_stays_unready() {
        let readiness = Readiness::new();
        let redis = readiness.condition("redis");
        readiness.drain();
        redis.set(true);
        assert!(!readiness.is_ready());
        assert_eq!(readiness.waiting_for(), ["draining"]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_readiness_is_told_when_it_comes() {
        let readiness = Readiness::new();
        let latch = readiness.latch("listener");
        assert!(timeout(Duration::from_secs(60), readiness.ready()).await.is_err());

        latch.release();
        assert!(timeout(Duration::from_secs(60), readiness.ready()).await.is_ok());
    }
}

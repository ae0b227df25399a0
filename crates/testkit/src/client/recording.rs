//! Recording of the messages that clients receive.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// Messages in the sequence of their arrival, decoded and otherwise unchanged. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<Vec<Value>>>);

impl Recording {
    /// Messages until now. Of a plain WebSocket a frame or a batch of frames; of Socket.IO a packet: `type`, `id`, `data`.
    pub fn messages(&self) -> Vec<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add(&self, message: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }
}

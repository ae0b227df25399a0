//! permessage-deflate (RFC 7692): which offers are taken, and how messages are made small and whole again.
//!
//! No message builds on another, in either direction: what zlib needs belongs to the node and is lent for one message at a time, so
//! that a socket with compression costs no more memory at rest than one without.

mod inflate;
mod offer;
mod pool;

use std::sync::Arc;

use bytes::Bytes;

use self::pool::Pool;

pub(crate) use self::inflate::InflateError;
pub(crate) use self::offer::{DeflateParams, Window};

/// Compression on one node.
#[derive(Debug, Clone)]
pub(crate) struct DeflatePool {
    pool: Arc<Pool>,
    threshold: usize,
}

impl DeflatePool {
    /// Messages of fewer bytes than `threshold` leave as they are.
    pub(crate) fn new(threshold: usize) -> Self {
        Self {
            pool: Arc::default(),
            threshold,
        }
    }

    /// Compression on a socket, as it was agreed.
    pub(crate) fn of(&self, agreement: &DeflateParams) -> PerMessageDeflate {
        PerMessageDeflate {
            node: self.clone(),
            window: agreement.window(),
        }
    }
}

/// Compression on one socket.
#[derive(Debug, Clone)]
pub(crate) struct PerMessageDeflate {
    node: DeflatePool,
    window: Window,
}

impl PerMessageDeflate {
    /// How far back a compressed message may refer. Sockets with the same window can be sent the same bytes.
    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// The payload of a compressed message (section 7.2.1); none for what is too short to be worth it.
    pub(crate) fn compress(&self, message: &[u8]) -> Option<Bytes> {
        if message.len() < self.node.threshold {
            return None;
        }
        self.node.pool.compress(self.window, message).map(Bytes::from)
    }

    /// The message of a compressed payload (section 7.2.2), as long as it has at most `max` bytes.
    ///
    /// # Errors
    /// [`InflateError`]: it has more, or it is not what a compressor writes.
    pub(crate) fn inflate(&self, payload: &[u8], max: usize) -> Result<Bytes, InflateError> {
        self.node.pool.inflate(payload, max).map(Bytes::from)
    }
}

/// How the last block of every compressed message ends: it is left out on the wire (sections 7.2.1 and 7.2.2).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

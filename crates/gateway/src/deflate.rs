//! permessage-deflate (RFC 7692): negotiation, compression and decompression of messages.
//!
//! There is no context takeover in either direction. The zlib streams are pooled per node and used for one message at a time, so an
//! idle socket with compression takes no more memory than one without.

mod inflate;
mod offer;
mod pool;

use std::sync::Arc;

use bytes::Bytes;

use self::pool::StreamPool;

pub(crate) use self::inflate::InflateError;
pub(crate) use self::offer::{DeflateParams, Window};

/// Compression of one node: zlib streams shared by its sockets.
#[derive(Debug, Clone)]
pub(crate) struct DeflatePool {
    streams: Arc<StreamPool>,
    threshold: usize,
}

impl DeflatePool {
    /// Creates a pool. Messages shorter than `threshold` bytes are sent uncompressed.
    pub(crate) fn new(threshold: usize) -> Self {
        Self {
            streams: Arc::default(),
            threshold,
        }
    }

    /// Returns the compression of a socket with these negotiated parameters.
    pub(crate) fn of(&self, params: &DeflateParams) -> PerMessageDeflate {
        PerMessageDeflate {
            pool: self.clone(),
            window: params.window(),
        }
    }
}

/// Compression of one socket.
#[derive(Debug, Clone)]
pub(crate) struct PerMessageDeflate {
    pool: DeflatePool,
    window: Window,
}

impl PerMessageDeflate {
    /// Returns the LZ77 window of sent messages. Sockets with the same window can share compressed bytes.
    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// Compresses a message (section 7.2.1). Returns `None` below the threshold.
    pub(crate) fn compress(&self, message: &[u8]) -> Option<Bytes> {
        if message.len() < self.pool.threshold {
            return None;
        }
        self.pool.streams.compress(self.window, message).map(Bytes::from)
    }

    /// Decompresses a payload (section 7.2.2) to a message of at most `max` bytes.
    ///
    /// # Errors
    /// [`InflateError`]: longer message, or invalid data.
    pub(crate) fn inflate(&self, payload: &[u8], max: usize) -> Result<Bytes, InflateError> {
        self.pool.streams.inflate(payload, max).map(Bytes::from)
    }
}

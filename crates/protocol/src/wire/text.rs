//! JSON text: read whole, and appended to a message.

use serde::Serialize;
use serde_json::Value;

use super::FrameError;
use crate::json::lenient;

/// Reads one JSON text and nothing after it.
pub(super) fn read(json: &[u8]) -> Result<Value, FrameError> {
    lenient::parse(json).map_err(|_where| FrameError("the text is not JSON"))
}

/// Appends a frame of the server.
#[expect(
    clippy::expect_used,
    reason = "our frames have string keys only, no Serialize of theirs fails, and memory takes every byte"
)]
pub(super) fn append<T: Serialize + ?Sized>(out: &mut Vec<u8>, frame: &T) {
    serde_json::to_writer(out, frame).expect("our own frames are writable as JSON");
}

/// Bytes of most events, so that writing one allocates once.
pub(super) const USUAL_SIZE: usize = 512;

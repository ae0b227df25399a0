//! Bounded decompression of client messages: deflate expands up to a thousandfold.

use flate2::{Decompress, FlushDecompress, Status};

/// Error of decompressing a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InflateError {
    /// Message over the limit. At most one byte beyond it was decompressed.
    #[error("the message is too long")]
    TooBig,
    /// Invalid deflate data.
    #[error("the message is not valid deflate data")]
    Corrupt,
}

/// Decompresses a payload to a message of at most `max` bytes.
pub(super) fn inflate(stream: &mut Decompress, payload: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    stream.reset(false);
    let estimate = payload
        .len()
        .saturating_mul(3)
        .clamp(MIN_CAPACITY, MAX_INITIAL_CAPACITY);
    let mut message = Vec::with_capacity(estimate.min(max.saturating_add(1)));
    // The tail, which the sender omits, is fed separately, which saves a copy of the payload.
    for part in [payload, &TAIL] {
        feed(stream, part, &mut message, max)?;
    }
    Ok(message)
}

fn feed(stream: &mut Decompress, mut input: &[u8], message: &mut Vec<u8>, max: usize) -> Result<(), InflateError> {
    loop {
        if message.len() == message.capacity() {
            // The capacity never exceeds the limit by more than one byte.
            let remaining = (max.saturating_add(1)).saturating_sub(message.len());
            message.reserve_exact(message.len().max(MIN_CAPACITY).min(remaining));
        }
        let (read_before, written_before) = (stream.total_in(), message.len());
        let status = stream.decompress_vec(input, message, FlushDecompress::Sync);
        let status = status.map_err(|_corrupt| InflateError::Corrupt)?;
        if message.len() > max {
            return Err(InflateError::TooBig);
        }
        let read = usize::try_from(stream.total_in().saturating_sub(read_before)).unwrap_or(usize::MAX);
        input = input.get(read..).unwrap_or_default();
        if status == Status::StreamEnd {
            // More blocks may follow one with the BFINAL bit set (section 7.2.3.4).
            stream.reset(false);
        }
        let has_capacity = message.len() < message.capacity();
        if input.is_empty() && has_capacity {
            return Ok(());
        }
        if read == 0 && message.len() == written_before && has_capacity {
            return Err(InflateError::Corrupt);
        }
    }
}

/// Last four bytes of every compressed message, omitted on the wire (sections 7.2.1 and 7.2.2).
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// Minimum growth of the output buffer, in bytes.
const MIN_CAPACITY: usize = 256;
/// Maximum initial capacity of the output buffer, in bytes.
const MAX_INITIAL_CAPACITY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::offer::Window;
    use super::super::pool::StreamPool;
    use super::*;

    #[test]
    fn decompression_bomb_is_stopped_at_the_limit() {
        let bomb = StreamPool::default()
            .compress(Window::FULL, &vec![0; 10_000_000])
            .unwrap();
        assert!(bomb.len() < 20_000);
        let mut stream = Decompress::new(false);
        assert_eq!(inflate(&mut stream, &bomb, 64 * 1024), Err(InflateError::TooBig));
        assert!(stream.total_out() <= 64 * 1024 + 1, "{}", stream.total_out());
    }

    #[test]
    fn message_of_exactly_the_limit_is_inflated() {
        let pool = StreamPool::default();
        for len in [0, 1, MIN_CAPACITY, 1_000, 65_535, 65_536] {
            let payload = pool.compress(Window::FULL, &vec![b'x'; len]).unwrap();
            assert_eq!(pool.inflate(&payload, len).unwrap().len(), len);
            if let Some(less) = len.checked_sub(1) {
                assert_eq!(pool.inflate(&payload, less), Err(InflateError::TooBig), "{len}");
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_input_never_inflates_beyond_the_limit(
            payload in prop::collection::vec(any::<u8>(), 0..300), max in 0usize..1_000,
        ) {
            let pool = StreamPool::default();
            if let Ok(message) = pool.inflate(&payload, max) {
                prop_assert!(message.len() <= max);
            }
            let sound = pool.compress(Window::FULL, b"Hello").unwrap();
            prop_assert_eq!(pool.inflate(&sound, 5).unwrap(), b"Hello");
        }
    }
}

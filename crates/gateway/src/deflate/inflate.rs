//! Inflating what a client sent, within a bound: ten bytes of a payload can mean ten thousand of a message.

use flate2::{Decompress, FlushDecompress, Status};

use super::TAIL;

/// Why a payload has no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InflateError {
    /// The message is longer than it may be. Nothing beyond the bound was inflated.
    #[error("the message is too long")]
    TooBig,
    /// No compressor writes this.
    #[error("the message is not compressed as it says")]
    Corrupt,
}

/// Inflates a payload to its message, which has at most `max` bytes.
pub(super) fn inflate(stream: &mut Decompress, payload: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    stream.reset(false);
    let likely = payload.len().saturating_mul(3).clamp(LEAST, MOST);
    let mut message = Vec::with_capacity(likely.min(max.saturating_add(1)));
    // The tail, which the sender left out, is inflated for itself: that saves a copy of the payload.
    for part in [payload, &TAIL] {
        feed(stream, part, &mut message, max)?;
    }
    Ok(message)
}

fn feed(stream: &mut Decompress, mut input: &[u8], message: &mut Vec<u8>, max: usize) -> Result<(), InflateError> {
    loop {
        if message.len() == message.capacity() {
            // There is never room for more than one byte too many.
            let room = (max.saturating_add(1)).saturating_sub(message.len());
            message.reserve_exact(message.len().max(LEAST).min(room));
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
            // A block may say that it is the last, and others may follow all the same (section 7.2.3.4).
            stream.reset(false);
        }
        let has_room = message.len() < message.capacity();
        if input.is_empty() && has_room {
            return Ok(());
        }
        if read == 0 && message.len() == written_before && has_room {
            return Err(InflateError::Corrupt);
        }
    }
}

/// What is made room for at least, and at most before anything was inflated; in bytes.
const LEAST: usize = 256;
const MOST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::offer::Window;
    use super::super::pool::Pool;
    use super::*;

    #[test]
    fn a_bomb_is_given_up_at_the_bound() {
        let bomb = Pool::default().compress(Window::FULL, &vec![0; 10_000_000]).unwrap();
        assert!(bomb.len() < 20_000);
        let mut stream = Decompress::new(false);
        assert_eq!(inflate(&mut stream, &bomb, 64 * 1024), Err(InflateError::TooBig));
        assert!(stream.total_out() <= 64 * 1024 + 1, "{}", stream.total_out());
    }

    #[test]
    fn the_bound_is_the_longest_message() {
        let pool = Pool::default();
        for len in [0, 1, LEAST, 1_000, 65_535, 65_536] {
            let payload = pool.compress(Window::FULL, &vec![b'x'; len]).unwrap();
            assert_eq!(pool.inflate(&payload, len).unwrap().len(), len);
            if let Some(less) = len.checked_sub(1) {
                assert_eq!(pool.inflate(&payload, less), Err(InflateError::TooBig), "{len}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_inflated_or_refused_and_never_beyond_the_bound(
            payload in prop::collection::vec(any::<u8>(), 0..300), max in 0usize..1_000,
        ) {
            let pool = Pool::default();
            if let Ok(message) = pool.inflate(&payload, max) {
                prop_assert!(message.len() <= max);
            }
            let sound = pool.compress(Window::FULL, b"Hello").unwrap();
            prop_assert_eq!(pool.inflate(&sound, 5).unwrap(), b"Hello");
        }
    }
}

//! zlib's working memory, up to a quarter of a megabyte a piece: lent for one message, then free for the next, of whichever socket.

use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::{Compress, Compression, Decompress, FlushCompress};

use super::TAIL;
use super::inflate::{self, InflateError};
use super::offer::Window;

/// The streams of a node. There are as many as were ever at work at once, which is one for each thread.
#[derive(Debug, Default)]
pub(super) struct Pool {
    compressors: Mutex<Vec<(Window, Compress)>>,
    inflaters: Mutex<Vec<Decompress>>,
}

impl Pool {
    /// Compresses a message. None should zlib fail, which it has no reason to: the message can leave as it is.
    pub(super) fn compress(&self, window: Window, message: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.take_compressor(window);
        let payload = compress(&mut stream, message);
        give_back(&self.compressors, (window, stream));
        payload
    }

    /// Inflates a message of at most `max` bytes.
    pub(super) fn inflate(&self, payload: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
        let idle = lock(&self.inflaters).pop();
        let mut stream = idle.unwrap_or_else(|| Decompress::new(false));
        let message = inflate::inflate(&mut stream, payload, max);
        give_back(&self.inflaters, stream);
        message
    }

    fn take_compressor(&self, window: Window) -> Compress {
        let mut idle = lock(&self.compressors);
        if let Some(at) = idle.iter().position(|(of, _)| *of == window) {
            return idle.swap_remove(at).1;
        }
        drop(idle);
        Compress::new_with_window_bits(Compression::new(LEVEL), false, window.bits())
    }
}

/// Ends with a flush, whose last four bytes every receiver puts back by itself.
fn compress(stream: &mut Compress, message: &[u8]) -> Option<Vec<u8>> {
    stream.reset();
    let mut payload = Vec::with_capacity(message.len() / 2 + ROOM);
    loop {
        let rest = message.get(usize::try_from(stream.total_in()).ok()?..)?;
        stream.compress_vec(rest, &mut payload, FlushCompress::Sync).ok()?;
        let all_read = usize::try_from(stream.total_in()).ok()? == message.len();
        // Room that is left says that the flush is complete.
        if all_read && payload.len() < payload.capacity() {
            break;
        }
        payload.reserve(payload.len() + ROOM);
    }
    let len = payload.strip_suffix(&TAIL)?.len();
    payload.truncate(len);
    Some(payload)
}

fn give_back<T>(idle: &Mutex<Vec<T>>, stream: T) {
    let mut idle = lock(idle);
    if idle.len() < KEPT {
        idle.push(stream);
    }
}

fn lock<T>(idle: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of 91 KB of JSON it leaves 11, at a third of what the highest level takes.
const LEVEL: u32 = 3;
/// More than a flush needs at least, in bytes (six, says zlib).
const ROOM: usize = 64;
/// More than there are threads on most machines; what is more is freed.
const KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a peer with this window makes of a payload.
    fn inflated(window: Window, payload: &[u8]) -> Vec<u8> {
        let mut stream = Decompress::new_with_window_bits(false, window.bits());
        inflate::inflate(&mut stream, payload, usize::MAX / 2).unwrap()
    }

    #[test]
    fn the_samples_of_the_rfc_are_written_and_read_as_there() {
        // RFC 7692, sections 7.2.3.1, 7.2.3.3 and 7.2.3.4: one block, one without compression, one that says it is the last.
        let written = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let plain = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let two = [
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ];
        let pool = Pool::default();
        assert_eq!(pool.compress(Window::FULL, b"Hello").unwrap(), written);
        for payload in [&written[..], &plain, &last, &two] {
            assert_eq!(pool.inflate(payload, 5).unwrap(), b"Hello");
        }
    }

    #[test]
    fn a_stream_remembers_nothing_of_the_message_before() {
        let pool = Pool::default();
        let first = pool.compress(Window::FULL, b"Hello, Hello").unwrap();
        assert_eq!(pool.compress(Window::FULL, b"Hello, Hello").unwrap(), first);
        assert!(pool.inflate(&[0xff; 9], 100).is_err());
        assert_eq!(pool.inflate(&first, 100).unwrap(), b"Hello, Hello");
        assert_eq!((lock(&pool.compressors).len(), lock(&pool.inflaters).len()), (1, 1));
    }

    proptest! {
        #[test]
        fn what_is_compressed_is_the_same_afterwards(
            words in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..20), times in 1usize..40, bits in 9u8..=15,
        ) {
            let message: Vec<u8> = std::iter::repeat_n(words.concat(), times).flatten().collect();
            let window = Window::new(bits).unwrap();
            let payload = Pool::default().compress(window, &message).unwrap();
            prop_assert_eq!(inflated(window, &payload), message);
        }
    }
}

//! Randomness as an argument, so that a failing seed can be replayed.

use std::fmt::{self, Debug};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Source of random bytes, passed as `Arc<dyn Entropy>`.
pub trait Entropy: Debug + Send + Sync {
    /// Overwrites all of `out` with random bytes.
    fn fill(&self, out: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// Draws `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Draws a uniformly distributed number.
    #[must_use]
    pub fn u64(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// Draws an unguessable name: 128 bits as 22 characters of URL-safe base64 (RFC 4648, section 5), unpadded.
    #[must_use]
    pub fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<16>())
    }
}

/// Generator of the operating system, fit for keys and tokens.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// The operating system has no randomness. Linux always has some once it has booted; a node that continued without it would
    /// issue guessable tokens.
    #[expect(
        clippy::expect_used,
        reason = "an invariant of every supported system; there is no safe way to go on"
    )]
    fn fill(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system gives random bytes");
    }
}

/// Generator of the operating system, read a block at a time: a system call for each id costs several times the rest of it. A drawn byte
/// is erased; those that will be drawn next are in the memory of the process.
pub struct BufferedEntropy {
    block: Mutex<Block>,
}

struct Block {
    bytes: [u8; BLOCK],
    drawn: usize,
}

impl Default for BufferedEntropy {
    fn default() -> Self {
        let block = Block {
            bytes: [0; BLOCK],
            drawn: BLOCK,
        };
        Self {
            block: Mutex::new(block),
        }
    }
}

impl Entropy for BufferedEntropy {
    fn fill(&self, out: &mut [u8]) {
        if out.len() > BLOCK {
            return OsEntropy.fill(out);
        }
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        if out.len() > BLOCK - block.drawn {
            OsEntropy.fill(&mut block.bytes);
            block.drawn = 0;
        }
        let next = block.drawn + out.len();
        if let Some(drawn) = block.bytes.get_mut(next - out.len()..next) {
            out.copy_from_slice(drawn);
            drawn.fill(0);
        }
        block.drawn = next;
    }
}

impl Debug for BufferedEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedEntropy").finish_non_exhaustive()
    }
}

/// Size of a block, in bytes: 64 ids.
const BLOCK: usize = 1024;

/// Replayable source for tests: the same seed produces the same bytes.
pub struct SeededEntropy {
    generator: Mutex<ChaCha20Rng>,
}

impl SeededEntropy {
    /// Source whose whole output follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            generator: Mutex::new(ChaCha20Rng::seed_from_u64(seed)),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        self.generator
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill_bytes(out);
    }
}

impl Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeededEntropy").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn same_seed_replays_the_same_values() {
        let draw = |seed| {
            let source = SeededEntropy::new(seed);
            let entropy: &dyn Entropy = &source;
            (entropy.bytes::<7>(), entropy.u64(), entropy.token())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn token_is_128_bits_of_url_safe_text() {
        let entropy: &dyn Entropy = &OsEntropy;
        let token = entropy.token();
        assert_eq!(token.len(), 22);
        assert!(
            token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "{token}"
        );
        assert_eq!(URL_SAFE_NO_PAD.decode(&token).unwrap().len(), 16);
    }

    #[test]
    fn buffered_entropy_draws_no_byte_twice_and_none_unset() {
        let source = BufferedEntropy::default();
        let entropy: &dyn Entropy = &source;
        // More than a block, in draws that do not divide it, and one that is larger than a block.
        let mut drawn: Vec<[u8; 24]> = (0..200).map(|_| entropy.bytes()).collect();
        let large = entropy.bytes::<{ 3 * BLOCK }>();
        drawn.extend(large.as_chunks().0);
        assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), drawn.len());
        // More than 8 zeros in 24 random bytes come once in 10^15.
        let zeros = |bytes: &[u8; 24]| bytes.iter().filter(|byte| **byte == 0).count();
        assert_eq!(drawn.iter().map(zeros).filter(|zeros| *zeros > 8).count(), 0);
    }

    #[test]
    fn os_entropy_does_not_repeat() {
        let entropy: &dyn Entropy = &OsEntropy;
        assert_ne!(entropy.bytes::<32>(), entropy.bytes::<32>());
    }
}

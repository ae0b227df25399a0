//! SHA-256 over several texts.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// SHA-256 over the parts, each prefixed with its length, so that different lists of parts have different digests.
pub(crate) fn digest<const N: usize>(parts: [&[u8]; N]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Digest as 64 hexadecimal digits.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    HEXLOWER.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundaries_between_parts_change_the_digest() {
        assert_ne!(digest([b"ab", b"c"]), digest([b"a", b"bc"]));
        assert_ne!(digest([b"a", b""]), digest([b"a"]));
        assert_eq!(digest([b"a", b"b"]), digest([b"a", b"b"]));
    }

    #[test]
    fn hex_writes_leading_zeros() {
        let mut digest = [0; 32];
        digest[31] = 0x0a;
        assert_eq!(hex(&digest), format!("{}0a", "00".repeat(31)));
    }
}

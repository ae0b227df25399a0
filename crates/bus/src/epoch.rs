//! Random epochs of event logs.

use lifecycle::Entropy;
use protocol::cluster::offset::Epoch;

/// Epoch of 128 random bits: unique even across a failover of Redis.
#[expect(clippy::expect_used, reason = "32 lower-case hexadecimal digits are an epoch")]
pub(crate) fn new_epoch(entropy: &dyn Entropy) -> Epoch {
    let digits = format!("{:032x}", u128::from_le_bytes(entropy.bytes()));
    Epoch::new(digits).expect("an epoch has up to 32 hexadecimal digits")
}

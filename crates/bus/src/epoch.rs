//! Random epochs of event logs.

use data_encoding::HEXLOWER;
use lifecycle::Entropy;
use protocol::cluster::offset::Epoch;

/// Epoch of 128 random bits: unique even across a failover of Redis.
#[expect(clippy::expect_used, reason = "32 lower-case hexadecimal digits are an epoch")]
pub(crate) fn new_epoch(entropy: &dyn Entropy) -> Epoch {
    let digits = HEXLOWER.encode(&entropy.bytes::<16>());
    Epoch::new(digits).expect("an epoch has up to 32 hexadecimal digits")
}

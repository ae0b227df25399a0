//! Arguments of scripts, as bytes.

use bytes::Bytes;
use fred::types::Value;
use protocol::cluster::offset::Epoch;

/// Script argument.
#[derive(Debug, Clone)]
pub(in crate::redis) struct Arg(Bytes);

impl From<Arg> for Value {
    fn from(arg: Arg) -> Self {
        Self::Bytes(arg.0)
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<Vec<u8>> for Arg {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Bytes::from(bytes))
    }
}

impl From<&Epoch> for Arg {
    fn from(epoch: &Epoch) -> Self {
        Self::from(epoch.as_str())
    }
}

impl From<u32> for Arg {
    fn from(number: u32) -> Self {
        Self::from(number.to_string())
    }
}

impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        Self::from(number.to_string())
    }
}

impl From<u128> for Arg {
    fn from(number: u128) -> Self {
        Self::from(number.to_string())
    }
}

impl From<usize> for Arg {
    fn from(number: usize) -> Self {
        Self::from(number.to_string())
    }
}

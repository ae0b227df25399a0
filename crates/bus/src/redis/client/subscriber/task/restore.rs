//! Progress of restoring subscriptions after a loss.

use crate::redis::client::connector::Connector;

/// Progress of restoring the subscriptions of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis::client::subscriber) enum Restore {
    /// All desired channels are subscribed, but for some that are reported apart.
    Done,
    /// The only server restores its channels. Messages received meanwhile may follow a gap, so they are dropped and covered by the
    /// notice at the end.
    AtOnce,
    /// One of several servers restores its channels. Each batch is reported, and messages of its channels count from then on.
    InBatches,
}

impl Restore {
    /// Restore of a server's channels.
    pub(in crate::redis::client::subscriber) fn begin(connector: &Connector) -> Self {
        if connector.slots().current().primaries().len() > 1 {
            Self::InBatches
        } else {
            Self::AtOnce
        }
    }

    /// Restore after a further loss. Messages that were dropped need the notice of all channels.
    pub(super) fn restart(self, connector: &Connector) -> Self {
        match self {
            Self::AtOnce => Self::AtOnce,
            Self::Done | Self::InBatches => Self::begin(connector),
        }
    }
}

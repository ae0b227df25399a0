//! Cluster-wide rate limits of callbacks and confirmations per user.

use bus::{Bucket, Charge};
use protocol::command::CommandKind;

use crate::command::{command_limit, per_minute};

/// Rate limit of one step of the callback.
#[derive(Clone, Copy)]
pub(super) enum CallbackLimit {
    /// Callback of a platform. It exchanges a code and shares the bucket of `account:connect`.
    Connect,
    /// Confirmation: ten per minute.
    Confirm,
}

impl CallbackLimit {
    /// Charge on the user's bucket.
    pub(super) fn charge(self) -> Option<Charge> {
        match self {
            Self::Connect => command_limit(CommandKind::Connect, |_user| None),
            Self::Confirm => Some(Charge {
                bucket: Bucket {
                    name: "confirm_link",
                    scope: None,
                },
                quota: per_minute(10),
                cost: 1,
            }),
        }
    }
}

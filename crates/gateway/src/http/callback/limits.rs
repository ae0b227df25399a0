//! Cluster-wide rate limits of callbacks and confirmations per user.

use bus::{Bucket, Bus, Charge, LimitDecision};
use protocol::answer::Failure;
use protocol::command::CommandKind;
use protocol::id::UserId;

use super::unavailable;
use crate::command::{command_limit, per_minute, rate_limited};

/// Rate limit of one step of the callback.
#[derive(Clone, Copy)]
pub(super) enum CallbackLimit {
    /// Callback of a platform. It exchanges a code and shares the bucket of `account:connect`.
    Connect,
    /// Confirmation: ten per minute.
    Confirm,
}

impl CallbackLimit {
    /// Takes a token from the user's bucket. If the bus is unavailable, the request is refused.
    pub(super) async fn admit(self, bus: &dyn Bus, user: &UserId) -> Result<(), Failure> {
        match bus.admit_all(user, self.charge().as_slice()).await {
            Ok(LimitDecision::Admitted) => Ok(()),
            Ok(LimitDecision::Refused(wait)) => Err(rate_limited(wait)),
            Err(error) => Err(unavailable(&error)),
        }
    }

    fn charge(self) -> Option<Charge> {
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

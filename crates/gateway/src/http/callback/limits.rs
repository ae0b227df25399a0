//! How often the browsers of one user may come back and say yes, over the whole cluster.

use bus::{Bucket, Bus, Charge, LimitDecision};
use protocol::answer::Failure;
use protocol::command::CommandKind;
use protocol::id::UserId;

use super::unavailable;
use crate::command::{command_limit, per_minute, rate_limited};

/// Limit of one step of the callback.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    /// Returns from a platform: a code is exchanged, so they count with `account:connect`.
    Connect,
    /// Presses of the page's button: ten a minute.
    Confirm,
}

impl Limit {
    /// Takes one from the limit of the user. A limit that cannot be asked is no permission.
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

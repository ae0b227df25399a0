//! How often the browsers of one user may come back and say yes, over the whole cluster.

use std::time::Duration;

use bus::{Bucket, Bus, Quota, Verdict};
use protocol::answer::Failure;
use protocol::id::UserId;

use super::unavailable;
use crate::command::rate_limited;

/// A limit of ten a minute.
pub(super) struct Limit(&'static str);

/// Who comes back from a platform has a code exchanged: it counts with `account:connect`.
pub(super) const CONNECT: Limit = Limit("connect");

/// Presses of the page's button.
pub(super) const CONFIRM: Limit = Limit("confirm_link");

/// Takes one from a limit of the user. A limit that cannot be asked is no permission.
pub(super) async fn admit(bus: &dyn Bus, user: &UserId, Limit(name): &Limit) -> Result<(), Failure> {
    let bucket = Bucket { name, of: None };
    match bus.admit(user, &bucket, A_MINUTE).await {
        Ok(Verdict::Admitted) => Ok(()),
        Ok(Verdict::Refused(wait)) => Err(rate_limited(wait)),
        Err(error) => Err(unavailable(&error)),
    }
}

const A_MINUTE: Quota = Quota {
    count: 10,
    period: Duration::from_secs(60),
};

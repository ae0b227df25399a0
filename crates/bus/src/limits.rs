//! Rate limits that apply across the cluster.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;

use crate::BusError;

/// Two kinds of limit, each one atomic step: rate cells by the generic cell rate algorithm (GCRA), and exact sliding windows.
#[async_trait]
pub trait Limits: Send + Sync {
    /// Takes from several distinct buckets of the user in one round trip: from all of them, or from none.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the caller must refuse, as no limit was checked.
    async fn admit_all(&self, user: &UserId, charges: &[Charge]) -> Result<LimitDecision, BusError>;

    /// Takes one from a bucket of the user, if one is left.
    ///
    /// # Errors
    /// [`BusError::Unavailable`], as with [`Limits::admit_all`].
    async fn admit(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError> {
        let charge = Charge {
            bucket: bucket.clone(),
            quota,
            cost: 1,
        };
        self.admit_all(user, &[charge]).await
    }

    /// Takes one of `count` in any window of `period`. A rate cell refills continuously and would admit up to twice as many in a
    /// window; here each slot frees up only after its own period. For guesses at a secret.
    ///
    /// # Errors
    /// [`BusError::Unavailable`], as with [`Limits::admit_all`].
    async fn admit_attempt(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError>;

    /// Takes one for a member of several that share the count: at most `share.most` of `quota.count` are the member's.
    ///
    /// # Errors
    /// [`BusError::Unavailable`], as with [`Limits::admit`].
    async fn admit_shared_attempt(
        &self,
        user: &UserId,
        bucket: &Bucket,
        quota: Quota,
        share: &Share<'_>,
    ) -> Result<LimitDecision, BusError>;

    /// Takes one of a count for all users together: for actions of many users on one address.
    ///
    /// # Errors
    /// [`BusError::Unavailable`], as with [`Limits::admit_all`].
    async fn admit_global_attempt(&self, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError>;
}

/// Counted action, with the session, account or address that has its own count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// Name of the action, such as `connect` or `sync`.
    pub name: &'static str,
    /// Session, account or address with its own count.
    pub scope: Option<String>,
}

/// Charge to one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Bucket.
    pub bucket: Bucket,
    /// Capacity of the bucket.
    pub quota: Quota,
    /// Cost, at most the quota's count, else it is never admitted.
    pub cost: u32,
}

impl Charge {
    /// Time until the cost is refilled.
    pub(crate) fn refill(&self) -> Duration {
        self.quota.interval() * self.cost
    }
}

/// Quota of `count` at once, refilled evenly over `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Count, at least 1.
    pub count: u32,
    /// Period of a full refill.
    pub period: Duration,
}

/// Share of one member in a common count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share<'a> {
    /// Member.
    pub member: &'a str,
    /// Bound of the member's part, at least 1.
    pub most: u32,
}

impl Share<'_> {
    /// Share in a count that is not shared.
    pub(crate) fn whole(quota: Quota) -> Self {
        Self {
            member: "",
            most: quota.count,
        }
    }
}

impl Quota {
    /// Refill time of one, at least 1 us. Rounded down, so that `count` of them fit into the period.
    fn interval(&self) -> Duration {
        let interval = self.period / self.count.max(1);
        Duration::from_micros(u64::try_from(interval.as_micros()).unwrap_or(u64::MAX)).max(Duration::from_micros(1))
    }
}

/// Decision of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitDecision {
    /// Taken from the bucket.
    Admitted,
    /// Bucket empty; the next slot frees up after this time.
    Refused(Duration),
}

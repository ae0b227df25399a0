//! Limits that count across the cluster.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;

use crate::BusError;

/// Two kinds of limit, each one step on the server: rate cells by the generic cell rate algorithm (GCRA), and exact counts of
/// what was taken last.
#[async_trait]
pub trait Limits: Send + Sync {
    /// Takes from several buckets of the user in one step and one round trip: from all of them, or from none. The buckets differ.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: it is for the caller to refuse; an unasked limit is no permission.
    async fn admit_all(&self, user: &UserId, charges: &[Charge]) -> Result<LimitDecision, BusError>;

    /// Takes one from the bucket of the user, if there is one to take.
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

    /// Takes one of `count` in any `period`, wherever the period is laid: where a cell refills one by one and would let twice as
    /// many through, each of these is free again only when its own period is over. For guesses at a secret.
    ///
    /// # Errors
    /// [`BusError::Unavailable`], as with [`Limits::admit_all`].
    async fn admit_attempt(&self, user: &UserId, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError>;

    /// The same for one of several who share the count: of `quota.count`, no more than `share.most` are theirs.
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

    /// The same, counted for the whole cluster, whoever asks: for what many users may do to one address.
    ///
    /// # Errors
    /// [`BusError::Unavailable`], as with [`Limits::admit_all`].
    async fn admit_global_attempt(&self, bucket: &Bucket, quota: Quota) -> Result<LimitDecision, BusError>;
}

/// What is counted: a name of ours, and where a session or account has its own count, that too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// `connect`, `sync`.
    pub name: &'static str,
    /// The session, account or address that has its own count.
    pub scope: Option<String>,
}

/// What is taken from one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// From which bucket.
    pub bucket: Bucket,
    /// How much the bucket holds.
    pub quota: Quota,
    /// How much is taken: at most the quota's count, else it is never admitted.
    pub cost: u32,
}

impl Charge {
    /// How long what is taken needs to come back.
    pub(crate) fn refill(&self) -> Duration {
        self.quota.interval() * self.cost
    }
}

/// How much is allowed: `count` at once, refilled evenly over `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many, at least 1.
    pub count: u32,
    /// In how long.
    pub period: Duration,
}

/// What one of those who share a count may take of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share<'a> {
    /// Who takes.
    pub member: &'a str,
    /// How many of the count may be theirs, at least 1.
    pub most: u32,
}

impl Share<'_> {
    /// Of a count that is not shared.
    pub(crate) fn whole(quota: Quota) -> Self {
        Self {
            member: "",
            most: quota.count,
        }
    }
}

impl Quota {
    /// How long one takes to come back, at least 1 us. Rounded down, so that `count` of them fit into the period.
    fn interval(&self) -> Duration {
        let interval = self.period / self.count.max(1);
        Duration::from_micros(u64::try_from(interval.as_micros()).unwrap_or(u64::MAX)).max(Duration::from_micros(1))
    }
}

/// Whether there was one to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitDecision {
    /// Taken.
    Admitted,
    /// None left; the next is free after this long.
    Refused(Duration),
}

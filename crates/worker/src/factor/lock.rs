//! Lock of the second factor by the application: no code is accepted, and commands that need the factor are refused.

use std::time::Duration;

use protocol::answer::Failure;
use protocol::api::{FactorLockRequest, SecondFactor, UserSettings};
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::time::Timestamp;
use store::vault::VaultError;
use store::{
    AuditAction, Factor, FactorLock, SecurityDecision, SecurityEffect, SecurityOutcome, SecurityRecord, StoreError,
};

use super::decision::{audit_event, change_with, refuse_with};
use super::lockout::{Lockout, lockout};
use super::{FactorService, events};
use crate::call::{Call, RecallError, Refusal};

impl FactorService {
    /// Settings of the user for the application, with the state of the factor.
    pub(crate) async fn settings(&self, call: &Call) -> Result<JobOutcome, StoreError> {
        let record = self.store.security(&call.user).await?;
        let now = self.clock.now().into();
        Ok(JobOutcome::success(&UserSettings {
            session_timeout: record.session_timeout,
            second_factor: record.factor.as_ref().map(|factor| overview(factor, now)),
        }))
    }

    /// Locks the factor until a time or an unlock, and ends the authorizations that have started. Counts of wrong codes are kept. A
    /// further lock replaces the end of the one before.
    pub(crate) async fn lock(&self, call: &Call, request: FactorLockRequest) -> Result<JobOutcome, LockError> {
        self.decide_lock(call, &|record, now| locked(call, request, record, now))
            .await
    }

    /// Ends a lock, and the delay and lockout after wrong codes.
    pub(crate) async fn unlock(&self, call: &Call) -> Result<JobOutcome, LockError> {
        self.decide_lock(call, &|record, now| ended_lock(call, record, now))
            .await
    }

    async fn decide_lock(
        &self,
        call: &Call,
        decide: &(dyn Fn(&SecurityRecord, Timestamp) -> SecurityDecision + Send + Sync),
    ) -> Result<JobOutcome, LockError> {
        let decide = |record: &SecurityRecord, now| Ok::<_, VaultError>(decide(record, now));
        match self.store.decide_security(&call.user, &call.actor, &decide).await? {
            SecurityOutcome::Committed(outcome) => Ok(outcome),
            SecurityOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }
}

fn locked(call: &Call, request: FactorLockRequest, record: &SecurityRecord, now: Timestamp) -> SecurityDecision {
    let Some(factor) = &record.factor else {
        return refuse_with(call, no_factor());
    };
    let until = request.until;
    if until.is_some_and(|until| until <= now || now.plus(LONGEST_LOCK) < until) {
        return refuse_with(call, Failure::with_message(ErrorCode::BadRequest, INVALID_END));
    }
    let before = factor.lock_at(now);
    let lock = FactorLock {
        since: before.map_or(now, |before| before.since),
        until,
    };
    let method = factor.method.as_str();
    let subject = until.map_or_else(|| method.to_owned(), |until| format!("{method} until {until}"));
    let changed = LockChange {
        factor: Factor {
            lock: Some(lock),
            ..factor.clone()
        },
        audit: (AuditAction::FactorLocked, subject),
        alert: (before != Some(lock)).then_some("The second factor was locked."),
        effect: SecurityEffect::AuthorizationsEnd,
    };
    changed.decision(call, record, now)
}

fn ended_lock(call: &Call, record: &SecurityRecord, now: Timestamp) -> SecurityDecision {
    let Some(factor) = &record.factor else {
        return refuse_with(call, no_factor());
    };
    let was_locked =
        factor.lock_at(now).is_some() || lockout(factor.failures, factor.last_failed, now) != Lockout::None;
    let changed = LockChange {
        factor: unlocked(factor),
        audit: (AuditAction::FactorUnlocked, factor.method.as_str().to_owned()),
        alert: was_locked.then_some("The second factor was unlocked."),
        effect: SecurityEffect::Nothing,
    };
    changed.decision(call, record, now)
}

/// Factor without a lock, whose count of wrong codes begins anew.
pub(super) fn unlocked(factor: &Factor) -> Factor {
    Factor {
        failures: 0,
        last_failed: None,
        lock: None,
        ..factor.clone()
    }
}

/// Change of the lock, with the message of its alert, if there is one.
struct LockChange {
    factor: Factor,
    audit: (AuditAction, String),
    alert: Option<&'static str>,
    effect: SecurityEffect,
}

impl LockChange {
    fn decision(self, call: &Call, record: &SecurityRecord, now: Timestamp) -> SecurityDecision {
        let outcome = JobOutcome::success(&overview(&self.factor, now));
        let alert = self.alert.map(|message| events::factor_changed(call, message, now));
        let (action, subject) = self.audit;
        let record = SecurityRecord {
            factor: Some(self.factor),
            ..record.clone()
        };
        let recorded = (vec![audit_event(action, subject)], alert.into_iter().collect());
        change_with(call, record, recorded, outcome, self.effect)
    }
}

/// Factor as the application sees it.
fn overview(factor: &Factor, now: Timestamp) -> SecondFactor {
    let lock = factor.lock_at(now);
    let is_locked_out = lockout(factor.failures, factor.last_failed, now) == Lockout::Locked;
    SecondFactor {
        method: factor.method,
        is_locked: lock.is_some() || is_locked_out,
        locked_until: lock.and_then(|lock| lock.until).filter(|_| !is_locked_out),
        wrong_codes: factor.failures,
        last_wrong_code_at: factor.last_failed,
        recovery_codes: u32::try_from(factor.recovery_codes.len()).unwrap_or(u32::MAX),
    }
}

fn no_factor() -> Failure {
    Failure::with_message(ErrorCode::Conflict, "The user has no second factor.")
}

const INVALID_END: &str = "until: a time to come was expected, at most 366 days ahead";

/// Longest lock that ends by itself.
const LONGEST_LOCK: Duration = Duration::from_hours(366 * 24);

/// Failure to lock or unlock; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for LockError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl Refusal for LockError {}

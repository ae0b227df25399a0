//! What an operator can do for a user who cannot give the second factor: `postern factor unlock` and `postern factor reset`.

use lifecycle::Entropy;
use protocol::answer::{Answer, Failure};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::Outcome;
use protocol::code::ErrorCode;
use protocol::event::Event;
use protocol::id::{EventId, UserId};
use protocol::security::SettingsUpdated;
use store::{Change, Decided, Decision, Factor, Security, SecurityRecord, StoreError};

/// What became of a rescue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rescued {
    /// Done.
    Done,
    /// The user has no second factor.
    NoFactor,
}

/// Forgets a user's wrong codes, and so ends delay and lock.
///
/// # Errors
/// [`StoreError`].
pub async fn unlock_factor(store: &dyn Security, user: &UserId) -> Result<Rescued, StoreError> {
    let unlocked = |record: &SecurityRecord, factor: &Factor| SecurityRecord {
        factor: Some(Factor {
            failures: 0,
            last_failed: None,
            ..factor.clone()
        }),
        ..record.clone()
    };
    rescue(store, user, &unlocked, None).await
}

/// Removes a user's second factor with its recovery codes. The user's devices hear of it.
///
/// # Errors
/// [`StoreError`].
pub async fn reset_factor(store: &dyn Security, user: &UserId, entropy: &dyn Entropy) -> Result<Rescued, StoreError> {
    let without = |record: &SecurityRecord, _: &Factor| SecurityRecord {
        session_timeout: record.session_timeout,
        ..SecurityRecord::default()
    };
    rescue(store, user, &without, Some(entropy)).await
}

/// Changes a record that has a factor; with a source of event ids, the settings are told.
async fn rescue(
    store: &dyn Security,
    user: &UserId,
    after: &(dyn Fn(&SecurityRecord, &Factor) -> SecurityRecord + Send + Sync),
    tell: Option<&dyn Entropy>,
) -> Result<Rescued, StoreError> {
    let decide = |record: &SecurityRecord, _| {
        let Some(factor) = &record.factor else {
            return Ok(Decision::Leave(Outcome::from(&Failure::of(ErrorCode::Conflict))));
        };
        let record = after(record, factor);
        Ok(Decision::Change(Box::new(Change {
            events: tell
                .map(|entropy| updated(user, &record, entropy))
                .into_iter()
                .collect(),
            record,
            outcome: Outcome::from(&Answer::Acknowledged),
            receipt: None,
        })))
    };
    Ok(match store.decide_security(user, &decide).await? {
        Decided::Now(outcome) if outcome.error.is_none() => Rescued::Done,
        Decided::Now(_) | Decided::Before(_) => Rescued::NoFactor,
    })
}

#[expect(clippy::expect_used, reason = "a token has 22 printable ASCII characters")]
fn updated(user: &UserId, record: &SecurityRecord, entropy: &dyn Entropy) -> Envelope {
    let id = EventId::new(entropy.token()).expect("a token is an id");
    let updated = SettingsUpdated {
        user_id: user.clone(),
        settings: record.settings(),
    };
    Envelope::of(id, &Event::SettingsUpdated(updated))
}

//! Events to publish: user, kind, due time and body of each number.

use serde_json::{Map, Value};

use super::shape::Shape;
use crate::event::{Kind, Stamp};
use crate::pacer::Schedule;
use crate::random::Random;

/// Shares of the kinds of published events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    /// Share of notifications, of 1.
    pub(crate) notifications: f64,
    /// Share of alerts, of 1.
    pub(crate) alerts: f64,
    pub(crate) seed: u64,
}

impl Mix {
    /// Only events of one kind.
    pub(crate) fn only(kind: Kind) -> Self {
        Self {
            notifications: if kind == Kind::Notification { 1.0 } else { 0.0 },
            alerts: if kind == Kind::Alert { 1.0 } else { 0.0 },
            seed: 0,
        }
    }

    /// Kind of a numbered event.
    fn kind(&self, number: u64) -> Kind {
        let draw = Random::new(self.seed ^ number).fraction();
        if draw < self.alerts {
            Kind::Alert
        } else if draw < self.alerts + self.notifications {
            Kind::Notification
        } else {
            Kind::Status
        }
    }
}

/// Events to publish: event n goes to user n modulo their count.
pub(crate) struct NumberedEvents {
    pub(crate) shape: Shape,
    pub(crate) schedule: Schedule,
    pub(crate) mix: Mix,
    /// Length of an event, in bytes.
    pub(crate) bytes: usize,
    /// Gives every event an idempotency key, so that it can be repeated until it is accepted; alerts always have one.
    pub(crate) keyed: bool,
    /// Events of one request, each to another user: the number of users is a multiple of it.
    pub(crate) batch: usize,
    /// Part of idempotency keys that distinguishes this run.
    pub(crate) run: u64,
    /// Number of each user's first event.
    pub(crate) first: Vec<u64>,
}

/// Event that is due.
pub(super) struct DueEvent {
    pub(super) user: usize,
    pub(super) stamp: Stamp,
    /// `{event, data, idempotencyKey?}`, in a batch with `userId`.
    pub(super) body: Value,
    /// True if it has an idempotency key.
    pub(super) can_be_repeated: bool,
}

impl NumberedEvents {
    /// User of an event.
    pub(super) fn user(&self, number: u64) -> usize {
        usize::try_from(number % self.shape.users as u64).unwrap_or(usize::MAX)
    }

    /// Event of a number.
    pub(super) fn event(&self, number: u64) -> DueEvent {
        let user = self.user(number);
        let stamp = Stamp {
            kind: self.mix.kind(number),
            number: self.first.get(user).copied().unwrap_or_default() + number / self.shape.users as u64,
            due: self.schedule.due(number),
        };
        let name = self.shape.name(user);
        let mut body = Map::new();
        body.insert("event".to_owned(), stamp.kind.event().into());
        body.insert("data".to_owned(), stamp.kind.data(stamp, self.bytes));
        let can_be_repeated = stamp.kind == Kind::Alert || self.keyed;
        if can_be_repeated {
            let key = format!("{name}-{}-{}", self.run, stamp.number);
            body.insert("idempotencyKey".to_owned(), key.into());
        }
        if self.batch > 1 {
            body.insert("userId".to_owned(), name.into());
        }
        DueEvent {
            user,
            stamp,
            body: body.into(),
            can_be_repeated,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn mix_has_its_shares_and_repeats_with_its_seed() {
        let mix = Mix {
            notifications: 0.3,
            alerts: 0.1,
            seed: 7,
        };
        let mut counts: BTreeMap<Kind, i32> = BTreeMap::new();
        for number in 0..10_000 {
            *counts.entry(mix.kind(number)).or_insert(0) += 1;
            assert_eq!(mix.kind(number), mix.kind(number));
        }
        for (kind, share) in [(Kind::Status, 6_000), (Kind::Notification, 3_000), (Kind::Alert, 1_000)] {
            assert!((counts[&kind] - share).abs() < 300, "{kind:?}: {}", counts[&kind]);
        }
        for kind in Kind::ALL {
            assert!((0..100).all(|number| Mix::only(kind).kind(number) == kind));
        }
    }
}

//! Tickets in memory.

use async_trait::async_trait;
use protocol::id::{ResumeTokenId, SessionId, UserId};
use protocol::time::Timestamp;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::bounds::{TICKET_LIFE, TICKETS};
use crate::{BusError, ChannelMessage, Redeemed, ResumeLease, ResumeToken, ResumeTokenKey, ResumeTokens};

/// The tickets of each user, those first whose holders were silent for longest.
#[derive(Debug, Default)]
pub(super) struct Issued {
    users: Expiring<UserId, Vec<Record>>,
}

/// A ticket, how often it was redeemed, and when the last one came who did.
#[derive(Debug, Clone)]
struct Record {
    id: ResumeTokenId,
    ticket: ResumeToken,
    redemption: u64,
    came: Option<Timestamp>,
    ends: Instant,
}

impl Issued {
    fn find(&self, key: &ResumeTokenKey) -> Option<Record> {
        let known = self.of(&key.user);
        known.into_iter().find(|record| record.id == key.id)
    }

    /// Keeps a record for a ticket's life from now.
    fn keep(&mut self, user: &UserId, record: Record) {
        let ends = Instant::now() + TICKET_LIFE;
        let id = record.id.clone();
        let mut known = self.of(user);
        known.retain(|other| other.id != id);
        known.push(Record { ends, ..record });
        while known.len() > TICKETS {
            let index = surplus(&known, &id);
            known.remove(index);
        }
        self.users.insert(user.clone(), known, TICKET_LIFE);
    }

    fn remove(&mut self, key: &ResumeTokenKey) {
        let mut known = self.of(&key.user);
        known.retain(|record| record.id != key.id);
        self.users.insert(key.user.clone(), known, TICKET_LIFE);
    }

    fn of(&self, user: &UserId) -> Vec<Record> {
        let now = Instant::now();
        let mut known = self.users.get(user).cloned().unwrap_or_default();
        known.retain(|record| record.ends > now);
        known
    }
}

/// Which one goes: the first of the session that has most, and not the newcomer.
fn surplus(known: &[Record], newcomer: &ResumeTokenId) -> usize {
    let of = |session: &SessionId| known.iter().filter(|other| other.ticket.session == *session).count();
    let others = known.iter().enumerate().filter(|(_, record)| record.id != *newcomer);
    let goes = others.rev().max_by_key(|(_, record)| of(&record.ticket.session));
    goes.map_or(0, |(index, _)| index)
}

#[async_trait]
impl ResumeTokens for MemoryBus {
    async fn issue_token(&self, key: &ResumeTokenKey, ticket: &ResumeToken) -> Result<ResumeLease, BusError> {
        let record = Record {
            id: key.id.clone(),
            ticket: ticket.clone(),
            redemption: 0,
            came: None,
            ends: Instant::now(),
        };
        lock(&self.shared.tickets).keep(&key.user, record);
        Ok(ResumeLease {
            key: key.clone(),
            redemption: 0,
        })
    }

    async fn redeem_token(
        &self,
        key: &ResumeTokenKey,
        session: &SessionId,
        came: Timestamp,
    ) -> Result<Option<Redeemed>, BusError> {
        let mut events = lock(&self.shared.events);
        let epoch = events.offset(&key.user, &*self.shared.entropy).epoch;
        let mut issued = lock(&self.shared.tickets);
        let known = issued.find(key);
        // Of an order that has begun anew nobody can say what was missed.
        let good = known.filter(|Record { ticket, .. }| ticket.session == *session && ticket.start.epoch == epoch);
        // One that was held up is overtaken by the next, and its client has given it up.
        let good = good.filter(|known| known.came.is_none_or(|last| last <= came));
        let Some(known) = good else {
            return Ok(None);
        };
        let (ticket, redemption) = (known.ticket.clone(), known.redemption + 1);
        let record = Record {
            redemption,
            came: Some(came),
            ..known
        };
        issued.keep(&key.user, record);
        let redeemed = ChannelMessage::Redeemed {
            user: key.user.clone(),
            ticket: key.id.clone(),
            redemption,
        };
        events.tell(&key.user, &redeemed);
        let key = key.clone();
        Ok(Some(Redeemed {
            ticket,
            hold: ResumeLease { key, redemption },
        }))
    }

    async fn renew_tokens(&self, holds: &[ResumeLease]) -> Result<Vec<bool>, BusError> {
        let mut issued = lock(&self.shared.tickets);
        let keep = |hold: &ResumeLease| {
            let Some(record) = issued.find(&hold.key) else {
                return true;
            };
            let holds = record.redemption == hold.redemption;
            if holds {
                issued.keep(&hold.key.user, record);
            }
            holds
        };
        Ok(holds.iter().map(keep).collect())
    }

    async fn revoke_token(&self, hold: &ResumeLease) -> Result<(), BusError> {
        let mut issued = lock(&self.shared.tickets);
        let known = issued.find(&hold.key);
        if known.is_some_and(|record| record.redemption == hold.redemption) {
            issued.remove(&hold.key);
        }
        Ok(())
    }
}
